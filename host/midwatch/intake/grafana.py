"""Grafana's alerting, as its webhook contact point sends it.

grafana.com/docs/grafana/latest/alerting/configure-notifications/manage-contact-points/integrations/webhook-notifier
"""

from typing import Literal

from pydantic import Field, JsonValue

from midwatch.intake.alertmanager import left_out
from midwatch.intake.parts import (
    Began,
    Draft,
    Labels,
    Shape,
    Text,
    Told,
    alone,
    each_finished,
    ended,
    runbook,
    severity,
    validated_group,
)
from midwatch.records import Alert

_OF_RULES = {"DatasourceNoData", "DatasourceError"}
"""Alerts that Grafana makes of a rule that cannot be evaluated, under names that say nothing of the rule."""


class _One(Shape):
    status: Literal["firing", "resolved"]
    labels: Labels
    annotations: Labels = Field(default_factory=dict)
    starts_at: Began = Field(alias="startsAt")
    ends_at: JsonValue = Field(None, alias="endsAt")
    values: Labels = Field(default_factory=dict)
    value_string: Text = Field("", alias="valueString")
    fingerprint: Text = ""
    generator_url: Text = Field("", alias="generatorURL")
    dashboard_url: Text = Field("", alias="dashboardURL")
    panel_url: Text = Field("", alias="panelURL")
    silence_url: Text = Field("", alias="silenceURL")
    image_url: Text = Field("", alias="imageURL")


class _Message(Shape):
    common_labels: Labels = Field({}, alias="commonLabels")
    common_annotations: Labels = Field({}, alias="commonAnnotations")
    truncated: JsonValue = Field(0, alias="truncatedAlerts")
    alerts: list[_One] = Field(min_length=1, max_length=10_000)


def from_grafana(body: JsonValue, told: Told) -> list[Alert]:
    """Return the alerts of Grafana's webhook contact point; raises `BadAlert`, and `PartlyBad` for a part of them."""
    message, numbers, faults = validated_group(_Message, body)
    drafts = (_draft(alert, number, message, body) for number, alert in zip(numbers, message.alerts, strict=True))
    return each_finished(drafts, told, [*faults, *left_out(message.truncated)])


def _draft(alert: _One, number: int, message: _Message, body: JsonValue) -> Draft:
    labels, annotations = {**message.common_labels, **alert.labels}, {**message.common_annotations, **alert.annotations}
    name = labels.get("alertname", "")
    rule = f"{name}: {labels['rulename']}" if name in _OF_RULES and labels.get("rulename") else name
    values = ", ".join(f"{key} = {value}" for key, value in alert.values.items()) or alert.value_string
    return Draft(
        source="grafana",
        external=alert.fingerprint or name,
        title=annotations.get("summary") or rule,
        started_at=alert.starts_at,
        ended_at=ended(alert.ends_at),
        raw=alone(body, number),
        labels=labels,
        action="resolved" if alert.status == "resolved" else "created",
        description="\n".join(text for text in (annotations.get("description", ""), values) if text),
        severity=severity(labels.get("severity") or labels.get("priority", "")),
        stands_in=labels.get("rulename") or name,
        links=(alert.generator_url, alert.dashboard_url, alert.panel_url, alert.image_url, alert.silence_url),
        place=f"alerts.{number}.labels",
        runbook=runbook(labels, annotations),
    )
