"""Tests with random delays in every thread, so that what is told before it is saved shows itself."""
