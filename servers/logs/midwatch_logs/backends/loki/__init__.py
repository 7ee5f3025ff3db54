"""Lines in Grafana Loki: what is asked in LogQL, how labels are read, and the protocol between them."""

from midwatch_logs.backends.loki.backend import LokiLogs

__all__ = ["LokiLogs"]
