"""New Relic's workflows, with the template of docs/intake.md or with New Relic's own default one.

docs.newrelic.com/docs/alerts/get-notified/notification-integrations/#webhook
"""

from typing import Annotated

from pydantic import BeforeValidator, Field, JsonValue

from midwatch.intake.parts import (
    Action,
    Draft,
    Labels,
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


def _listed(value: object) -> object:
    return value if isinstance(value, list) else [] if value in (None, "") else [value]


def _first(value: object) -> object:
    """Workflows give most variables as lists, also where there is one value."""
    return (value[0] if value else "") if isinstance(value, list) else value


def _firsts(value: object) -> object:
    return {key: _first(each) for key, each in value.items()} if isinstance(value, dict) else value


_Texts = Annotated[list[Text], BeforeValidator(_listed)]
_FirstText = Annotated[Text, BeforeValidator(_first)]
_FirstLabels = Annotated[Labels, BeforeValidator(_firsts)]


class _Issue(Shape):
    id: Text = Field(min_length=1)
    title: _FirstText = ""
    description: _FirstText = ""
    issue_url: Text = Field("", alias="issueUrl")
    priority: Text = ""
    state: Text = ""
    trigger: Text = ""
    updated_at: MaybeBegan = Field(None, alias="updatedAt")
    created_at: MaybeBegan = Field(None, alias="createdAt")
    impacted_entities: _Texts = Field([], alias="impactedEntities")
    policies: _Texts = Field([], alias="alertPolicyNames")
    conditions: _Texts = Field([], alias="alertConditionNames")
    workflow: Text = Field("", alias="workflowName")
    service: _FirstText = ""
    runbook_url: _FirstText = Field("", alias="runbookUrl")
    tags: _FirstLabels = Field(default_factory=dict)


def from_newrelic(body: JsonValue, told: Told) -> list[Alert]:
    """Return the alert of a workflow's webhook about an issue; raises `BadAlert`."""
    issue = validated(_Issue, body)
    known = {
        "service": issue.service,
        "policy": ", ".join(issue.policies),
        "condition": ", ".join(issue.conditions),
        "workflow": issue.workflow,
    }
    labels = issue.tags | {key: value for key, value in known.items() if value}
    draft = Draft(
        source="newrelic",
        external=issue.id,
        title=issue.title,
        started_at=issue.created_at or told.now,
        ended_at=issue.updated_at,
        raw=body,
        labels=labels,
        action=_action(issue.state, issue.trigger),
        description=issue.description,
        severity=severity(issue.priority),
        service=issue.impacted_entities[0] if len(issue.impacted_entities) == 1 else "",
        links=(issue.issue_url,),
        runbook=issue.runbook_url or runbook(labels),
        once="",
    )
    return [finished(draft, told)]


def _action(state: str, trigger: str) -> Action:
    if state.upper() in {"CLOSED", "RESOLVED"}:
        return "resolved"
    began = state.upper() in {"", "CREATED", "ACTIVATED"} and trigger.upper() in {"", "STATE_CHANGE", "ISSUE_ACTIVATED"}
    return "created" if began else "updated"
