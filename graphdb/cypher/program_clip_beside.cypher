// The clip right before (by = -1) or right after (by = 1) a clip (STEP Sec. 3.2).
//   $rows  [{i, graph_id, of, by}]
// Rows of $rows are {i, graph_id, ...}; one result row for each, `found` is a set.
CYPHER 25
UNWIND $rows AS row
CALL (row) {
  MATCH (c:Clip {graph_id: row.graph_id, index: row.of + row.by})
  RETURN collect(DISTINCT c.index) AS found
}
RETURN row.i AS i, found
