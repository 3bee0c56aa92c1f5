// The first pair of many walks at once (STEP Sec. 3.2, "N-step Expansion"): an edge and the slot of it that is asked.
//   $graphs  [{graph_id, groups: [{kinds, slots, growing, draws: [[walk, draw]]}]}]  draws are uniform in [0, 1)
//            growing = more than one step is wanted, so only pairs with something to expand are eligible
// One row for each draw that finds a pair; each eligible pair is equally likely. Attribute and motion lead to values.
// Which object has a value is not asked where the object's name tells it.
// An entity is told as [id, category, mark, clip]; `start` and `end` are the states that the edge joins.
CYPHER 25
UNWIND $graphs AS g
CALL (g) {
  MATCH (e:Object {graph_id: g.graph_id})
  WHERE e.clip IS NOT NULL AND NOT EXISTS { (:Object)-[:MOTION]->(e) }
  MATCH (e)-[:MOTION*0..]->(s:Object)-[r:ATTRIBUTE|RELATION|MOTION|REFERENCE]->(b)
  WITH e, s, r, b, type(r) AS kind
  CALL (kind, b) {
    WHEN kind IN ['ATTRIBUTE', 'MOTION'] THEN { RETURN null AS f }
    ELSE { MATCH (f:Object)-[:MOTION*0..]->(b) WHERE NOT EXISTS { (:Object)-[:MOTION]->(f) } RETURN f }
  }
  WITH * WHERE f IS NULL OR f <> e
  WITH e, f, s, r, b, kind, coalesce(r.predicate, b.type, '') AS label,
       CASE WHEN f IS NULL THEN coalesce(r.target, b.value, '') ELSE '' END AS value
  ORDER BY s.id, b.id
  WITH e, f, kind, label, value, head(collect({s: s, r: r, b: b})) AS hop
  UNWIND CASE kind
    WHEN 'ATTRIBUTE' THEN CASE WHEN value IN split(e.mark + ' ' + e.category, ' ') THEN ['value'] ELSE ['value', 'owner'] END
    WHEN 'MOTION' THEN CASE value WHEN '' THEN ['action', 'actor'] ELSE ['action', 'actor', 'target'] END
    WHEN 'RELATION' THEN ['subject', 'object', 'predicate']
    ELSE ['here', 'there', 'here_clip', 'there_clip', 'first_clip', 'last_clip'] END AS asked
  WITH e, f, kind, label, value, hop, asked ORDER BY kind, e.id, f.id, label, value, asked
  WITH collect({asked: asked, kind: kind, label: label, value: value, source: e, target: f,
                start: hop.s, edge: hop.r, end: hop.b}) AS pairs
  RETURN pairs
}
UNWIND g.groups AS group
WITH group, [p IN pairs WHERE p.kind IN group.kinds AND p.asked IN group.slots AND NOT (group.growing AND p.asked IN ['owner', 'actor'])] AS pairs
UNWIND group.draws AS d
WITH d[0] AS walk, pairs[toInteger(d[1] * size(pairs))] AS p
WHERE p IS NOT NULL
RETURN walk, p.asked AS asked, p.kind AS kind, p.label AS label, p.value AS value,
       [p.source.id, p.source.category, p.source.mark, p.source.clip] AS source,
       CASE WHEN p.target IS NOT NULL THEN [p.target.id, p.target.category, p.target.mark, p.target.clip] END AS target,
       p.start.id AS start, p.end.id AS end,
       coalesce(p.start.keyframes, []) + coalesce(p.edge.keyframes, []) + coalesce(p.end.keyframes, []) AS keyframes,
       coalesce(p.start.evidence, []) + coalesce(p.edge.evidence, []) + coalesce(p.end.evidence, []) AS evidence
ORDER BY walk
