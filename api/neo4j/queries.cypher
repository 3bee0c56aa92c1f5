// Saved queries for Neo4j Browser: drop this file on the favourites drawer, or fetch it with ?run=RUN.
// Each query has its title in the comment above it and is about one run, $run.

// The whole graph: objects on their keyframes, what they are like, how they stand, what they do, where they come back.
MATCH (v:Video)-[:HAS_CLIP]->(c:Clip {graph_id: $run})
OPTIONAL MATCH (c)-[:HAS_KEYFRAME]->(k:Keyframe)
OPTIONAL MATCH (k)-[:SHOWS]->(o:Object)
OPTIONAL MATCH (o)-[:ATTRIBUTE]->(a:Attribute)
RETURN v, c, k, o, a

// The story: one event per clip, in order.
MATCH p = (:Video)-[:EVENT {graph_id: $run}]->(c:Clip)
RETURN p ORDER BY c.index

// What moves: the states of each dynamic object and the motion between them.
MATCH p = (:Dynamic)-[:MOTION {graph_id: $run}]->(:Dynamic)
RETURN p

// Who comes back: the same object in different clips.
MATCH p = (:Object)-[:REFERENCE {graph_id: $run}]->(:Object)
RETURN p

// How things stand: spatial and other relations.
MATCH p = (:Object)-[:RELATION {graph_id: $run}]->(:Object)
RETURN p LIMIT 200

// What the first clip shows: its keyframes and the objects on them.
MATCH p = (:Clip {graph_id: $run, index: 0})-[:HAS_KEYFRAME]->(:Keyframe)-[:SHOWS]->(:Object)
RETURN p

// The most connected objects, as a table.
MATCH (o:Object {graph_id: $run})-[r:RELATION|MOTION|REFERENCE|ATTRIBUTE]-()
RETURN o.name AS object, o.clip AS clip, count(r) AS edges ORDER BY edges DESC, object LIMIT 20

// Audit: objects that nothing connects to anything.
MATCH (o:Object {graph_id: $run}) WHERE NOT (o)-[:RELATION|MOTION|REFERENCE|ATTRIBUTE]-()
RETURN o
