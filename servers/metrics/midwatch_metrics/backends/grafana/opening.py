"""From settings to a backend over Grafana."""

from typing import Final

from midwatch_kit import BadInput
from midwatch_kit.http import bearer
from midwatch_metrics.backends.grafana.alerts import GrafanaAlerts
from midwatch_metrics.backends.grafana.api import SETTING, GrafanaApi, ProxiedPrometheus
from midwatch_metrics.backends.grafana.metrics import GrafanaMetrics
from midwatch_metrics.backends.prometheus.api import Access
from midwatch_metrics.backends.prometheus.metrics import PrometheusMetrics
from midwatch_metrics.backends.prometheus.opening import label_map
from midwatch_metrics.settings import MetricsSettings

_SHARE: Final = 0.5
"""How much of a tool's time one question may take."""


def open_grafana(settings: MetricsSettings) -> GrafanaMetrics:
    """Return the backend that the settings name; nothing is asked yet. Raises `BadInput` for one that is of no use."""
    url = settings.grafana_url or ""
    if not url.startswith(("http://", "https://")):
        raise BadInput(f"{SETTING}_URL must begin with http:// or https://")
    headers = {"Accept": "application/json", **bearer(settings.grafana_token)}
    access = Access(url, SETTING, headers, None, settings.deadline_seconds * _SHARE)
    api, mapping = GrafanaApi(access), label_map(settings)
    source = PrometheusMetrics(ProxiedPrometheus(api, access, settings.grafana_datasource), mapping)
    return GrafanaMetrics(api, source, GrafanaAlerts(api, mapping))
