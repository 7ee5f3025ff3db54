"""New Relic's workflows, with the template of docs/intake.md or with New Relic's own default one, and what its
notification channels sent of an incident before there were workflows.

docs.newrelic.com/docs/alerts/get-notified/notification-integrations/#webhook
"""

from typing import Annotated

from pydantic import AliasChoices, BeforeValidator, Field, JsonValue

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


class _Target(Shape):
    """What an incident of the old form is about."""

    name: Text = ""
    labels: Labels = Field(default_factory=dict)


class _Issue(Shape):
    """An issue, each field with the name that an incident of the old form has for it."""

    id: Text = Field(min_length=1, validation_alias=AliasChoices("id", "issueId", "incident_id"))
    title: _FirstText = Field("", validation_alias=AliasChoices("title", "condition_name"))
    description: _FirstText = Field("", validation_alias=AliasChoices("description", "details"))
    issue_url: Text = Field("", validation_alias=AliasChoices("issueUrl", "incident_url"))
    priority: Text = Field("", validation_alias=AliasChoices("priority", "severity"))
    state: Text = Field("", validation_alias=AliasChoices("state", "current_state"))
    trigger: Text = ""
    updated_at: MaybeBegan = Field(None, validation_alias=AliasChoices("updatedAt", "timestamp"))
    created_at: MaybeBegan = Field(None, validation_alias=AliasChoices("createdAt", "timestamp"))
    impacted_entities: _Texts = Field([], alias="impactedEntities")
    targets: list[_Target] = Field(default_factory=list)
    policies: _Texts = Field([], validation_alias=AliasChoices("alertPolicyNames", "policy_name"))
    conditions: _Texts = Field([], validation_alias=AliasChoices("alertConditionNames", "condition_name"))
    workflow: Text = Field("", alias="workflowName")
    service: _FirstText = ""
    runbook_url: _FirstText = Field("", validation_alias=AliasChoices("runbookUrl", "runbook_url"))
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
    labels = {key: value for each in issue.targets for key, value in each.labels.items()} | issue.tags
    labels |= {key: value for key, value in known.items() if value}
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
        service=next((name for name in (*issue.impacted_entities, *(each.name for each in issue.targets)) if name), ""),
        stands_in=", ".join(issue.conditions),
        links=(issue.issue_url,),
        runbook=issue.runbook_url or runbook(labels),
        once="",
    )
    return [finished(draft, told)]


def _action(state: str, trigger: str) -> Action:
    if state.upper() in {"CLOSED", "RESOLVED"}:
        return "resolved"
    began = state.upper() in {"", "CREATED", "ACTIVATED", "OPEN"}
    return "created" if began and trigger.upper() in {"", "STATE_CHANGE", "ISSUE_ACTIVATED"} else "updated"
