// What an entity's motion acts upon (STEP Sec. 3.2).
//   $rows  [{i, graph_id, of, predicate}]
// Rows of $rows are {i, graph_id, ...}; one result row for each, `found` is a set. An entity goes by the id of its first state.
CYPHER 25
UNWIND $rows AS row
CALL (row) {
  MATCH (:Object {id: row.of})-[:MOTION*0..]->(:Object)-[m:MOTION]->(:Object)
  WHERE m.predicate = row.predicate AND coalesce(m.target, '') <> ''
  RETURN collect(DISTINCT m.target) AS found
}
RETURN row.i AS i, found
