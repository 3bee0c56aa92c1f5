// Edges of a graph of one type, in order of their ids.
//   $graph_id, $type, $after (an id, "" for the first page), $limit
CYPHER 25
MATCH (a)-[r:$($type) {graph_id: $graph_id}]->(b)
WHERE r.id > $after
RETURN r.id AS id, type(r) AS type, a.id AS source, b.id AS target, properties(r) AS properties
ORDER BY id LIMIT $limit
