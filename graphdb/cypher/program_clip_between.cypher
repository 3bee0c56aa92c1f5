// The clips that lie between two clips (STEP Sec. 3.2).
//   $rows  [{i, graph_id, of, to}]
// Rows of $rows are {i, graph_id, ...}; one result row for each, `found` is a set.
CYPHER 25
UNWIND $rows AS row
CALL (row) {
  MATCH (c:Clip {graph_id: row.graph_id})
  WHERE row.of < c.index < row.to OR row.to < c.index < row.of
  RETURN collect(DISTINCT c.index) AS found
}
RETURN row.i AS i, found
