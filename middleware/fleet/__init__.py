"""From many sidecars to one monitor: what leaves a pod, and how."""
