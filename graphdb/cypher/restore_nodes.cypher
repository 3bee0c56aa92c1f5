// Nodes with keys, by which edges find them. Jobs keep their labels for the end, so that no worker sees one before it is whole.
//   $rows  [{key, labels, later, properties}]
CYPHER 25
UNWIND $rows AS row
CREATE (n:Restored)
SET n = row.properties
SET n:$(row.labels)
SET n._restored = row.key, n._labels = row.later
