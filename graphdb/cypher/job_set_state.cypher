// A change of state from outside: cancelled, or queued again.
//   $id, $from (states), $properties
MATCH (j:Job {id: $id})
WHERE j.state IN $from
SET j += $properties
RETURN properties(j) AS job
