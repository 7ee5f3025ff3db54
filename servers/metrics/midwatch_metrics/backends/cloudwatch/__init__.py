"""Amazon CloudWatch as a place of metrics and alarms."""

from midwatch_metrics.backends.cloudwatch.opening import open_cloudwatch

__all__ = ["open_cloudwatch"]
