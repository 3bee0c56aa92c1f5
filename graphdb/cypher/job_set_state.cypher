// A change of state from outside: cancelled, or queued again.
//   $id, $from (states), $properties
MATCH (j:Job {id: $id})
SET j.locked = true
REMOVE j.locked
WITH j
WHERE j.state IN $from
SET j += $properties
RETURN properties(j) AS job
