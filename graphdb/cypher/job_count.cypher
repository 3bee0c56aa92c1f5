// How many jobs there are of each kind and state. No parameters.
MATCH (j:Job)
RETURN [label IN labels(j) WHERE label <> 'Job'][0] AS kind, j.state AS state, count(*) AS count
