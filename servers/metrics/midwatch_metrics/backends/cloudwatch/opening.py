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
    namespaces = _listed(settings.cloudwatch_namespaces or "")
    if not namespaces:
        raise BadInput("MIDWATCH_CLOUDWATCH_NAMESPACES names none: AWS/Lambda,AWS/SQS for two, * for all")
    opened = session(settings.aws_region, settings.aws_profile)
    if not opened.region_name:
        raise BadInput("CloudWatch needs a region: set MIDWATCH_AWS_REGION or AWS_REGION")
    endpoint = str(settings.aws_endpoint_url).rstrip("/") if settings.aws_endpoint_url else None
    waits = patience(settings.deadline_seconds * _SHARE)
    client = opened.client("cloudwatch", endpoint_url=endpoint, config=waits)
    mapping = DimensionMap(
        _listed(settings.cloudwatch_service_dimensions), _listed(settings.cloudwatch_instance_dimensions)
    )
    counters = tuple(pattern.lower() for pattern in _listed(settings.cloudwatch_counters))
    catalogue = Catalogue(client, namespaces, mapping, counters)
    return CloudWatchMetrics(client, catalogue, Alarms(client, mapping), settings.cloudwatch_most_metrics)


def _listed(text: str) -> tuple[str, ...]:
    return tuple(name.strip() for name in text.split(",") if name.strip())
