// Of the names of stored folders, those that a node is about; a model's folder has "_" for ":".
//   $names
MATCH (n:Video|Job|File|Model)
WHERE n.id IN $names OR (n:Model AND replace(n.id, ':', '_') IN $names)
RETURN collect(DISTINCT replace(n.id, ':', '_')) AS known
