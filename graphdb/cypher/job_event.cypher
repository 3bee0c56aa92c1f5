// Something that happened to a job, under the next number; the same key again is the same event.
//   $id, $key, $type, $data (JSON), $now
MATCH (j:Job {id: $id})
SET j.locked = true
REMOVE j.locked
WITH j
MERGE (e:JobEvent {id: $key})
ON CREATE SET e.job_id = j.id, e.seq = j.seq + 1, e.type = $type, e.data = $data, e.created_at = $now
SET j.seq = CASE WHEN e.seq > j.seq THEN e.seq ELSE j.seq END
RETURN e.seq AS seq
