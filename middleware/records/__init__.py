"""Frozen records in which the rooms of the sidecar meet. No behaviour beyond encoding; imports nothing above errors."""
