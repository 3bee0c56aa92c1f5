// The background of questions about some graphs: their clips, events and who is in each clip (STEP Sec. 3.2).
//   $graph_ids  [graph id]
// One row for each clip, in order. An entity is the first state of an object: no motion leads to it.
CYPHER 25
UNWIND $graph_ids AS graph_id
MATCH (c:Clip {graph_id: graph_id}) WHERE c.index IS NOT NULL
CALL (c) {
  MATCH (:Video)-[e:EVENT {graph_id: c.graph_id}]->(c)
  WITH e ORDER BY e.description
  RETURN collect(DISTINCT e.description) AS events
}
CALL (c) {
  MATCH (o:Object {graph_id: c.graph_id, clip: c.index})
  WHERE NOT EXISTS { (:Object)-[:MOTION]->(o) }
  WITH o ORDER BY o.id
  RETURN collect({id: o.id, category: o.category, mark: o.mark}) AS entities
}
RETURN graph_id, c.video_id AS video_id, c.index AS index, c.t_start AS t_start, c.t_end AS t_end, events, entities
ORDER BY graph_id, index
