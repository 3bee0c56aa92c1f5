// What the holder of the token tells of its work; also how it ends.
//   $id, $token, $properties, $key
MATCH (j:Job {id: $id})
SET j.locked = true
REMOVE j.locked
WITH j
WHERE j.fence = $token AND (j.state = 'running' OR coalesce(j.key, '') = $key)
SET j += $properties, j.key = $key
RETURN properties(j) AS job
