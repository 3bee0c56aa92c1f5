// Whether there is a job.
//   $id
RETURN EXISTS { (:Job {id: $id}) } AS known
