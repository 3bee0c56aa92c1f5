// Whether two are the same object, through any chain of references (STEP Sec. 3.2).
//   $rows  [{i, graph_id, of, to}]
// Rows of $rows are {i, graph_id, ...}; one result row for each, `found` is a set. An entity goes by the id of its first state.
CYPHER 25
UNWIND $rows AS row
RETURN row.i AS i, [CASE
  WHEN row.of = row.to OR EXISTS { (:Object {id: row.of})-[:REFERENCE|MOTION*1..]-(:Object {id: row.to}) } THEN 'same'
  ELSE 'different' END] AS found
