"""Alertmanager's webhook body, version 4 (prometheus.io/docs/alerting/latest/configuration/#webhook_config)."""

from typing import Literal

from pydantic import Field, JsonValue

from midwatch.intake.parts import (
    Began,
    Draft,
    Labels,
    Shape,
    Told,
    alone,
    each_finished,
    ended,
    runbook,
    severity,
    validated,
)
from midwatch.records import Alert

LABELS = ("service", "service_name", "job")


class AlertmanagerAlert(Shape):
    """One alert of a message."""

    status: Literal["firing", "resolved"]
    labels: dict[str, str]
    annotations: Labels = Field(default_factory=dict)
    starts_at: Began = Field(alias="startsAt")
    ends_at: JsonValue = Field(None, alias="endsAt")
    generator_url: str = Field("", alias="generatorURL")
    fingerprint: str = ""


class AlertmanagerMessage(Shape):
    """Alertmanager's webhook body, version 4."""

    version: Literal["4"]
    common_labels: dict[str, str] = Field({}, alias="commonLabels")
    alerts: list[AlertmanagerAlert] = Field(min_length=1, max_length=1000)


def from_alertmanager(body: JsonValue, told: Told) -> list[Alert]:
    """Return the alerts of an Alertmanager webhook body; raises `BadAlert`, and `PartlyBad` for a part of them."""
    message = validated(AlertmanagerMessage, body)
    drafts = (_draft(alert, number, message.common_labels, body) for number, alert in enumerate(message.alerts))
    return each_finished(drafts, told)


def _draft(alert: AlertmanagerAlert, number: int, common: dict[str, str], body: JsonValue) -> Draft:
    labels = {**common, **alert.labels}
    name = labels.get("alertname", "")
    return Draft(
        source="alertmanager",
        external=alert.fingerprint or f"{name}:{next((labels[key] for key in LABELS if labels.get(key)), '')}",
        title=alert.annotations.get("summary") or name,
        started_at=alert.starts_at,
        ended_at=ended(alert.ends_at),
        raw=alone(body, number),
        labels=labels,
        action="resolved" if alert.status == "resolved" else "created",
        description=alert.annotations.get("description", ""),
        severity=severity(labels.get("severity", "")),
        links=(alert.generator_url,),
        place=f"alerts.{number}.labels",
        runbook=runbook(labels, alert.annotations),
    )
