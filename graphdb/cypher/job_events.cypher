// A job's events after a number, in order.
//   $id, $after, $limit
MATCH (e:JobEvent {job_id: $id})
WHERE e.seq > $after
RETURN properties(e) AS event
ORDER BY e.seq LIMIT $limit
