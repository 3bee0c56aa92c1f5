// How many of each kind a graph holds.
//   $graph_id
RETURN
  COUNT { (:Object {graph_id: $graph_id}) } AS objects,
  COUNT { (:Attribute {graph_id: $graph_id}) } AS attributes,
  COUNT { ()-[:RELATION {graph_id: $graph_id}]->() } AS relations,
  COUNT { ()-[:MOTION {graph_id: $graph_id}]->() } AS motions,
  COUNT { ()-[:REFERENCE {graph_id: $graph_id}]->() } AS references,
  COUNT { ()-[:EVENT {graph_id: $graph_id}]->() } AS events
