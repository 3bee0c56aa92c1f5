// The version of the database, and whether a restore of it was begun and has not ended. No parameters.
OPTIONAL MATCH (s:Schema {id: 'stsg'})
RETURN coalesce(s.version, 0) AS version, EXISTS { (:Restore) } AS restoring
