// The lease of a job, with the next fencing token, where it is queued and due or its holder is gone; or again to the same
// request.
//   $id, $owner, $now, $until, $ahead (a lease beyond it is of a clock that was set back since), $key
MATCH (j:Job {id: $id})
SET j.locked = true
REMOVE j.locked
WITH j, j.state = 'running' AND coalesce(j.key, '') = $key AS again
WHERE again OR (j.state = 'queued' AND coalesce(j.not_before, 0.0) <= $now)
  OR (j.state = 'running' AND (j.lease_until < $now OR j.lease_until > $ahead))
WITH j, CASE WHEN again THEN 0 ELSE 1 END AS one
SET j.state = 'running', j.owner = $owner, j.fence = j.fence + one, j.attempts = j.attempts + one,
  j.lease_until = $until, j.started_at = coalesce(j.started_at, $now), j.key = $key
RETURN j.fence AS token, properties(j) AS job
