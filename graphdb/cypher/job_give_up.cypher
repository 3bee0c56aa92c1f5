// The running jobs of a holder that is no more: their leases have lapsed, and no wake-up counts as sent.
//   $owner
MATCH (j:Job {state: 'running', owner: $owner})
SET j.lease_until = 0.0, j.dispatched_at = 0.0
RETURN properties(j) AS job
