"""Grafana's alerting, as its webhook contact point sends it.

grafana.com/docs/grafana/latest/alerting/configure-notifications/manage-contact-points/integrations/webhook-notifier
"""

from typing import Literal

from pydantic import Field, JsonValue

from midwatch.intake.alertmanager import left_out
from midwatch.intake.parts import (
    Action,
    Began,
    Draft,
    Labels,
    Shape,
    Text,
    Told,
    alone,
    each_finished,
    ended,
    finished,
    runbook,
    severity,
    validated,
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


class _Match(Shape):
    metric: Text = ""
    value: Text = ""
    tags: Labels = Field(default_factory=dict)


class _Panel(Shape):
    """An alert of a dashboard's panel, as Grafana before 9 sends it unless told otherwise, and 10 still can."""

    rule_id: Text = Field(alias="ruleId")
    rule_name: Text = Field("", alias="ruleName")
    rule_url: Text = Field("", alias="ruleUrl")
    image_url: Text = Field("", alias="imageUrl")
    title: Text = ""
    message: Text = ""
    state: Text = Field(min_length=1)
    tags: Labels = Field(default_factory=dict)
    matches: list[_Match] = Field([], alias="evalMatches")


def from_grafana(body: JsonValue, told: Told) -> list[Alert]:
    """Return the alerts of Grafana's webhook contact point; raises `BadAlert`, and `PartlyBad` for a part of them."""
    if isinstance(body, dict) and "alerts" not in body and "ruleId" in body:
        return _of_panel(validated(_Panel, body), body, told)
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


def _of_panel(panel: _Panel, body: JsonValue, told: Told) -> list[Alert]:
    """Return the alert of a panel; none of one that is paused or waits."""
    actions: dict[str, Action] = {"alerting": "created", "no_data": "created", "ok": "resolved"}
    if panel.state not in actions:
        return []
    labels = {key: value for match in panel.matches for key, value in match.tags.items()} | panel.tags
    values = ", ".join(f"{match.metric} = {match.value}" for match in panel.matches)
    draft = Draft(
        source="grafana",
        external=f"rule:{panel.rule_id}",
        title=panel.rule_name or panel.title,
        started_at=told.now,
        raw=body,
        labels=labels,
        action=actions[panel.state],
        description="\n".join(text for text in (panel.message, values) if text),
        severity=severity(labels.get("severity") or labels.get("priority", "")),
        links=(panel.rule_url, panel.image_url),
        runbook=runbook(labels),
    )
    return [finished(draft, told)]
