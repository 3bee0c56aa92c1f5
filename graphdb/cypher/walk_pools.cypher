// What answers some graphs hold, and how often: values by type, predicates, actions, things acted upon, events (STEP Sec. 3.2).
//   $graph_ids  [graph id]
// One row for each: the pool as a list, and the answer as words that are still to be joined.
CYPHER 25
UNWIND $graph_ids AS graph_id
CALL (graph_id) {
  MATCH (a:Attribute {graph_id: graph_id})
  RETURN ['value', a.type] AS pool, [a.value, ''] AS answer, count(*) AS times
UNION ALL
  MATCH (o:Object {graph_id: graph_id})-[r:RELATION]->()
  RETURN ['predicate'] AS pool, [r.predicate, ''] AS answer, count(*) AS times
UNION ALL
  MATCH (o:Object {graph_id: graph_id})-[m:MOTION]->()
  RETURN ['action'] AS pool, [m.predicate, coalesce(m.target, '')] AS answer, count(*) AS times
UNION ALL
  MATCH (o:Object {graph_id: graph_id})-[m:MOTION]->() WHERE m.target <> ''
  RETURN ['target'] AS pool, [m.target, ''] AS answer, count(*) AS times
UNION ALL
  MATCH (:Video)-[e:EVENT {graph_id: graph_id}]->(:Clip)
  RETURN ['event'] AS pool, [e.description, ''] AS answer, count(*) AS times
UNION ALL
  MATCH (o:Object {graph_id: graph_id}) WHERE NOT EXISTS { (:Object)-[:MOTION]->(o) }
  RETURN ['name'] AS pool, [o.category, coalesce(o.mark, '')] AS answer, count(*) AS times
}
RETURN graph_id, pool, answer, times
ORDER BY graph_id, pool, answer
