// What is newly known of a file or a model.
//   $id, $label (File or Model), $properties
CYPHER 25
MATCH (n:$($label) {id: $id})
SET n += $properties
