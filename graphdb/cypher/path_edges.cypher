// The stored edges of a reasoning path, in its order (STEP Sec. 3.2); an edge that is gone is left out,
// and so is a pair of objects that no edge joins.
//   $path  [{kind, start, end, predicate, target}]  start and end = ids of nodes; predicate and target tell edges between the
//          same two nodes apart: relations by the one, motions by both
CYPHER 25
UNWIND range(0, size($path) - 1) AS place
WITH place, $path[place] AS step
CALL (step) {
  MATCH (:Object {id: step.start})-[r:ATTRIBUTE|RELATION|MOTION|REFERENCE]->({id: step.end})
  WHERE type(r) = step.kind
    AND (step.kind IN ['ATTRIBUTE', 'REFERENCE'] OR r.predicate = step.predicate AND coalesce(r.target, '') = step.target)
  RETURN r
UNION ALL
  MATCH (:Video)-[r:EVENT]->(c:Clip {id: step.end})
  WHERE step.kind = 'EVENT' AND r.graph_id = c.graph_id
  RETURN r
}
RETURN r.id AS id ORDER BY place
