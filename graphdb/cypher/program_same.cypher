// The entities of a clip, or of any other, that are the same object as one, through any chain of references (STEP Sec. 3.2).
//   $rows  [{i, graph_id, of, clip}]
// Rows of $rows are {i, graph_id, ...}; one result row for each, `found` is a set. An entity goes by the id of its first state.
CYPHER 25
UNWIND $rows AS row
CALL (row) {
  MATCH (here:Object {id: row.of})-[:REFERENCE|MOTION*0..]-(e:Object)
  WITH DISTINCT row, here, e
  WHERE coalesce(row.clip, e.clip) = e.clip AND e.clip <> here.clip AND NOT EXISTS { (:Object)-[:MOTION]->(e) }
  RETURN collect(e.id) AS found
}
RETURN row.i AS i, found
