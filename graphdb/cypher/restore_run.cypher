// The run that restores now. No parameters.
OPTIONAL MATCH (r:Restore {id: 'restore'})
RETURN r.run AS run
