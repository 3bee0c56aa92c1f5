// Take the keys off some nodes, but jobs; run until there are none.
//   $limit
MATCH (n:Restored)
WHERE n._labels IS NULL
WITH n LIMIT $limit
REMOVE n:Restored, n._restored
RETURN count(*) AS done
