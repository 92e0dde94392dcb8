"""What is written about the metrics for others to use: documentation now, rules and dashboards from the same table."""

from middleware.observe.metrics_doc import metrics_page

__all__ = ["metrics_page"]
