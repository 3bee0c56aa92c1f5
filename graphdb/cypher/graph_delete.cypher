// Some of a graph's nodes with their edges; run until it deletes none.
//   $graph_id, $limit
MATCH (n:Clip|Keyframe|Object|Attribute {graph_id: $graph_id})
WITH n LIMIT $limit
DETACH DELETE n
RETURN count(*) AS deleted
