"""Pipelines of CodePipeline and groups of Auto Scaling in a test, and what AWS answers of them."""

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any
from uuid import NAMESPACE_URL, uuid5

from tests.backends.deploys.awsstories import ACCOUNT, REGION
from tests.backends.fakes.awsapi import Answer, Refusal, paged

Asked = Mapping[str, Any]


class Pipelines:
    """Pipelines, their executions, and the actions of these."""

    def __init__(self) -> None:
        self.executions: dict[str, list[dict[str, Any]]] = {}
        self.actions: dict[str, list[dict[str, Any]]] = {}

    def ran(
        self,
        pipeline: str,
        at: datetime,
        revision: str,
        summary: str,
        status: str = "Succeeded",
        who: str = "",
        **told: Any,
    ) -> str:
        """Run a pipeline for three minutes, and return the execution's id."""
        number = str(uuid5(NAMESPACE_URL, f"{pipeline} {at}"))
        source = {"actionName": "Source", "revisionId": revision, "revisionSummary": summary}
        page = f"https://github.example/robots/forge/commit/{revision}"
        by = {"triggerType": "StartPipelineExecution", "triggerDetail": f"arn:aws:iam::{ACCOUNT}:user/{who}"}
        hook = {"triggerType": "Webhook", "triggerDetail": "arn:aws:codepipeline:eu-west-1:123456789012:webhook:x"}
        self.executions.setdefault(pipeline, []).insert(
            0,
            {
                "pipelineExecutionId": number,
                "status": status,
                "startTime": at,
                "lastUpdateTime": at + timedelta(minutes=3),
                "sourceRevisions": [{**source, "revisionUrl": page}],
                "trigger": by if who else hook,
                **told,
            },
        )
        return number

    def acted(self, execution: str, name: str, at: datetime, status: str, error: str = "") -> None:
        """Record an action of an execution."""
        stage, _, action = name.partition("/")
        result = {"errorDetails": {"code": "JobFailed", "message": error}} if error else {"externalExecutionId": "1"}
        self.actions.setdefault(execution, []).insert(
            0,
            {
                "pipelineExecutionId": execution,
                "actionExecutionId": f"{execution}-{name}",
                "stageName": stage,
                "actionName": action,
                "startTime": at,
                "status": status,
                "input": {"configuration": {"OAuthToken": "in-the-configuration"}},
                "output": {"executionResult": result},
            },
        )

    def answers(self) -> dict[str, Answer]:
        """Return what CodePipeline answers."""
        return {
            "codepipeline:ListPipelines": lambda asked: paged(
                [{"name": name, "version": 1} for name in self.executions], asked, 1, "pipelines", "nextToken"
            ),
            "codepipeline:ListPipelineExecutions": lambda asked: paged(
                self.executions[asked["pipelineName"]], asked, 2, "pipelineExecutionSummaries", "nextToken"
            ),
            "codepipeline:ListActionExecutions": self._acted,
        }

    def _acted(self, asked: Asked) -> dict[str, Any]:
        wanted = asked.get("filter", {}).get("pipelineExecutionId")
        found = [each for number, some in self.actions.items() if wanted in (None, number) for each in some]
        return paged(found, asked, 100, "actionExecutionDetails", "nextToken")


class Groups:
    """Auto Scaling groups, what was done to them, and their instance refreshes."""

    def __init__(self) -> None:
        self.groups: dict[str, dict[str, str]] = {}
        self.activities: dict[str, list[dict[str, Any]]] = {}
        self.refreshes: dict[str, list[dict[str, Any]]] = {}

    def group(self, name: str, **tags: str) -> None:
        """Add a group with its tags."""
        self.groups[name] = tags

    def acted(self, group: str, at: datetime, what: str, status: str = "Successful", **told: Any) -> None:
        """Record an activity."""
        self.groups.setdefault(group, {})
        found = self.activities.setdefault(group, [])
        ended = {"EndTime": at + timedelta(seconds=40)} if status in ("Successful", "Failed") else {}
        activity = {
            "ActivityId": str(uuid5(NAMESPACE_URL, f"{group} {at} {what}")),
            "AutoScalingGroupName": group,
            "Description": what,
            "Cause": f"At {at:%Y-%m-%dT%H:%M:%SZ} an instance was started in response to a difference.",
            "StartTime": at,
            "StatusCode": status,
            "Progress": 100,
            **ended,
            **told,
        }
        found.insert(0, activity)

    def refreshed(self, group: str, at: datetime, template: str, status: str = "Successful", **told: Any) -> None:
        """Record an instance refresh to a launch template, as `name:version`."""
        self.groups.setdefault(group, {})
        name, _, version = template.partition(":")
        wanted = {"LaunchTemplate": {"LaunchTemplateName": name, "Version": version}}
        found = self.refreshes.setdefault(group, [])
        found.insert(
            0,
            {
                "InstanceRefreshId": str(uuid5(NAMESPACE_URL, f"{group} {at}")),
                "AutoScalingGroupName": group,
                "Status": status,
                "StartTime": at,
                "EndTime": at + timedelta(minutes=5),
                "PercentageComplete": 100,
                "InstancesToUpdate": 0,
                "DesiredConfiguration": wanted,
                **told,
            },
        )

    def answers(self) -> dict[str, Answer]:
        """Return what Auto Scaling answers."""
        return {
            "autoscaling:DescribeAutoScalingGroups": lambda asked: paged(
                [self._described(name) for name in self.groups], asked, 1, "AutoScalingGroups", "NextToken"
            ),
            "autoscaling:DescribeScalingActivities": lambda asked: paged(
                self._of(self.activities, asked), asked, 2, "Activities", "NextToken"
            ),
            "autoscaling:DescribeInstanceRefreshes": lambda asked: paged(
                self._of(self.refreshes, asked), asked, asked["MaxRecords"], "InstanceRefreshes", "NextToken"
            ),
        }

    def _described(self, name: str) -> dict[str, Any]:
        zone = f"{REGION}a"
        sizes = {"MinSize": 1, "MaxSize": 4, "DesiredCapacity": 2, "DefaultCooldown": 300, "HealthCheckType": "EC2"}
        tags = [{"Key": key, "Value": value, "PropagateAtLaunch": True} for key, value in self.groups[name].items()]
        made = datetime.fromisoformat("2026-01-01T00:00:00+00:00")
        return {"AutoScalingGroupName": name, "AvailabilityZones": [zone], "CreatedTime": made, "Tags": tags, **sizes}

    def _of(self, things: Mapping[str, list[dict[str, Any]]], asked: Asked) -> list[dict[str, Any]]:
        name = asked["AutoScalingGroupName"]
        if name not in self.groups:
            raise Refusal("ValidationError", "Group not found")
        return things.get(name, [])
