"""A Grafana before the tests' Prometheus, with two rules of its own, and dashboards."""

from tests.backends.fakes.grafana import READER, VIEWER, Grafana, changed, rule
from tests.backends.metrics.story import Told

READERS_TOKEN = "glsa_reader"
VIEWERS_TOKEN = "glsa_viewer"
SOURCE = "PBFA97CFB590B2093"


def before(prometheus: str, told: Told) -> Grafana:
    """A Grafana whose default data source is a Prometheus; `Slow checkout` fires since a minute after the fault."""
    labels = {"alertname": "Slow checkout", "service": "checkout", "grafana_folder": "Shop, EU"}
    fault, start = told.fault.timestamp(), told.start.timestamp()
    firing = {
        "labels": {**labels, "__alert_rule_uid__": "slow checkout"},
        "annotations": {"summary": "checkout takes long"},
        "state": "Alerting",
        "activeAt": told.fault.isoformat(),
        "value": "3e-01",
    }
    return Grafana(
        tokens={READERS_TOKEN: READER, VIEWERS_TOKEN: VIEWER},
        sources={SOURCE: prometheus},
        listed=[
            {"id": 1, "uid": "loki", "name": "Logs", "type": "loki", "isDefault": False},
            {"id": 2, "uid": SOURCE, "name": "Shop metrics", "type": "prometheus", "isDefault": True},
            {"id": 3, "uid": "other", "name": "Other", "type": "prometheus", "isDefault": False},
        ],
        groups=[
            {"name": "shop", "file": "Shop, EU", "rules": [rule("Slow checkout", "firing", firing)]},
            {"name": "stock", "file": "Shop, EU", "rules": [rule("Empty stock", "inactive", service="stock")]},
        ],
        annotations=[
            changed("Slow checkout", start + 600, "Normal", "Pending", labels, B=0.3, C=1),
            changed("Slow checkout", start + 660, "Pending", "Normal", labels, B=0.1, C=0),
            changed("Slow checkout", fault + 60, "Normal", "Alerting", labels, B=0.3),
            changed("Slow checkout", fault + 120, "Alerting", "Alerting (NoData)", labels),
            {**changed("", fault, "", "", {}), "alertId": 0, "text": "a person's note"},
        ],
        dashboards=[
            {
                "uid": "a1",
                "title": "Checkout overview",
                "url": "/d/a1/checkout-overview",
                "type": "dash-db",
                "tags": [],
            },
            {"uid": "b2", "title": "Golden signals", "url": "/d/b2/golden", "type": "dash-db", "tags": ["stock"]},
            {"uid": "c3", "title": "Stockholm office", "url": "/d/c3/office", "type": "dash-db", "tags": []},
        ],
    )
