// Whether what was found is what is claimed (STEP Sec. 3.2).
//   $rows  [{i, graph_id, of, value}]
// Rows of $rows are {i, graph_id, ...}; one result row for each, `found` is a set.
CYPHER 25
UNWIND $rows AS row
RETURN row.i AS i, [CASE WHEN row.of = row.value THEN 'yes' ELSE 'no' END] AS found
