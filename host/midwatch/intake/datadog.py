"""Datadog's webhooks, with the template of docs/intake.md or with Datadog's own default body.

docs.datadoghq.com/integrations/webhooks
"""

import re

from pydantic import AliasChoices, Field, JsonValue

from midwatch.intake.parts import (
    Action,
    Draft,
    MaybeBegan,
    Shape,
    Text,
    Told,
    finished,
    runbook,
    severity,
    tags,
    validated,
    without,
)
from midwatch.records import Alert, Severity

_TYPES = {"error": Severity.HIGH, "warning": Severity.MEDIUM, "success": Severity.INFO, "info": Severity.INFO}
_RE = "re-"
_VARIABLE = re.compile(r"\$[A-Z][A-Z0-9_]*")
_TITLE = re.compile(
    r"(?:\[P[1-5]\]\s*)?\[(?P<transition>(?:re-)?(?:triggered|warn|no data)|recovered|renotify)"
    r"(?: on \{(?P<scope>[^{}]*)\})?\]\s*(?P<name>.*)",
    re.DOTALL | re.IGNORECASE,
)
"""As Datadog writes titles: `[P2] [Re-Triggered on {service:cart,env:prod}] cart fails`."""


class _Event(Shape):
    """The template's fields, each with the name that Datadog's default body has for it."""

    id: Text = ""
    title: Text = Field("", validation_alias=AliasChoices("title", "event_title"))
    body: Text = Field("", validation_alias=AliasChoices("body", "event_msg", "text_only_msg"))
    date: MaybeBegan = None
    last_updated: MaybeBegan = None
    alert_id: Text = ""
    alert_title: Text = ""
    alert_status: Text = ""
    alert_transition: Text = Field("", validation_alias=AliasChoices("alert_transition", "transition"))
    alert_type: Text = ""
    alert_priority: Text = Field("", validation_alias=AliasChoices("alert_priority", "priority"))
    alert_cycle_key: Text = ""
    alert_metric: Text = ""
    alert_query: Text = ""
    alert_scope: Text = ""
    aggreg_key: Text = ""
    event_type: Text = ""
    hostname: Text = ""
    link: Text = ""
    tags: Text | list[str] = ""


def from_datadog(body: JsonValue, told: Told) -> list[Alert]:
    """Return the alert of a webhook that a monitor sent; raises `BadAlert`."""
    event = validated(_Event, without(_VARIABLE, body))
    said = _TITLE.fullmatch(event.title.strip())
    transition = (event.alert_transition or (said["transition"] if said else "")).strip().casefold()
    scope = event.alert_scope or (said["scope"] if said else "") or ""
    name = event.alert_title or (said["name"] if said else "") or event.title
    cycle = event.alert_cycle_key or event.aggreg_key
    monitor = event.alert_id or (name if said else "")
    labels = {**tags(scope), **tags(event.tags)}
    known = {"metric": event.alert_metric, "monitor": event.alert_id, "host": event.hostname}
    draft = Draft(
        source="datadog",
        external=cycle or (f"{monitor}:{scope}".rstrip(":") if monitor else event.id),
        title=name,
        started_at=event.date or event.last_updated or told.now,
        ended_at=event.date or event.last_updated,
        raw=body,
        labels={**{key: value for key, value in known.items() if value}, **labels},
        action=_action(transition),
        description="\n".join(text for text in (event.alert_status, event.body) if text),
        severity=_severity(event, transition),
        links=(event.link,),
        runbook=runbook(labels),
        once=cycle or None,
    )
    return [finished(draft, told)]


def _action(transition: str) -> Action:
    if "recovered" in transition:
        return "resolved"
    return "updated" if transition.startswith((_RE, "renotify")) else "created"


def _severity(event: _Event, transition: str) -> Severity:
    if event.alert_priority.strip().casefold().startswith("p"):
        return severity(event.alert_priority)
    if transition.removeprefix(_RE).startswith("warn"):
        return Severity.MEDIUM
    return _TYPES.get(event.alert_type.strip().casefold(), Severity.MEDIUM)
