"""Which backends are on: each that a setting names. A backend's module is imported only then, with its libraries."""

from collections.abc import Mapping

from midwatch_metrics.backend import MetricBackend
from midwatch_metrics.settings import MetricsSettings


def backends_on(settings: MetricsSettings) -> Mapping[str, MetricBackend]:
    """Return the backends that are on by their names; nothing is asked yet.

    Raises `BadInput` for a setting that cannot be used, such as a file with a token that is not there.
    """
    found: dict[str, MetricBackend] = {}
    if settings.store:
        from midwatch_metrics.backends.store import StoreMetrics  # noqa: PLC0415 - imported only when it is on

        found["store"] = StoreMetrics(settings.store)
    if settings.prometheus_url:
        from midwatch_metrics.backends.prometheus import open_prometheus  # noqa: PLC0415 - as above

        found["prometheus"] = open_prometheus(settings)
    if settings.grafana_url:
        from midwatch_metrics.backends.grafana import open_grafana  # noqa: PLC0415 - as above

        found["grafana"] = open_grafana(settings)
    if settings.cloudwatch_namespaces:
        from midwatch_metrics.backends.cloudwatch import open_cloudwatch  # noqa: PLC0415 - as above

        found["cloudwatch"] = open_cloudwatch(settings)
    return found
