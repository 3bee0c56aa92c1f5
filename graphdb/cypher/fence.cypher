// Proof, inside a writing transaction, that the writer still holds the job's lease; locks the job until the commit.
//   $job_id, $token
MATCH (j:Job {id: $job_id})
SET j.locked = true
REMOVE j.locked
WITH j
WHERE j.fence = $token AND j.state = 'running'
RETURN j.id AS id
