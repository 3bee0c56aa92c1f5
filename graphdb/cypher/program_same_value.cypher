// Whether two objects have the same attribute of a type; none where one of them has none or several (STEP Sec. 3.2).
//   $rows  [{i, graph_id, of, to, type}]
// Rows of $rows are {i, graph_id, ...}; one result row for each, `found` is a set. An entity goes by the id of its first state.
CYPHER 25
UNWIND $rows AS row
CALL (row) {
  UNWIND [row.of, row.to] AS id
  MATCH (:Object {id: id})-[:MOTION*0..]->(:Object)-[:ATTRIBUTE]->(a:Attribute {type: row.type})
  WITH row, id, collect(DISTINCT a.value) AS of
  WITH row, collect(of) AS both
  RETURN CASE WHEN row.of = row.to OR size(both) < 2 OR any(values IN both WHERE size(values) > 1) THEN []
    WHEN both[0] = both[1] THEN ['same'] ELSE ['different'] END AS found
}
RETURN row.i AS i, found
