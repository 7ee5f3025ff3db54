"""Lines in CloudWatch Logs: which log groups, what is asked in Logs Insights, and what it costs."""

from midwatch_logs.backends.cloudwatch.backend import CloudWatchLogs

__all__ = ["CloudWatchLogs"]
