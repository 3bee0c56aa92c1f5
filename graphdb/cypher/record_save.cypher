// What is known of a file or a model; the first one wins.
//   $id, $label (File or Model), $properties
CYPHER 25
MERGE (n:$($label) {id: $id})
ON CREATE SET n += $properties
RETURN properties(n) AS record
