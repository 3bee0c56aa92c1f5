// What happens in a clip (STEP Sec. 3.2).
//   $rows  [{i, graph_id, of}]
// Rows of $rows are {i, graph_id, ...}; one result row for each, `found` is a set.
CYPHER 25
UNWIND $rows AS row
CALL (row) {
  MATCH (:Video)-[e:EVENT]->(:Clip {graph_id: row.graph_id, index: row.of})
  WHERE e.graph_id = row.graph_id
  RETURN collect(DISTINCT e.description) AS found
}
RETURN row.i AS i, found
