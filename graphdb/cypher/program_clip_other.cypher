// The clips other than its own that show the same object, through any chain of references (STEP Sec. 3.2).
//   $rows  [{i, graph_id, of}]
// Rows of $rows are {i, graph_id, ...}; one result row for each, `found` is a set. An entity goes by the id of its first state.
CYPHER 25
UNWIND $rows AS row
MATCH (here:Object {id: row.of})
CALL (row, here) {
  MATCH (:Object {id: row.of})-[:REFERENCE|MOTION*0..]-(e:Object)
  WITH DISTINCT row, e
  WHERE NOT EXISTS { (:Object)-[:MOTION]->(e) } AND e.clip <> here.clip
  RETURN collect(DISTINCT e.clip) AS found
}
RETURN row.i AS i, found
