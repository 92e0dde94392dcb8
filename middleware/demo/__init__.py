"""The demonstration: the whole product at work on a real local model, step by step, saying what is real."""
