// A video that no run refers to.
//   $id
MATCH (v:Video {id: $id})
WHERE NOT EXISTS { (j:Run) WHERE j.video_id = $id }
DETACH DELETE v
RETURN count(*) AS deleted
