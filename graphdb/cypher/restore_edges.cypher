// Edges between nodes with keys. Fewer made than rows: an end is missing.
//   $rows  [{type, source, target, properties}]
CYPHER 25
UNWIND $rows AS row
MATCH (a:Restored {_restored: row.source})
MATCH (b:Restored {_restored: row.target})
CREATE (a)-[r:$(row.type)]->(b)
SET r = row.properties
RETURN count(r) AS made
