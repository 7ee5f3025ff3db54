"""Sentry's integration platform: issue alerts, metric alerts and issues.

docs.sentry.io/organization/integrations/integration-platform/webhooks. The header `Sentry-Hook-Resource` says which of
them a body is.
"""

from collections.abc import Mapping
from typing import Literal

from pydantic import Field, JsonValue

from midwatch.errors import BadAlert
from midwatch.intake.parts import (
    Action,
    Began,
    Draft,
    MaybeBegan,
    Shape,
    Text,
    Told,
    finished,
    runbook,
    severity,
    validated,
)
from midwatch.records import Alert

_ISSUE: Mapping[str, Action] = {
    "created": "created",
    "unresolved": "created",
    "resolved": "resolved",
    "archived": "resolved",
    "ignored": "resolved",
}


class _Event(Shape):
    event_id: Text = ""
    issue_id: Text = Field(min_length=1)
    title: Text = ""
    culprit: Text = ""
    datetime: Began
    environment: Text = ""
    level: Text = "error"
    message: Text = ""
    project_slug: Text = ""
    release: Text = ""
    tags: list[tuple[Text, Text]] | None = None
    url: Text = ""
    web_url: Text = ""


class _IssueAlertData(Shape):
    event: _Event
    triggered_rule: Text = ""


class _IssueAlert(Shape):
    data: _IssueAlertData


class _Rule(Shape):
    name: Text = ""
    query: Text = ""
    aggregate: Text = ""
    environment: Text = ""


class _Metric(Shape):
    id: Text = Field(min_length=1)
    date_started: MaybeBegan = None
    date_detected: MaybeBegan = None
    date_closed: MaybeBegan = None
    projects: list[Text] = Field(default_factory=list)
    alert_rule: _Rule = _Rule()


class _MetricData(Shape):
    metric_alert: _Metric
    description_text: Text = ""
    description_title: Text = ""
    web_url: Text = ""


class _MetricAlert(Shape):
    action: Literal["critical", "warning", "resolved", "open"]
    data: _MetricData


class _Project(Shape):
    slug: Text = ""


class _IssueBody(Shape):
    id: Text = Field(min_length=1)
    title: Text = ""
    culprit: Text = ""
    level: Text = "error"
    first_seen: Began = Field(alias="firstSeen")
    last_seen: MaybeBegan = Field(None, alias="lastSeen")
    project: _Project = _Project()
    short_id: Text = Field("", alias="shortId")
    web_url: Text = ""
    permalink: Text = ""


class _IssueData(Shape):
    issue: _IssueBody


class _Issue(Shape):
    action: Text
    data: _IssueData


def from_sentry(body: JsonValue, told: Told) -> list[Alert]:
    """Return the alert of a webhook; none of resources that are no alerts; raises `BadAlert`."""
    resource = told.headers.get("sentry-hook-resource", "") or _resource_of(body)
    if resource == "event_alert":
        return [finished(_of_event(validated(_IssueAlert, body).data, body), told)]
    if resource == "metric_alert":
        return [finished(_of_metric(validated(_MetricAlert, body), body), told)]
    if resource == "issue":
        issue = validated(_Issue, body)
        return [finished(_of_issue(issue, body), told)] if issue.action in _ISSUE else []
    if resource:
        return []
    raise BadAlert("header Sentry-Hook-Resource: it is missing, and the body is of no resource that is known here")


def _resource_of(body: JsonValue) -> str:
    """Return which resource a body without the header looks like."""
    data = body.get("data") if isinstance(body, dict) else None
    known = {"event": "event_alert", "metric_alert": "metric_alert", "issue": "issue"}
    known |= {name: name for name in ("installation", "comment", "error")}
    return next((name for key, name in known.items() if isinstance(data, dict) and key in data), "")


def _of_event(data: _IssueAlertData, body: JsonValue) -> Draft:
    event = data.event
    project = event.project_slug or _project_in(event.url)
    labels = {"project": project, "rule": data.triggered_rule, "environment": event.environment}
    labels |= {"release": event.release, **dict(event.tags or ())}
    return Draft(
        source="sentry",
        external=f"issue:{event.issue_id}",
        title=event.title or event.message or data.triggered_rule,
        started_at=event.datetime,
        raw=body,
        labels=_said(labels),
        description="\n".join(text for text in (data.triggered_rule, event.culprit, event.message) if text),
        severity=severity(event.level),
        service=project,
        links=(event.web_url,),
        runbook=runbook(labels),
    )


def _of_metric(alert: _MetricAlert, body: JsonValue) -> Draft:
    metric, rule = alert.data.metric_alert, alert.data.metric_alert.alert_rule
    labels = {"project": ", ".join(metric.projects), "rule": rule.name, "query": rule.query}
    labels |= {"aggregate": rule.aggregate, "environment": rule.environment}
    began = metric.date_started or metric.date_detected
    if began is None:
        raise BadAlert("data.metric_alert.date_started: Field required")
    return Draft(
        source="sentry",
        external=f"metric:{metric.id}",
        title=alert.data.description_title or rule.name,
        started_at=began,
        ended_at=metric.date_closed,
        raw=body,
        labels=_said(labels),
        action="resolved" if alert.action == "resolved" else "created",
        description=alert.data.description_text,
        severity=severity(alert.action),
        service=metric.projects[0] if len(metric.projects) == 1 else "",
        links=(alert.data.web_url,),
    )


def _of_issue(said: _Issue, body: JsonValue) -> Draft:
    issue = said.data.issue
    return Draft(
        source="sentry",
        external=f"issue:{issue.id}",
        title=issue.title,
        started_at=(issue.last_seen if said.action == "unresolved" else None) or issue.first_seen,
        raw=body,
        labels=_said({"project": issue.project.slug, "issue": issue.short_id}),
        action=_ISSUE[said.action],
        description=issue.culprit,
        severity=severity(issue.level),
        service=issue.project.slug,
        links=(issue.web_url, issue.permalink),
    )


def _project_in(url: str) -> str:
    """Return the project that an event's API address names: `…/projects/ORGANISATION/PROJECT/events/…`."""
    _, _, rest = url.partition("/projects/")
    parts = rest.split("/")
    return parts[1] if len(parts) > 2 else ""


def _said(labels: Mapping[str, str]) -> dict[str, str]:
    return {key: value for key, value in labels.items() if key and value}
