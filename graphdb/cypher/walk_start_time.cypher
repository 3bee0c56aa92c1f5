// The first pair of many walks that ask about time (STEP Sec. 3.2): an object and the event of a clip, or two objects.
//   $graphs  [{graph_id, slots, groups: [{kinds, slots, growing, draws: [[walk, draw]]}]}]  draws are uniform in [0, 1);
//            slots = those of all groups; growing = more than one step is wanted, so only pairs with something to expand are
//            eligible
//   $reach   how many clips two objects may be apart
// One row for each draw that finds a pair; each eligible pair is equally likely. Where the question has to find the clips, an
// object of a pair is in one clip only, and one that is not described further has a name of its own.
// An entity is told as [id, category, mark, clip]; `start` is its first state, `end` that of the other one, or the clip.
CYPHER 25
UNWIND $graphs AS g
CALL (g) {
  MATCH (e:Object {graph_id: g.graph_id})
  WHERE e.clip IS NOT NULL AND NOT EXISTS { (:Object)-[:MOTION]->(e) }
  MATCH (c:Clip {graph_id: g.graph_id, index: e.clip})
  WITH g, e, c.t_end - c.t_start AS seconds,
       COLLECT { MATCH (e)-[:MOTION*0..]->(:Object)-[:ATTRIBUTE]->(a:Attribute) RETURN DISTINCT [a.type, a.value] AS told ORDER BY told } AS told,
       COLLECT { MATCH (e)-[:MOTION*0..]->(:Object)-[:REFERENCE]-(b:Object)<-[:MOTION*0..]-(f:Object) RETURN f.id } AS kin,
       COLLECT { MATCH (e)-[:MOTION*0..]->(:Object)-[m:MOTION]->(:Object) RETURN sum(m.t_end - m.t_start) }[0] AS acts
  ORDER BY e.id
  RETURN collect({node: e, id: e.id, clip: e.clip, seconds: seconds, told: told, kin: kin, acts: acts, name: e.name}) AS seen
}
WITH g, [e IN seen | e {.*, alone: single(f IN seen WHERE f.name = e.name)}] AS seen
CALL (g, seen) {
  UNWIND [s IN g.slots WHERE s IN ['event', 'before', 'after', 'most', 'fewest', 'longest', 'shortest']] AS asked
  UNWIND seen AS e
  MATCH (c:Clip {graph_id: g.graph_id, index: e.clip + CASE asked WHEN 'before' THEN -1 WHEN 'after' THEN 1 ELSE 0 END})
  OPTIONAL MATCH (:Video)-[r:EVENT {graph_id: g.graph_id}]->(c)
  WITH asked, e, c, head(collect(r.evidence)) AS evidence
  RETURN e.alone AND size(e.kin) = 0 AS named, asked, 'EVENT' AS kind, e.node AS source, null AS target, '' AS label, '' AS value, '' AS other, c.id AS end,
         coalesce(evidence, []) AS evidence
UNION ALL
  WITH g, seen
  UNWIND seen AS e
  UNWIND [f IN seen WHERE e.clip <= f.clip <= e.clip + $reach AND e.id <> f.id AND (e.clip < f.clip OR e.id < f.id)] AS f
  UNWIND [s IN g.slots WHERE CASE
    WHEN s = 'acts_longer' THEN e.acts > 0 AND f.acts > 0 AND abs(e.acts - f.acts) >= 0.3
    WHEN e.clip = f.clip THEN false
    WHEN s IN ['first', 'last', 'same_value', 'other_value'] THEN true
    WHEN s = 'same_object' THEN f.id IN e.kin
    WHEN s = 'other_object' THEN NOT f.id IN e.kin
    WHEN size(e.kin) + size(f.kin) > 0 THEN false
    WHEN s = 'between' THEN f.clip = e.clip + 2
    WHEN s IN ['longer', 'shorter'] THEN abs(e.seconds - f.seconds) >= 0.3
    ELSE false END] AS asked
  UNWIND CASE
    WHEN asked IN ['same_value', 'other_value'] THEN
      reduce(found = [], a IN e.told | found + [b IN f.told WHERE a[0] = b[0] AND (a[1] = b[1]) = (asked = 'same_value') | [a[0], a[1], b[1]]])
    WHEN asked = 'acts_longer' THEN [['', toString(e.acts), toString(f.acts)]]
    ELSE [['', '', '']] END AS values
  RETURN e.alone AND f.alone AS named, asked, 'PAIR' AS kind, e.node AS source, f.node AS target, values[0] AS label, values[1] AS value, values[2] AS other,
         f.id AS end, [] AS evidence
}
WITH g, named, asked, kind, source, target, label, value, other, end, evidence
ORDER BY asked, source.id, target.id, label, value, other
WITH g, collect({named: named, asked: asked, kind: kind, source: source, target: target, label: label, value: value, other: other, end: end,
                 evidence: evidence}) AS pairs
UNWIND g.groups AS group
WITH group, [p IN pairs WHERE p.kind IN group.kinds AND p.asked IN group.slots
             AND CASE
               WHEN p.asked IN ['most', 'fewest', 'longest', 'shortest'] THEN NOT group.growing
               WHEN p.asked IN ['same_object', 'other_object', 'same_value', 'other_value'] THEN true
               ELSE group.growing OR p.named END] AS pairs
UNWIND group.draws AS d
WITH d[0] AS walk, pairs[toInteger(d[1] * size(pairs))] AS p
WHERE p IS NOT NULL
RETURN walk, p.asked AS asked, p.kind AS kind, p.label AS label, p.value AS value, p.other AS other,
       [p.source.id, p.source.category, p.source.mark, p.source.clip] AS source,
       CASE WHEN p.target IS NOT NULL THEN [p.target.id, p.target.category, p.target.mark, p.target.clip] END AS target,
       p.source.id AS start, p.end AS end, coalesce(p.source.keyframes, []) + coalesce(p.target.keyframes, []) AS keyframes,
       coalesce(p.source.evidence, []) + coalesce(p.target.evidence, []) + p.evidence AS evidence
ORDER BY walk
