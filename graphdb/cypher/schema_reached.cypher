// The database has had a step.
//   $version, its number
MATCH (s:Schema {id: 'stsg'})
SET s.version = $version
