// Jobs that need a wake-up: queued ones whose last is some time ago, and running ones whose lease has lapsed.
// First those whose lease has lapsed, then those that no message was ever sent for: a long queue must not keep them waiting.
// Times beyond $ahead are of a clock that was set back since.
//   $stages, $now, $before (wake-ups older than this count as lost), $ahead, $limit
MATCH (j:Job)
WHERE j.stage IN $stages AND (j.dispatched_at < $before OR j.dispatched_at > $ahead)
  AND (j.state = 'queued' AND coalesce(j.not_before, 0.0) <= $now OR j.state = 'running' AND (j.lease_until < $now OR j.lease_until > $ahead))
RETURN properties(j) AS job
ORDER BY j.state = 'queued', j.dispatched_at > 0, j.created_at LIMIT $limit
