"""How long a scrape takes with 20 deployments while 1,000 streams run, and whether the streams feel it."""
