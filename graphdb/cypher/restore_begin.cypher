// Note that a restore is on its way: from here on the database holds only parts. A run before this one can write no more.
//   $run, what tells this one from those before it
MERGE (r:Restore {id: 'restore'})
SET r.run = $run, r.batch = 0
