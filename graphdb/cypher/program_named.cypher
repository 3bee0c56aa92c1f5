// The entities of a clip, or of the video where no clip is given, that go by a name (STEP Sec. 3.2).
//   $rows  [{i, graph_id, clip, name}]
// Rows of $rows are {i, graph_id, ...}; one result row for each, `found` is a set. An entity goes by the id of its first state.
CYPHER 25
UNWIND $rows AS row
CALL (row) {
  MATCH (e:Object {graph_id: row.graph_id})
  WHERE coalesce(row.clip, 0) <= e.clip <= coalesce(row.clip, 2147483647)
    AND e.name = row.name AND NOT EXISTS { (:Object)-[:MOTION]->(e) }
  RETURN collect(DISTINCT e.id) AS found
}
RETURN row.i AS i, found
