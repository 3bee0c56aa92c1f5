// Whether two are the same object, through any chain of references (STEP Sec. 3.2).
//   $rows  [{i, graph_id, of, to}]
// Rows of $rows are {i, graph_id, ...}; one result row for each, `found` is a set. An entity goes by the id of its first state.
CYPHER 25
UNWIND $rows AS row
CALL (row) {
  MATCH (:Object {id: row.of})-[:REFERENCE|MOTION*0..]-(e:Object)
  WITH DISTINCT e
  RETURN collect(e.id) AS kin
}
RETURN row.i AS i, [CASE WHEN row.to IN kin THEN 'same' ELSE 'different' END] AS found
