// The version of the database, with a lock on it until the end of the transaction. No parameters.
MERGE (s:Schema {id: 'stsg'})
SET s.locked = true
REMOVE s.locked
RETURN coalesce(s.version, 0) AS version
