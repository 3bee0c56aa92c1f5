// Keep all others from changing what belongs to a job, until the end of the transaction.
//   $id
MATCH (j:Job {id: $id})
SET j.locked = true
REMOVE j.locked
RETURN j.id AS id
