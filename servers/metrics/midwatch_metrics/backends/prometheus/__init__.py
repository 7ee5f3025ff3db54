"""Prometheus, and whatever has its API, as a place of metrics and alarms."""

from midwatch_metrics.backends.prometheus.opening import open_prometheus

__all__ = ["open_prometheus"]
