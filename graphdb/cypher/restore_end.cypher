// The restore has ended. No parameters.
MATCH (r:Restore)
DELETE r
