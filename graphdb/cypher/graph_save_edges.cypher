// Edges of one type between nodes of one graph (STEP Sec. 3.1); twice is once. Fewer saved than rows: an end is missing.
//   $type, $from, $to  relationship type and the labels of its ends;  $rows  [{id, start, end, properties}], sorted by id
CYPHER 25
UNWIND $rows AS row
MATCH (a:$($from) {id: row.start})
MATCH (b:$($to) {id: row.end})
MERGE (a)-[r:$($type) {id: row.id}]->(b)
SET r = row.properties
RETURN count(r) AS saved
