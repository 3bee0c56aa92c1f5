// A change of state from outside: cancelled, or queued again.
//   $id, $from (states), $properties, $key
MATCH (j:Job {id: $id})
SET j.locked = true
REMOVE j.locked
WITH j
WHERE j.deleting IS NULL AND (j.state IN $from OR (j.state = $properties.state AND coalesce(j.key, '') = $key))
SET j += $properties, j.key = $key
RETURN properties(j) AS job
