// The clip in which an object is seen first or last, through any chain of references (STEP Sec. 3.2).
//   $rows  [{i, graph_id, of, end}]  end = "first" or "last"
// Rows of $rows are {i, graph_id, ...}; one result row for each, `found` is a set. An entity goes by the id of its first state.
CYPHER 25
UNWIND $rows AS row
CALL (row) {
  MATCH (:Object {id: row.of})-[:REFERENCE|MOTION*0..]-(e:Object)
  WITH DISTINCT row, e
  WHERE NOT EXISTS { (:Object)-[:MOTION]->(e) }
  WITH row, min(e.clip) AS earliest, max(e.clip) AS latest
  RETURN [CASE row.end WHEN 'first' THEN earliest ELSE latest END] AS found
}
RETURN row.i AS i, found
