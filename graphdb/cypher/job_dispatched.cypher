// A wake-up was sent.
//   $id, $now
MATCH (j:Job {id: $id})
SET j.dispatched_at = $now
