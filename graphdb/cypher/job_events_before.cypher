// A job's events before a number, the newest first.
//   $id, $before (null for all), $limit
MATCH (e:JobEvent {job_id: $id})
WHERE $before IS NULL OR e.seq < $before
RETURN properties(e) AS event
ORDER BY e.seq DESC LIMIT $limit
