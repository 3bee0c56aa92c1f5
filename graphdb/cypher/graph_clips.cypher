// The clips of a graph with their keyframes, in order.
//   $graph_id
MATCH (c:Clip {graph_id: $graph_id})
OPTIONAL MATCH (c)-[:HAS_KEYFRAME]->(k:Keyframe)
WITH c, k ORDER BY k.t
RETURN properties(c) AS clip, collect(properties(k)) AS keyframes
ORDER BY clip.index
