// Files or models, newest first.
//   $label (File or Model), $job_id and $kind (null for any), $after (the id of the last one of the page before, or null), $limit
CYPHER 25
OPTIONAL MATCH (last:$($label) {id: $after})
WITH last
MATCH (n:$($label))
WHERE ($job_id IS NULL OR n.job_id = $job_id) AND ($kind IS NULL OR n.kind = $kind)
  AND (last IS NULL OR n.created_at < last.created_at OR (n.created_at = last.created_at AND n.id < last.id))
RETURN properties(n) AS record
ORDER BY n.created_at DESC, n.id DESC LIMIT $limit
