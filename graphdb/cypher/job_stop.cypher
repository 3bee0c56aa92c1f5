// A wish that a job stops: one that nobody works on stops at once, the holder of another sees $state in `stop`.
//   $id, $state (cancelled or paused), $now, $key
MATCH (j:Job {id: $id})
SET j.locked = true
REMOVE j.locked
WITH j, coalesce(j.key, '') = $key AS again
WHERE again OR j.state IN ['queued', 'running'] OR (j.state = 'paused' AND $state = 'cancelled')
SET j.finished_at = CASE WHEN j.state = 'running' THEN null WHEN $state = 'paused' THEN null ELSE $now END,
  j.stop = $state, j.key = CASE WHEN j.state = 'running' THEN j.key ELSE $key END,
  j.state = CASE WHEN j.state = 'running' THEN j.state ELSE $state END
RETURN properties(j) AS job
