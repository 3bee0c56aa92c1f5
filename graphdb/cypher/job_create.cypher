// A job, where there is none of this id; the record is what is true, a message is only a wake-up.
//   $id, $label (Run, QraDataset or Evaluation), $properties, $now
CYPHER 25
MERGE (j:Job {id: $id})
ON CREATE SET j.state = 'queued', j.fence = 0, j.attempts = 0, j.seq = 0, j.done = 0, j.total = 0, j.stage = '',
  j.created_at = $now, j.dispatched_at = 0.0, j.lease_until = 0.0, j.new = true, j += $properties
SET j:$([$label])
WITH j, j.new AS created
REMOVE j.new
RETURN properties(j) AS job, coalesce(created, false) AS created
