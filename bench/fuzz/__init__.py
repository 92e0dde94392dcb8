"""Coverage-guided fuzzing of everything that reads bytes from outside: head rules, event streams, dialects, codings."""
