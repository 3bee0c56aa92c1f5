// A longer lease for the holder of the token, unless it was given up (set to 0).
//   $id, $token, $until
MATCH (j:Job {id: $id})
SET j.locked = true
REMOVE j.locked
WITH j
WHERE j.fence = $token AND j.state = 'running' AND j.lease_until > 0
SET j.lease_until = $until
RETURN j.id AS id
