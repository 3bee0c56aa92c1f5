// The stored edges of a reasoning path, in its order (STEP Sec. 3.2); an edge that is gone is left out.
//   $path  [{kind, start, end, predicate, target}]  start and end = ids of nodes; predicate and target tell edges between the
//          same two nodes apart: relations by the one, motions by both
CYPHER 25
UNWIND range(0, size($path) - 1) AS place
WITH place, $path[place] AS step
MATCH (:Object {id: step.start})-[r:ATTRIBUTE|RELATION|MOTION|REFERENCE]->({id: step.end})
WHERE type(r) = step.kind
  AND (step.kind IN ['ATTRIBUTE', 'REFERENCE'] OR r.predicate = step.predicate AND coalesce(r.target, '') = step.target)
RETURN r.id AS id ORDER BY place
