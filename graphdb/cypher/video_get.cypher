// One video.
//   $id
MATCH (v:Video {id: $id})
RETURN properties(v) AS video
