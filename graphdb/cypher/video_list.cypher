// Videos, newest first.
//   $after (the id of the last one of the page before, or null), $limit
OPTIONAL MATCH (last:Video {id: $after})
WITH last
MATCH (v:Video)
WHERE last IS NULL OR v.created_at < last.created_at OR (v.created_at = last.created_at AND v.id < last.id)
RETURN properties(v) AS video
ORDER BY v.created_at DESC, v.id DESC LIMIT $limit
