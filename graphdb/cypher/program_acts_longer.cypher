// Which of two objects acts for longer; none where one can hardly tell (STEP Sec. 3.2).
//   $rows  [{i, graph_id, of, to}]
// Rows of $rows are {i, graph_id, ...}; one result row for each, `found` is a set. An entity goes by the id of its first state.
CYPHER 25
UNWIND $rows AS row
CALL (row) {
  UNWIND [row.of, row.to] AS id
  MATCH (here:Object {id: id})
  CALL (here) {
    MATCH (here)-[:MOTION*0..]->(:Object)-[m:MOTION]->(:Object)
    WITH DISTINCT m
    RETURN sum(m.t_end - m.t_start) AS seconds
  }
  WITH collect({here: here, seconds: seconds}) AS both
  RETURN [a IN both WHERE size(both) = 2 AND all(b IN both WHERE b.here = a.here OR
    b.seconds > 0 AND a.seconds - b.seconds >= 0.3 AND a.seconds >= b.seconds * 1.2) | [a.here.category, a.here.mark]] AS found
}
RETURN row.i AS i, found
