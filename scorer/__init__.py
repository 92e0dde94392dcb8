"""The pure core: EQ-Bench scoring, baselines, detection. No I/O, clock, global randomness or logging."""
