"""Dynatrace's problem notifications by custom integration: the template of docs/intake.md, or the default one.

docs.dynatrace.com/docs/analyze-explore-automate/notifications-and-alerting/problem-notifications/webhook-integration
"""

import re
from typing import Annotated

from pydantic import AliasChoices, BeforeValidator, Field, JsonValue

from midwatch.intake.parts import (
    Action,
    Draft,
    MaybeBegan,
    Shape,
    Text,
    Told,
    ended,
    finished,
    runbook,
    tags,
    validated,
    without,
)
from midwatch.records import Alert, Severity

_SEVERITIES = {
    "AVAILABILITY": Severity.CRITICAL,
    "ERROR": Severity.HIGH,
    "MONITORING_UNAVAILABLE": Severity.HIGH,
    "PERFORMANCE": Severity.MEDIUM,
    "RESOURCE_CONTENTION": Severity.MEDIUM,
    "CUSTOM_ALERT": Severity.MEDIUM,
    "INFO": Severity.INFO,
}
_PLACEHOLDER = re.compile(r"\{[A-Za-z]\w*\}")
_SEVERAL = re.compile(r"\d+ impacted entities")
_CONTEXT = re.compile(r"^\[[^\]]*\]")


def _objects(value: object) -> object:
    """Templates may write lists and objects of Dynatrace in quotes: then they are texts, and no more is known."""
    return [] if value is None or isinstance(value, str) else value


def _details(value: object) -> object:
    return {} if value is None or isinstance(value, str) else value


class _Entity(Shape):
    type: Text = ""
    name: Text = ""
    entity: Text = ""


class _Details(Shape):
    start_time: MaybeBegan = Field(None, alias="startTime")
    end_time: JsonValue = Field(None, alias="endTime")
    severity: Text = Field("", alias="severityLevel")


class _Problem(Shape):
    pid: Text = Field("", validation_alias=AliasChoices("PID", "pid"))
    problem_id: Text = Field(alias="ProblemID", min_length=1)
    title: Text = Field("", alias="ProblemTitle")
    state: Text = Field("", alias="State")
    severity: Text = Field("", alias="ProblemSeverity")
    impact: Text = Field("", alias="ProblemImpact")
    url: Text = Field("", validation_alias=AliasChoices("ProblemURL", "Problem URL"))
    text: Text = Field("", alias="ProblemDetailsText")
    tags: Text = Field("", alias="Tags")
    entity: Text = Field("", alias="ImpactedEntity")
    entities: Annotated[list[_Entity], BeforeValidator(_objects)] = Field([], alias="ImpactedEntities")
    details: Annotated[_Details, BeforeValidator(_details)] = Field(
        _Details(), validation_alias=AliasChoices("ProblemDetailsJSONv2", "ProblemDetailsJSON")
    )
    start_time: MaybeBegan = Field(None, alias="ProblemStartTime")


def from_dynatrace(body: JsonValue, told: Told) -> list[Alert]:
    """Return the alert of a problem notification; raises `BadAlert`."""
    problem = validated(_Problem, without(_PLACEHOLDER, body))
    level = (problem.severity or problem.details.severity).strip().upper()
    labels = tags([_CONTEXT.sub("", each.strip()) for each in problem.tags.split(",")])
    labels |= {key: value for key, value in {"impact": problem.impact, "severity_level": level}.items() if value}
    draft = Draft(
        source="dynatrace",
        external=problem.pid or problem.problem_id,
        title=problem.title,
        started_at=problem.start_time or problem.details.start_time or told.now,
        ended_at=ended(problem.details.end_time),
        raw=body,
        labels=labels,
        action=_action(problem.state),
        description=problem.text,
        severity=_SEVERITIES.get(level, Severity.MEDIUM),
        service=_service(problem),
        links=(problem.url,),
        runbook=runbook(labels),
        once="",
    )
    return [finished(draft, told)]


def _service(problem: _Problem) -> str:
    services = [each.name for each in problem.entities if each.type.upper() == "SERVICE"]
    one = "" if _SEVERAL.fullmatch(problem.entity.strip()) else problem.entity
    return next((name for name in (*services, *(each.name for each in problem.entities), one) if name), "")


def _action(state: str) -> Action:
    if state.strip().upper() in {"RESOLVED", "CLOSED"}:
        return "resolved"
    return "updated" if state.strip().upper() == "MERGED" else "created"
