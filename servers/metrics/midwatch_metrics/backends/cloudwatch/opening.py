"""From settings to a backend over CloudWatch."""

from typing import Final

from midwatch_kit import BadInput
from midwatch_kit.aws import patience, session
from midwatch_metrics.backends.cloudwatch.alarms import Alarms
from midwatch_metrics.backends.cloudwatch.catalogue import Catalogue
from midwatch_metrics.backends.cloudwatch.dimensions import DimensionMap
from midwatch_metrics.backends.cloudwatch.metrics import CloudWatchMetrics
from midwatch_metrics.settings import MetricsSettings

_SHARE: Final = 0.5
"""How much of a tool's time one call may take."""


def open_cloudwatch(settings: MetricsSettings) -> CloudWatchMetrics:
    """Return the backend that the settings name; nothing is asked yet. Raises `BadInput` for settings of no use."""
    opened = session(settings.aws_region, settings.aws_profile)
    if not opened.region_name:
        raise BadInput("CloudWatch needs a region: set MIDWATCH_AWS_REGION or AWS_REGION")
    endpoint = str(settings.aws_endpoint_url).rstrip("/") if settings.aws_endpoint_url else None
    waits = patience(settings.deadline_seconds * _SHARE)
    client = opened.client("cloudwatch", endpoint_url=endpoint, config=waits)
    mapping = DimensionMap(
        tuple(settings.cloudwatch_service_dimensions), tuple(settings.cloudwatch_instance_dimensions)
    )
    counters = tuple(pattern.lower() for pattern in settings.cloudwatch_counters)
    catalogue = Catalogue(client, settings.cloudwatch_namespaces, mapping, counters)
    return CloudWatchMetrics(client, catalogue, Alarms(client, mapping), settings.cloudwatch_most_metrics)
