// A file or a model that no unfinished job uses: none waits, works or rests with it as model, training or validation file.
//   $id, $label (File or Model)
CYPHER 25
MATCH (n:$($label) {id: $id})
WHERE NOT EXISTS {
  (j:Job) WHERE j.state IN ['queued', 'running', 'paused'] AND $id IN [j.model, j.training_file, j.validation_file, j.mixture_file]
}
DETACH DELETE n
RETURN count(*) AS deleted
