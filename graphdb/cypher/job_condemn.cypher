// A job that is to be deleted: one that has ended, and that no unfinished job uses as data. It is neither taken up nor made
// again from here on, so that what belongs to it can go first and its record last, and a deletion that broke off be repeated.
//   $id
MATCH (j:Job {id: $id})
SET j.locked = true
REMOVE j.locked
WITH j
WHERE NOT j.state IN ['queued', 'running'] AND NOT EXISTS {
  (u:Job) WHERE u.state IN ['queued', 'running', 'paused']
    AND ($id IN [u.training_file, u.validation_file, u.mixture_file] OR $id IN coalesce(u.runs, []))
}
SET j.deleting = true
RETURN j.id AS id
