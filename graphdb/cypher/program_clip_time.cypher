// The clips that cover a time range, in seconds (STEP Sec. 3.2, Temporal Contextualization).
//   $rows  [{i, graph_id, t_from, t_to}]
// Rows of $rows are {i, graph_id, ...}; one result row for each, `found` is a set. An entity goes by the id of its first state.
CYPHER 25
UNWIND $rows AS row
CALL (row) {
  MATCH (c:Clip {graph_id: row.graph_id})
  WHERE c.index IS NOT NULL AND c.t_start <= row.t_from AND row.t_to <= c.t_end
  RETURN collect(DISTINCT c.index) AS found
}
RETURN row.i AS i, found
