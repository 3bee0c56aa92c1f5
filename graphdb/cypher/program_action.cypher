// What an entity does, with the thing acted upon (STEP Sec. 3.2).
//   $rows  [{i, graph_id, of}]
// Rows of $rows are {i, graph_id, ...}; one result row for each, `found` is a set. An entity goes by the id of its first state.
CYPHER 25
UNWIND $rows AS row
CALL (row) {
  MATCH (:Object {id: row.of})-[:MOTION*0..]->(:Object)-[m:MOTION]->(:Object)
  RETURN collect(DISTINCT [m.predicate, coalesce(m.target, '')]) AS found
}
RETURN row.i AS i, found
