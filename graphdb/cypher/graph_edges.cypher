// Edges of a graph of one type, in order of their ids: the index on ids finds the page and has it sorted.
//   TYPE          stands for the type, which is put into the text: no index on ids is used for one that is a parameter
//   $after, $end  the ids between them are those wanted;  $limit
CYPHER 25
MATCH (a)-[r:TYPE]->(b)
WHERE r.id > $after AND r.id < $end
RETURN r.id AS id, type(r) AS type, a.id AS source, b.id AS target, properties(r) AS properties
ORDER BY r.id LIMIT $limit
