// One file or model.
//   $id, $label (File or Model)
CYPHER 25
MATCH (n:$($label) {id: $id})
RETURN properties(n) AS record
