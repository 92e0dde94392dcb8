"""The dashboards on recorded data: a scripted day through the real export code, in a real Prometheus, drawn plainly."""
