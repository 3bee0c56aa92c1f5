// Nodes of a graph of one label, in order of their ids: the index on ids finds the page and has it sorted.
//   LABEL         stands for the label, which is put into the text: no index on ids is used for one that is a parameter
//   $after, $end  the ids between them are those wanted;  $limit
CYPHER 25
MATCH (n:LABEL)
WHERE n.id > $after AND n.id < $end
RETURN n.id AS id, labels(n) AS labels, properties(n) AS properties
ORDER BY n.id LIMIT $limit
