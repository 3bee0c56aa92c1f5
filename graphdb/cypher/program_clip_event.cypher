// The clips whose event reads so (STEP Sec. 3.2, Temporal Contextualization).
//   $rows  [{i, graph_id, description}]
// Rows of $rows are {i, graph_id, ...}; one result row for each, `found` is a set. An entity goes by the id of its first state.
CYPHER 25
UNWIND $rows AS row
CALL (row) {
  MATCH (c:Clip {graph_id: row.graph_id})<-[e:EVENT]-(:Video)
  WHERE c.index IS NOT NULL AND e.graph_id = row.graph_id AND e.description = row.description
  RETURN collect(DISTINCT c.index) AS found
}
RETURN row.i AS i, found
