"""Simulated installations on real models' answers: how fast the detectors are, and how often they cry wolf."""
