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
    validated_group,
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
    truncated: JsonValue = Field(0, alias="truncatedAlerts")
    alerts: list[AlertmanagerAlert] = Field(min_length=1, max_length=10_000)


def from_alertmanager(body: JsonValue, told: Told) -> list[Alert]:
    """Return the alerts of an Alertmanager webhook body; raises `BadAlert`, and `PartlyBad` for a part of them."""
    message, numbers, faults = validated_group(AlertmanagerMessage, body)
    common = message.common_labels
    drafts = (_draft(alert, number, common, body) for number, alert in zip(numbers, message.alerts, strict=True))
    return each_finished(drafts, told, [*faults, *left_out(message.truncated)])


def left_out(count: JsonValue) -> list[str]:
    """Return in words that a sender left alerts out of a group, as it does where its own settings bound groups."""
    if not isinstance(count, int) or isinstance(count, bool) or count <= 0:
        return []
    return [f"truncatedAlerts: the sender left {count} alerts out of this group, see its setting max_alerts"]


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
        stands_in=name,
        links=(alert.generator_url,),
        place=f"alerts.{number}.labels",
        runbook=runbook(labels, alert.annotations),
    )
