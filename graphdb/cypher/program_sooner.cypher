// Which of two objects is seen in an earlier clip (end = "first"), or which in a later one (end = "last") (STEP Sec. 3.2).
//   $rows  [{i, graph_id, of, to, end}]
// Rows of $rows are {i, graph_id, ...}; one result row for each, `found` is a set. An entity goes by the id of its first state.
CYPHER 25
UNWIND $rows AS row
CALL (row) {
  UNWIND [row.of, row.to] AS id
  MATCH (here:Object {id: id})-[:REFERENCE|MOTION*0..]-(e:Object)
  WITH DISTINCT row, here, e
  WITH row, here, min(e.clip) AS earliest, -max(e.clip) AS latest
  WITH here, CASE row.end WHEN 'first' THEN earliest ELSE latest END AS place
  WITH collect({here: here, place: place}) AS both
  RETURN [a IN both WHERE size(both) = 2 AND all(b IN both WHERE b.here = a.here OR a.place < b.place) |
     [a.here.category, a.here.mark]] AS found
}
RETURN row.i AS i, found
