// One mark of the storage and one note of a restore: MERGE alone may double, and may have doubled the mark already.
MATCH (s:Storage) WITH s ORDER BY elementId(s) SKIP 1 DETACH DELETE s;
CREATE CONSTRAINT storage_id IF NOT EXISTS FOR (n:Storage) REQUIRE n.id IS UNIQUE;
CREATE CONSTRAINT restore_id IF NOT EXISTS FOR (n:Restore) REQUIRE n.id IS UNIQUE;
