// A clip, to be called by its number (STEP Sec. 3.2).
//   $rows  [{i, graph_id, of}]
// Rows of $rows are {i, graph_id, ...}; one result row for each, `found` is a set.
CYPHER 25
UNWIND $rows AS row
RETURN row.i AS i, [row.of] AS found
