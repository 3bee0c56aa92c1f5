// The entities of a clip that are the same object as one in another clip, through any chain of references (STEP Sec. 3.2).
//   $rows  [{i, graph_id, of, clip}]
// Rows of $rows are {i, graph_id, ...}; one result row for each, `found` is a set. An entity goes by the id of its first state.
CYPHER 25
UNWIND $rows AS row
CALL (row) {
  MATCH (:Object {id: row.of})-[:REFERENCE|MOTION*0..]-(e:Object)
  WITH DISTINCT row, e
  WHERE e.clip = row.clip AND e.id <> row.of AND NOT EXISTS { (:Object)-[:MOTION]->(e) }
  RETURN collect(e.id) AS found
}
RETURN row.i AS i, found
