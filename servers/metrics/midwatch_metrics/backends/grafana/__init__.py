"""Grafana as a place of metrics and alarms: one of its data sources, and its own alert rules."""

from midwatch_metrics.backends.grafana.opening import open_grafana

__all__ = ["open_grafana"]
