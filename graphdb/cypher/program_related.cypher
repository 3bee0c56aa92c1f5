// The entities on one side of a relation whose other end is known (STEP Sec. 3.2); an empty category takes any object.
//   $rows  [{i, graph_id, of, side, predicate, category}]  side = the end that is looked for, "subject" or "object"
// Rows of $rows are {i, graph_id, ...}; one result row for each, `found` is a set. An entity goes by the id of its first state.
CYPHER 25
UNWIND $rows AS row
CALL (row) {
  MATCH (:Object {id: row.of})-[:MOTION*0..]->(s:Object)-[r:RELATION]-(t:Object)
  WHERE ' ' + r.predicate ENDS WITH ' ' + row.predicate AND CASE row.side WHEN 'object' THEN endNode(r) = t ELSE startNode(r) = t END
  WITH DISTINCT row, t
  MATCH (e:Object)-[:MOTION*0..]->(t)
  WHERE NOT EXISTS { (:Object)-[:MOTION]->(e) } AND row.category IN ['', e.category]
  RETURN collect(DISTINCT e.id) AS found
}
RETURN row.i AS i, found
