// Take the turn to write a batch; no row where it was written already, or another run has begun.
//   $run, $batch, its number from 1
MATCH (r:Restore {id: 'restore', run: $run})
SET r.locked = true
REMOVE r.locked
WITH r WHERE r.batch < $batch
SET r.batch = $batch
RETURN r.batch AS batch
