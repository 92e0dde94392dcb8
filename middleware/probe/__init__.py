"""Asks a model how the user of a sampled conversation feels, and keeps its scores, never the text."""
