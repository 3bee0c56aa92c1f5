// Make jobs of some that were kept back; run until there are none. Those that waited or were at work wait again, for a worker
// of this database.
//   $limit
CYPHER 25
MATCH (n:Restored)
WITH n LIMIT $limit
SET n:$(n._labels)
REMOVE n:Restored, n._restored, n._labels
WITH collect(n) AS jobs
FOREACH (j IN [j IN jobs WHERE j.state = 'running' AND j.attempts > 0] | SET j.attempts = j.attempts - 1)
FOREACH (j IN [j IN jobs WHERE j.state IN ['queued', 'running']] |
  SET j.state = 'queued', j.lease_until = 0.0, j.dispatched_at = 0.0, j.not_before = 0.0, j.troubled_since = 0.0
  REMOVE j.owner, j.key)
RETURN size(jobs) AS done
