// What a database holds besides its own version: how much, and whether a restore was begun and has not ended. No parameters.
OPTIONAL MATCH (n)
WHERE NOT n:Schema AND NOT n:Storage AND NOT n:Restore
RETURN count(n) AS nodes, EXISTS { (:Restore) } AS restoring
