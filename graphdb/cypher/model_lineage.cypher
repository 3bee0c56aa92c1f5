// Where a model comes from, as edges: the job that made it, what it was trained on, and the model it was before.
//   $id, $job_id, $base, $dataset (ids; those that are no nodes give no edge)
MATCH (m:Model {id: $id})
CALL (m) {
  MATCH (j:Job {id: $job_id})
  MERGE (m)-[:MADE_BY]->(j)
}
CALL (m) {
  MATCH (d:Job {id: $dataset})
  MERGE (m)-[:TRAINED_ON]->(d)
}
CALL (m) {
  MATCH (d:File {id: $dataset})
  MERGE (m)-[:TRAINED_ON]->(d)
}
CALL (m) {
  MATCH (b:Model {id: $base})
  MERGE (m)-[:TUNED_FROM]->(b)
}
RETURN m.id AS id
