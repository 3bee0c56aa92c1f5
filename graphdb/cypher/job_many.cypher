// Many jobs.
//   $ids
MATCH (j:Job) WHERE j.id IN $ids
RETURN properties(j) AS job
