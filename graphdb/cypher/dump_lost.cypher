// Of some jobs, how many were deleted since, or are being deleted.
//   $ids
UNWIND $ids AS id
OPTIONAL MATCH (j:Job {id: id})
WITH j WHERE j IS NULL OR j.deleting IS NOT NULL
RETURN count(*) AS lost
