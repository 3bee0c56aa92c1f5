// Jobs that need a wake-up: queued ones whose last is some time ago, and running ones whose lease has lapsed.
//   $now, $before (wake-ups older than this count as lost), $limit
MATCH (j:Job)
WHERE (j.state = 'queued' AND j.dispatched_at < $before AND coalesce(j.not_before, 0.0) <= $now)
   OR (j.state = 'running' AND j.lease_until < $now AND j.dispatched_at < $before)
RETURN properties(j) AS job
ORDER BY j.created_at LIMIT $limit
