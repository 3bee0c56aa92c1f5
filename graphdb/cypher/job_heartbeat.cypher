// A longer lease for the holder of the token.
//   $id, $token, $until
MATCH (j:Job {id: $id})
SET j.locked = true
REMOVE j.locked
WITH j
WHERE j.fence = $token AND j.state = 'running'
SET j.lease_until = $until
RETURN j.id AS id
