// A video; the first one wins.
//   $id, $properties
MERGE (v:Video {id: $id})
ON CREATE SET v += $properties
RETURN properties(v) AS video
