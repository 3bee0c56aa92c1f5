// The clips that show the most or fewest objects, or the one that clearly lasts longest or shortest (STEP Sec. 3.2).
//   $rows  [{i, graph_id, by, end}]  by = "objects" or "seconds"; end = "most" or "least"
// Rows of $rows are {i, graph_id, ...}; one result row for each, `found` is a set. An entity goes by the id of its first state.
CYPHER 25
UNWIND $rows AS row
CALL (row) {
  MATCH (c:Clip {graph_id: row.graph_id}) WHERE c.index IS NOT NULL
  WITH row, c.index AS clip, c.t_end - c.t_start AS seconds,
       COUNT { MATCH (e:Object {graph_id: row.graph_id, clip: c.index}) WHERE NOT EXISTS { (:Object)-[:MOTION]->(e) } } AS objects
  WITH row, collect({clip: clip, seconds: seconds, objects: objects}) AS clips
  RETURN CASE row.by + ' ' + row.end
    WHEN 'objects most' THEN [a IN clips WHERE all(b IN clips WHERE a.objects >= b.objects) | a.clip]
    WHEN 'objects least' THEN [a IN clips WHERE all(b IN clips WHERE a.objects <= b.objects) | a.clip]
    WHEN 'seconds most' THEN
      [a IN clips WHERE all(b IN clips WHERE b.clip = a.clip OR a.seconds - b.seconds >= 0.3 AND a.seconds >= b.seconds * 1.2) | a.clip]
    ELSE [a IN clips WHERE all(b IN clips WHERE b.clip = a.clip OR b.seconds - a.seconds >= 0.3 AND b.seconds >= a.seconds * 1.2) | a.clip]
    END AS found
}
RETURN row.i AS i, found
