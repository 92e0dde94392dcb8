"""SIGKILLs at random moments: what was acknowledged is never lost and never counted twice."""
