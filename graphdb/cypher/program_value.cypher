// An entity's attribute values of a type (STEP Sec. 3.2).
//   $rows  [{i, graph_id, of, type}]
// Rows of $rows are {i, graph_id, ...}; one result row for each, `found` is a set. An entity goes by the id of its first state.
CYPHER 25
UNWIND $rows AS row
CALL (row) {
  MATCH (:Object {id: row.of})-[:MOTION*0..]->(:Object)-[:ATTRIBUTE]->(a:Attribute)
  WHERE a.type = row.type
  RETURN collect(DISTINCT a.value) AS found
}
RETURN row.i AS i, found
