"""Proxies that people write or install today, as peers of the relay: plain, but no straw men."""
