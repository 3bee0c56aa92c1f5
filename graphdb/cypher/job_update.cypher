// What the holder of the token tells of its work; also how it ends.
//   $id, $token, $properties
MATCH (j:Job {id: $id})
SET j.locked = true
REMOVE j.locked
WITH j
WHERE j.fence = $token AND j.state = 'running'
SET j += $properties
RETURN properties(j) AS job
