// What an entity is called (STEP Sec. 3.2): its category and mark, from which its name is made.
//   $rows  [{i, graph_id, of}]
// Rows of $rows are {i, graph_id, ...}; one result row for each, `found` is a set. An entity goes by the id of its first state.
CYPHER 25
UNWIND $rows AS row
MATCH (e:Object {id: row.of})
RETURN row.i AS i, [[e.category, e.mark]] AS found
