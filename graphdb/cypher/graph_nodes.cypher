// Nodes of a graph of one label, in order of their ids.
//   $graph_id, $label, $after (an id, "" for the first page), $limit
CYPHER 25
MATCH (n:$($label) {graph_id: $graph_id})
WHERE n.id > $after
RETURN n.id AS id, labels(n) AS labels, properties(n) AS properties
ORDER BY id LIMIT $limit
