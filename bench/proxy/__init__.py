"""Proxies side by side on one mock upstream: what the relay costs beside nginx, and Python peers. Not shipped."""
