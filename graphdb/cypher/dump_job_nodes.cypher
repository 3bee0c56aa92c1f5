// A job, its events and the nodes of its graph.
//   $id
CALL () {
  MATCH (n:Job {id: $id}) RETURN n
  UNION ALL MATCH (n:JobEvent {job_id: $id}) RETURN n
  UNION ALL MATCH (n:Clip|Keyframe|Object|Attribute {graph_id: $id}) RETURN n
}
RETURN elementId(n) AS key, labels(n) AS labels, properties(n) AS properties
