// Delete some of what there is, but the note of the restore; run until it deletes none.
//   $limit
MATCH (n)
WHERE NOT n:Restore
WITH n LIMIT $limit
DETACH DELETE n
RETURN count(*) AS done
