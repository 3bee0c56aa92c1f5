// All edges, with the jobs that their ends belong to. No parameters.
MATCH (a)-[r]->(b)
RETURN type(r) AS type, elementId(a) AS source, elementId(b) AS target, properties(r) AS properties,
  CASE WHEN a:Job THEN a.id WHEN a:JobEvent THEN a.job_id WHEN a:Clip|Keyframe|Object|Attribute THEN a.graph_id END AS source_owner,
  CASE WHEN b:Job THEN b.id WHEN b:JobEvent THEN b.job_id WHEN b:Clip|Keyframe|Object|Attribute THEN b.graph_id END AS target_owner
