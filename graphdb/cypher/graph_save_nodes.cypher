// Clips, keyframes, objects or attributes of one graph (STEP Sec. 3.1); twice is once.
//   $label  Clip, Keyframe, Object or Attribute;  $rows  [{id, labels, properties}], sorted by id
CYPHER 25
UNWIND $rows AS row
MERGE (n:$($label) {id: row.id})
SET n = row.properties
SET n:$(row.labels)
