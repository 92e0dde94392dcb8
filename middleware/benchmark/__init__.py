"""Benchmark runs: which items there are, in which order they are asked, how a run is carried out and saved."""
