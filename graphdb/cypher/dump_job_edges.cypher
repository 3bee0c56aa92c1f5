// The edges of a job, its events and the nodes of its graph, each once, with the job that the other end belongs to.
//   $id
CALL () {
  MATCH (n:Job {id: $id}) RETURN n
  UNION ALL MATCH (n:JobEvent {job_id: $id}) RETURN n
  UNION ALL MATCH (n:Clip|Keyframe|Object|Attribute {graph_id: $id}) RETURN n
}
MATCH (n)-[r]-(m)
WITH n, r, m,
  CASE WHEN m:Job THEN m.id WHEN m:JobEvent THEN m.job_id WHEN m:Clip|Keyframe|Object|Attribute THEN m.graph_id END AS owner
WHERE n = startNode(r) OR owner IS NULL OR owner <> $id
RETURN type(r) AS type, elementId(startNode(r)) AS source, elementId(endNode(r)) AS target, properties(r) AS properties,
  elementId(m) AS other, owner
