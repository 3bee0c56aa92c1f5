// One expansion of many walks at once (STEP Sec. 3.2, "N-step Expansion").
//   $groups  [{open, weights, walks: [[walk, draw, last, seen, used, crossed, mine]]}]  open = the paper's Q of all walks of the
//            group, mine = that of one; weights = by kind of edge, as [[kind, weight]], or empty where all weigh the same;
//            draw is uniform in [0, 1); last = this is the N-th step; seen = Q and A together (entity ids);
//            used = the values already on the path, as [entity id, kind, label, value];
//            crossed = the entities that a reference led to, because two in a row say no more than one
// One row for each walk that can be expanded; each eligible expansion (entity of Q and edge) is equally likely, or
// as likely as its kind of edge weighs; a kind that is not listed then weighs nothing.
// An edge to a value (attribute, motion) ends its branch, so before the last step it is eligible only where nothing else is.
// A value that the entity's name tells describes nothing, so it is not eligible.
// A relation is followed from object to subject only where the two have none the other way, which reads better.
// An entity is told as [id, category, mark, clip]; `start` and `end` are the states that the edge joins.
CYPHER 25
UNWIND $groups AS g
CALL (g) {
  UNWIND g.open AS node
  MATCH (e:Object {id: node})
  MATCH (e)-[:MOTION*0..]->(s:Object)-[r:ATTRIBUTE|RELATION|MOTION|REFERENCE]-(b)
  WITH e, s, r, b, type(r) AS kind, startNode(r) = s AS forward
  WHERE CASE kind WHEN 'MOTION' THEN forward WHEN 'ATTRIBUTE' THEN NOT b.value IN split(e.mark + ' ' + e.category, ' ') ELSE true END
  CALL (kind, b) {
    WHEN kind IN ['ATTRIBUTE', 'MOTION'] THEN { RETURN null AS f }
    ELSE { MATCH (f:Object)-[:MOTION*0..]->(b) WHERE NOT EXISTS { (:Object)-[:MOTION]->(f) } RETURN f }
  }
  WITH e, f, s, r, b, kind, forward, coalesce(r.predicate, b.type, '') AS label,
       CASE WHEN f IS NULL THEN coalesce(r.target, b.value, '') ELSE '' END AS value
  ORDER BY s.id, b.id
  WITH e, f, kind, forward, label, value, head(collect({s: s, r: r, b: b})) AS hop
  WITH e, f, kind, collect({forward: forward, label: label, value: value, hop: hop}) AS hops
  UNWIND CASE WHEN kind = 'RELATION' AND any(h IN hops WHERE h.forward) THEN [h IN hops WHERE h.forward] ELSE hops END AS h
  WITH e, f, kind, h ORDER BY kind, e.id, f.id, h.forward, h.label, h.value
  WITH e, collect({expanded: e.id, entered: f.id, used: [e.id, kind, h.label, h.value], kind: kind, forward: h.forward,
                   label: h.label, value: h.value, other: f, start: h.hop.s, edge: h.hop.r, end: h.hop.b}) AS options
  ORDER BY e.id
  RETURN collect({expanded: e.id, options: options}) AS entities
}
WITH g, CASE size(g.weights) WHEN 0 THEN entities
  ELSE [n IN entities | n {.expanded, options: [o IN n.options WHERE any(k IN g.weights WHERE k[0] = o.kind AND k[1] > 0)]}] END AS entities
UNWIND g.walks AS w
WITH g, w, reduce(found = [], n IN entities | CASE WHEN n.expanded IN w[6] THEN found + n.options ELSE found END) AS options
WITH g, w, [o IN options WHERE o.entered IS NOT NULL AND NOT o.entered IN w[3] AND NOT (o.kind = 'REFERENCE' AND o.expanded IN w[5])] AS growing,
     [o IN options WHERE o.entered IS NULL AND NOT o.used IN w[4]] AS ending
WITH g, w, CASE WHEN w[2] THEN ending + growing WHEN size(growing) = 0 THEN ending ELSE growing END AS choices
WITH w, choices, CASE size(g.weights) WHEN 0 THEN []
  ELSE [o IN choices | head([k IN g.weights WHERE k[0] = o.kind | k[1]])] END AS weights
WITH w[0] AS walk, choices[CASE
  WHEN size(weights) = 0 THEN toInteger(w[1] * size(choices))
  ELSE reduce(s = {left: w[1] * reduce(sum = 0.0, x IN weights | sum + x), at: 0}, x IN weights |
    CASE WHEN s.left >= x THEN {left: s.left - x, at: s.at + 1} ELSE {left: -1.0, at: s.at} END).at END] AS c
WHERE c IS NOT NULL
RETURN walk, c.expanded AS expanded, c.entered AS entered, c.kind AS kind, c.forward AS forward, c.label AS label, c.value AS value,
       CASE WHEN c.other IS NOT NULL THEN [c.other.id, c.other.category, c.other.mark, c.other.clip] END AS other,
       c.start.id AS start, c.end.id AS end,
       coalesce(c.start.keyframes, []) + coalesce(c.edge.keyframes, []) + coalesce(c.end.keyframes, []) AS keyframes,
       coalesce(c.start.evidence, []) + coalesce(c.edge.evidence, []) + coalesce(c.end.evidence, []) AS evidence
ORDER BY walk
