"""What is made of the metrics for others to use: documentation and rules, from the one catalogue."""

from middleware.observe.alerts_doc import alerts_page
from middleware.observe.metrics_doc import metrics_page
from middleware.observe.rules import ALERTS, SETTINGS, operator_file, rules_file

__all__ = ["ALERTS", "SETTINGS", "alerts_page", "metrics_page", "operator_file", "rules_file"]
