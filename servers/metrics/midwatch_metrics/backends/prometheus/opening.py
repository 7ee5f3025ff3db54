"""From settings to a backend over Prometheus' API."""

from typing import Final

from midwatch_kit import BadInput
from midwatch_kit.http import bearer
from midwatch_metrics.backends.prometheus.api import Access, HttpApi
from midwatch_metrics.backends.prometheus.labels import LabelMap
from midwatch_metrics.backends.prometheus.metrics import PrometheusMetrics
from midwatch_metrics.settings import MetricsSettings

_SHARE: Final = 0.5
"""How much of a tool's time one question may take."""


def open_prometheus(settings: MetricsSettings) -> PrometheusMetrics:
    """Return the backend that the settings name; nothing is asked yet. Raises `BadInput` for one that is of no use."""
    url = settings.prometheus_url or ""
    if not url.startswith(("http://", "https://")):
        raise BadInput("MIDWATCH_PROMETHEUS_URL must begin with http:// or https://")
    password = settings.prometheus_password.get_secret_value() if settings.prometheus_password else ""
    headers = {"Accept": "application/json", **bearer(settings.prometheus_token)}
    if settings.prometheus_tenant:
        headers["X-Scope-OrgID"] = settings.prometheus_tenant
    login = (settings.prometheus_user, password) if settings.prometheus_user else None
    access = Access(url, "MIDWATCH_PROMETHEUS", headers, login, settings.deadline_seconds * _SHARE)
    return PrometheusMetrics(HttpApi(access), label_map(settings))


def label_map(settings: MetricsSettings) -> LabelMap:
    """Return which labels say who measured, as the settings have it."""
    return LabelMap(
        tuple(settings.prometheus_service_labels),
        tuple(settings.prometheus_instance_labels),
        tuple(settings.prometheus_version_labels),
    )
