// Which of two clips lasts longer, or less long; none where one can hardly tell (STEP Sec. 3.2).
//   $rows  [{i, graph_id, of, to, end}]  end = "most" or "least"
// Rows of $rows are {i, graph_id, ...}; one result row for each, `found` is a set.
CYPHER 25
UNWIND $rows AS row
CALL (row) {
  MATCH (a:Clip {graph_id: row.graph_id, index: row.of}), (b:Clip {graph_id: row.graph_id, index: row.to})
  WITH row, [[a.index, a.t_end - a.t_start, b.t_end - b.t_start], [b.index, b.t_end - b.t_start, a.t_end - a.t_start]] AS both
  UNWIND both AS x
  WITH row, x WHERE CASE row.end
    WHEN 'most' THEN x[1] - x[2] >= 0.3 AND x[1] >= x[2] * 1.2
    ELSE x[2] - x[1] >= 0.3 AND x[2] >= x[1] * 1.2 END
  RETURN collect(DISTINCT x[0]) AS found
}
RETURN row.i AS i, found
