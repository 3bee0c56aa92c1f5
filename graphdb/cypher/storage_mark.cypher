// The mark of the storage whose files this database's nodes are about.
OPTIONAL MATCH (s:Storage {id: 'files'})
RETURN s.mark AS mark
