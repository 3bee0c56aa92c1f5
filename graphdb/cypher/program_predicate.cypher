// How one entity stands to another (STEP Sec. 3.2).
//   $rows  [{i, graph_id, of, to}]
// Rows of $rows are {i, graph_id, ...}; one result row for each, `found` is a set. An entity goes by the id of its first state.
CYPHER 25
UNWIND $rows AS row
CALL (row) {
  MATCH (:Object {id: row.of})-[:MOTION*0..]->(:Object)-[r:RELATION]->(t:Object)
  WHERE EXISTS { (:Object {id: row.to})-[:MOTION*0..]->(t) }
  RETURN collect(DISTINCT r.predicate) AS found
}
RETURN row.i AS i, found
