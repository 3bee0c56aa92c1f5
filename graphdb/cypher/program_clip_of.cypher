// The clips that show an object, itself or through any chain of references (STEP Sec. 3.2).
//   $rows  [{i, graph_id, of}]
// Rows of $rows are {i, graph_id, ...}; one result row for each, `found` is a set. An entity goes by the id of its first state.
CYPHER 25
UNWIND $rows AS row
CALL (row) {
  MATCH (:Object {id: row.of})-[:REFERENCE|MOTION*0..]-(e:Object)
  WITH DISTINCT row, e
  WHERE NOT EXISTS { (:Object)-[:MOTION]->(e) }
  RETURN collect(DISTINCT e.clip) AS found
}
RETURN row.i AS i, found
