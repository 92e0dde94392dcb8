"""Tells configured receivers of events by HTTP POST: signed JSON for applications, messages with words for people."""
