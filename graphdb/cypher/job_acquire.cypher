// The lease of a job, with the next fencing token, where it is queued or its holder is gone.
//   $id, $owner, $now, $until
MATCH (j:Job {id: $id})
SET j.locked = true
REMOVE j.locked
WITH j
WHERE j.state = 'queued' OR (j.state = 'running' AND j.lease_until < $now)
SET j.state = 'running', j.owner = $owner, j.fence = j.fence + 1, j.attempts = j.attempts + 1,
  j.lease_until = $until, j.started_at = coalesce(j.started_at, $now)
RETURN j.fence AS token, properties(j) AS job
