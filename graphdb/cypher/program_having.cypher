// The entities of a clip, or of the video where no clip is given, with an attribute (STEP Sec. 3.2); an empty category takes any object.
//   $rows  [{i, graph_id, clip, category, type, value}]
// Rows of $rows are {i, graph_id, ...}; one result row for each, `found` is a set. An entity goes by the id of its first state.
CYPHER 25
UNWIND $rows AS row
CALL (row) {
  MATCH (e:Object {graph_id: row.graph_id})
  WHERE coalesce(row.clip, 0) <= e.clip <= coalesce(row.clip, 2147483647) AND row.category IN ['', e.category] AND NOT EXISTS { (:Object)-[:MOTION]->(e) }
    AND EXISTS { (e)-[:MOTION*0..]->(:Object)-[:ATTRIBUTE]->(a:Attribute) WHERE row.type IN ['', a.type] AND ' ' + a.value + ' ' CONTAINS ' ' + row.value + ' ' }
  RETURN collect(DISTINCT e.id) AS found
}
RETURN row.i AS i, found
