"""Simulated upgrade gates on real models' answers: how often they decide wrongly, and how soon rightly."""
