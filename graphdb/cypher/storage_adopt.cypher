// Mark this database as the one of a storage; the first mark stays.
//   $mark
MERGE (s:Storage {id: 'files'})
ON CREATE SET s.mark = $mark
RETURN s.mark AS mark
