// All nodes, but those that are about this database itself, each with the job that it belongs to. No parameters.
MATCH (n)
WHERE NOT n:Schema AND NOT n:Storage AND NOT n:Restore
RETURN elementId(n) AS key, labels(n) AS labels, properties(n) AS properties,
  CASE WHEN n:Job THEN n.id WHEN n:JobEvent THEN n.job_id WHEN n:Clip|Keyframe|Object|Attribute THEN n.graph_id END AS owner
