// A job that has ended, and its events.
//   $id
MATCH (j:Job {id: $id})
SET j.locked = true
REMOVE j.locked
WITH j
WHERE NOT j.state IN ['queued', 'running']
OPTIONAL MATCH (e:JobEvent {job_id: $id})
DETACH DELETE j, e
RETURN count(*) AS deleted
