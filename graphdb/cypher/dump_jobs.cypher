// All jobs. A settled one has ended well, so that nothing of it changes any more, unless it is deleted. No parameters.
MATCH (j:Job)
RETURN j.id AS id, j.deleting IS NOT NULL AS deleting, j.state = 'succeeded' AND j.deleting IS NULL AS settled
