// Jobs of one label, newest first.
//   $label, $state and $video_id (null for any), $after (an id or null), $limit
CYPHER 25
OPTIONAL MATCH (last:Job {id: $after})
WITH last
MATCH (j:$($label))
WHERE ($state IS NULL OR j.state = $state) AND ($video_id IS NULL OR j.video_id = $video_id)
  AND (last IS NULL OR j.created_at < last.created_at OR (j.created_at = last.created_at AND j.id < last.id))
RETURN properties(j) AS job
ORDER BY j.created_at DESC, j.id DESC LIMIT $limit
