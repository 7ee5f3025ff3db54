"""GitHub's webhooks: a deployment that failed, a workflow that failed on the default branch.

docs.github.com/webhooks/webhook-events-and-payloads. What went well is no alert and ends none: a deployment that
succeeds says nothing of whether what it deployed works.
"""

from pydantic import AliasChoices, Field, JsonValue

from midwatch.errors import BadAlert
from midwatch.intake.parts import Began, Draft, Labels, Shape, Text, Told, finished, runbook, validated
from midwatch.records import Alert, Severity

_FAILED_DEPLOYMENT = {"failure", "error"}
_FAILED_RUN = {"failure", "timed_out", "startup_failure"}


class _Repository(Shape):
    name: Text = Field(min_length=1)
    full_name: Text = ""
    default_branch: Text = ""
    custom_properties: Labels = Field(default_factory=dict)


class _Status(Shape):
    id: Text = ""
    state: Text
    description: Text = ""
    environment: Text = ""
    created_at: Began
    target_url: Text = ""
    log_url: Text = ""
    environment_url: Text = ""


class _Deployment(Shape):
    id: Text = Field(min_length=1)
    environment: Text = ""
    ref: Text = ""
    sha: Text = ""
    task: Text = ""


class _OfDeployment(Shape):
    deployment_status: _Status
    deployment: _Deployment
    repository: _Repository


class _Run(Shape):
    id: Text = Field(min_length=1)
    name: Text = ""
    conclusion: Text = ""
    event: Text = ""
    head_branch: Text = ""
    head_sha: Text = ""
    run_attempt: Text = ""
    run_started_at: Began = Field(validation_alias=AliasChoices("run_started_at", "created_at"))
    html_url: Text = ""
    display_title: Text = ""


class _OfRun(Shape):
    action: Text
    workflow_run: _Run
    repository: _Repository


def from_github(body: JsonValue, told: Told) -> list[Alert]:
    """Return the alert of a failed deployment or workflow run; none of all else; raises `BadAlert`."""
    event = told.headers.get("x-github-event", "") or _event_of(body)
    if event == "deployment_status":
        said = validated(_OfDeployment, body)
        failed = said.deployment_status.state in _FAILED_DEPLOYMENT
        return [finished(_of_deployment(said, body), told)] if failed else []
    if event == "workflow_run":
        run = validated(_OfRun, body)
        return [finished(_of_run(run, body), told)] if _counts(run) else []
    if not event:
        raise BadAlert("header X-GitHub-Event: it is missing, and the body is of no event that is known here")
    return []


def _event_of(body: JsonValue) -> str:
    known = ("deployment_status", "workflow_run")
    return next((name for name in known if isinstance(body, dict) and name in body), "")


def _counts(run: _OfRun) -> bool:
    """Whether a run's end is a failure of what people use: runs of branches and pull requests fail all day."""
    branch = run.workflow_run.head_branch == run.repository.default_branch
    pull = run.workflow_run.event.startswith("pull_request")
    return run.action == "completed" and run.workflow_run.conclusion in _FAILED_RUN and branch and not pull


def _of_deployment(said: _OfDeployment, body: JsonValue) -> Draft:
    status, deployment, repository = said.deployment_status, said.deployment, said.repository
    where = status.environment or deployment.environment
    labels = {**_labels(repository), "environment": where, "ref": deployment.ref, "sha": deployment.sha}
    return Draft(
        source="github",
        external=f"{repository.full_name}:deployment:{deployment.id}",
        title=f"deployment of {repository.name} to {where or 'production'} failed",
        started_at=status.created_at,
        raw=body,
        labels=_said(labels),
        description=status.description,
        severity=Severity.HIGH,
        service=repository.name,
        links=(status.log_url, status.target_url, status.environment_url),
        runbook=runbook(labels),
    )


def _of_run(said: _OfRun, body: JsonValue) -> Draft:
    run, repository = said.workflow_run, said.repository
    labels = {**_labels(repository), "workflow": run.name, "branch": run.head_branch, "sha": run.head_sha}
    return Draft(
        source="github",
        external=f"{repository.full_name}:run:{run.id}",
        title=f"workflow {run.name} of {repository.name} ended with {run.conclusion}",
        started_at=run.run_started_at,
        raw=body,
        labels=_said(labels),
        description=run.display_title,
        severity=Severity.MEDIUM,
        service=repository.name,
        links=(run.html_url,),
        runbook=runbook(labels),
    )


def _labels(repository: _Repository) -> dict[str, str]:
    return {**repository.custom_properties, "repository": repository.full_name}


def _said(labels: dict[str, str]) -> dict[str, str]:
    return {key: value for key, value in labels.items() if value}
