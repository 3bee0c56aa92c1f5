// Something that happened to a job, under the next number.
//   $id, $type, $data (JSON), $now
MATCH (j:Job {id: $id})
SET j.seq = j.seq + 1
WITH j
MERGE (e:JobEvent {id: j.id + '/' + j.seq})
SET e.job_id = j.id, e.seq = j.seq, e.type = $type, e.data = $data, e.created_at = $now
RETURN e.seq AS seq
