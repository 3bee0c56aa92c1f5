// What was found, where it is one of the options (STEP Sec. 3.2).
//   $rows  [{i, graph_id, of, option_1, option_2, ...}]
// Rows of $rows are {i, graph_id, ...}; one result row for each, `found` is a set.
CYPHER 25
UNWIND $rows AS row
RETURN row.i AS i, [k IN keys(row) WHERE k STARTS WITH 'option_' AND row[k] = row.of | row[k]] AS found
