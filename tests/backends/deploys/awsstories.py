"""What AWS' services hold in a test, and what they answer of it. Shapes: botocore's service models, AWS' own."""

import json
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any, Final
from uuid import NAMESPACE_URL, uuid5

from tests.backends.fakes.awsapi import Answer, Refusal, paged

ACCOUNT: Final = "123456789012"
REGION: Final = "eu-west-1"
Asked = Mapping[str, Any]


class CloudTrail:
    """An event history. Events are recorded as AWS' guide shows them (cloudtrail-event-reference-record-contents)."""

    def __init__(self) -> None:
        self.events: list[dict[str, Any]] = []
        self.page = 50

    @property
    def last_id(self) -> str:
        """The id of the event that was recorded last."""
        return str(self.events[-1]["EventId"])

    def happened(
        self, name: str, service: str, at: datetime, who: str, asked: Mapping[str, Any], **record: Any
    ) -> None:
        """Record an event; `who` is an IAM user unless `record` has another userIdentity."""
        number = str(uuid5(NAMESPACE_URL, f"{name} {at} {len(self.events)}"))
        whole = {
            "eventVersion": "1.11",
            "userIdentity": {"type": "IAMUser", "userName": who, "accountId": ACCOUNT},
            "eventTime": at.strftime("%Y-%m-%dT%H:%M:%SZ"),
            "eventSource": f"{service}.amazonaws.com",
            "eventName": name,
            "awsRegion": REGION,
            "sourceIPAddress": "192.0.2.7",
            "requestParameters": dict(asked),
            "responseElements": None,
            "eventID": number,
            "readOnly": False,
            "eventType": "AwsApiCall",
            "recipientAccountId": ACCOUNT,
            **record,
        }
        self.events.append(
            {
                "EventId": number,
                "EventName": name,
                "ReadOnly": str(whole["readOnly"]).lower(),
                "EventTime": at,
                "EventSource": whole["eventSource"],
                "Username": who,
                "Resources": [],
                "CloudTrailEvent": json.dumps(whole),
            }
        )

    def answers(self) -> dict[str, Answer]:
        """Return what CloudTrail answers."""
        return {"cloudtrail:LookupEvents": self._looked_up}

    def _looked_up(self, asked: Asked) -> dict[str, Any]:
        (wanted,) = asked["LookupAttributes"]
        assert asked.get("MaxResults", 50) <= 50
        begin, end = asked.get("StartTime", 0), asked.get("EndTime", 10**11)
        fit = [
            e
            for e in self.events
            if e[wanted["AttributeKey"]] == wanted["AttributeValue"] and begin <= e["EventTime"].timestamp() <= end
        ]
        newest_first = sorted(fit, key=lambda each: each["EventTime"], reverse=True)
        return paged(newest_first, asked, min(self.page, asked.get("MaxResults", 50)), "Events", "NextToken")


class Stacks:
    """CloudFormation's stacks, and what was done to them."""

    def __init__(self) -> None:
        self.stacks: dict[str, dict[str, Any]] = {}
        self.events: dict[str, list[dict[str, Any]]] = {}
        self.parameters: dict[str, dict[str, str]] = {}
        self.tags: dict[str, dict[str, str]] = {}
        self.drifts: list[dict[str, Any]] = []
        self.change_sets: dict[str, dict[str, Any]] = {}
        self.executed: dict[str, str] = {}
        self.resources: dict[str, list[dict[str, Any]]] = {}
        self.page = 4

    def arn(self, name: str) -> str:
        """Return a stack's id."""
        return f"arn:aws:cloudformation:{REGION}:{ACCOUNT}:stack/{name}/{uuid5(NAMESPACE_URL, name)}"

    def updated(
        self,
        name: str,
        at: datetime,
        resources: Mapping[str, str],
        *,
        failed: str = "",
        reason: str = "",
        physical: Mapping[str, str] | None = None,
    ) -> None:
        """Update a stack; the resource `failed`, if any, cannot be, and then all is rolled back."""
        self._happened(name, at, name, "AWS::CloudFormation::Stack", "UPDATE_IN_PROGRESS", "User Initiated")
        for number, (logical, kind) in enumerate(resources.items()):
            for late, status in ((5, "UPDATE_IN_PROGRESS"), (10, "UPDATE_COMPLETE")):
                when = at + timedelta(seconds=late + number)
                self._happened(name, when, logical, kind, status, physical=(physical or {}).get(logical, logical))
        steps = ["UPDATE_COMPLETE_CLEANUP_IN_PROGRESS", "UPDATE_COMPLETE"]
        why = f"The following resource(s) failed to update: [{failed}]. " if failed else ""
        if failed:
            self._happened(name, at + timedelta(seconds=20), failed, "AWS::RDS::DBInstance", "UPDATE_FAILED", reason)
            steps = ["UPDATE_ROLLBACK_IN_PROGRESS", "UPDATE_ROLLBACK_COMPLETE"]
        for late, status in zip((60, 70), steps, strict=True):
            said = why if late == 60 else ""
            self._happened(name, at + timedelta(seconds=late), name, "AWS::CloudFormation::Stack", status, said)
        self.stacks[name] = {
            "StackId": self.arn(name),
            "StackName": name,
            "CreationTime": datetime(2026, 1, 1, tzinfo=UTC),
            "LastUpdatedTime": at,
            "StackStatus": steps[-1],
            "DriftInformation": {"StackDriftStatus": "DRIFTED" if self.drifts else "NOT_CHECKED"},
        }

    def made(self, name: str, resources: Mapping[str, tuple[str, str]], tags: Mapping[str, str] | None = None) -> None:
        """Make a stack of resources, by their logical ids: a type and a physical id."""
        at = datetime(2026, 1, 1, tzinfo=UTC)
        here = {"StackId": self.arn(name), "StackName": name, "CreationTime": at, "StackStatus": "CREATE_COMPLETE"}
        self.stacks[name], self.tags[name] = here, dict(tags or {})
        self.resources[name] = [
            {
                "LogicalResourceId": logical,
                "PhysicalResourceId": physical,
                "ResourceType": kind,
                "ResourceStatus": "CREATE_COMPLETE",
                "LastUpdatedTimestamp": at,
            }
            for logical, (kind, physical) in resources.items()
        ]

    def planned(self, name: str, stack: str, at: datetime, *changes: Mapping[str, Any], **told: Any) -> None:
        """Make a change set, which is the one that was executed last unless `told` says otherwise."""
        arn = f"arn:aws:cloudformation:{REGION}:{ACCOUNT}:changeSet/{name}/{uuid5(NAMESPACE_URL, name)}"
        whole = {"ChangeSetName": name, "CreationTime": at, "ExecutionStatus": "EXECUTE_COMPLETE", **told}
        self.change_sets[arn] = {**whole, "Changes": [{"Type": "Resource", "ResourceChange": c} for c in changes]}
        self.executed[stack] = arn

    def answers(self) -> dict[str, Answer]:
        """Return what CloudFormation answers."""
        return {
            "cloudformation:DescribeChangeSet": self._change_set,
            "cloudformation:ListStacks": lambda asked: paged(
                list(self.stacks.values()), asked, self.page, "StackSummaries", "NextToken"
            ),
            "cloudformation:DescribeStacks": self._described,
            "cloudformation:ListStackResources": lambda asked: paged(
                self.resources.get(asked["StackName"].split("/")[1], []),
                asked,
                self.page,
                "StackResourceSummaries",
                "NextToken",
            ),
            "cloudformation:DescribeStackEvents": lambda asked: paged(
                self._of(asked)[::-1], asked, self.page, "StackEvents", "NextToken"
            ),
            "cloudformation:DescribeStackResourceDrifts": lambda _: {"StackResourceDrifts": self.drifts},
        }

    def _of(self, asked: Asked) -> list[dict[str, Any]]:
        name = asked["StackName"].split("/")[1]
        if name not in self.events:
            raise Refusal("ValidationError", f"Stack [{name}] does not exist")
        return self.events[name]

    def _change_set(self, asked: Asked) -> dict[str, Any]:
        if asked["ChangeSetName"] not in self.change_sets:
            raise Refusal("ChangeSetNotFound", f"ChangeSet [{asked['ChangeSetName']}] does not exist", 404)
        whole = self.change_sets[asked["ChangeSetName"]]
        return {**whole, **paged(whole["Changes"], asked, self.page, "Changes", "NextToken")}

    def _described(self, asked: Asked) -> dict[str, Any]:
        if "StackName" not in asked:
            return paged([self._whole(name) for name in self.stacks], asked, self.page, "Stacks", "NextToken")
        return {"Stacks": [self._whole(asked["StackName"].split("/")[1])]}

    def _whole(self, name: str) -> dict[str, Any]:
        stack = self.stacks[name]
        parameters = self.parameters.get(name, {})
        tags = [{"Key": key, "Value": value} for key, value in self.tags.get(name, {}).items()]
        told = [{"ParameterKey": key, "ParameterValue": value} for key, value in parameters.items()]
        kept = {key: stack[key] for key in ("StackId", "StackName", "CreationTime", "StackStatus")}
        kept |= {"ChangeSetId": self.executed[name]} if name in self.executed else {}
        return {**kept, "Parameters": told, "Tags": tags}

    def _happened(
        self, stack: str, at: datetime, logical: str, kind: str, status: str, reason: str = "", physical: str = ""
    ) -> None:
        events = self.events.setdefault(stack, [])
        own = logical == stack
        events.append(
            {
                "StackId": self.arn(stack),
                "EventId": str(uuid5(NAMESPACE_URL, f"{stack} {len(events)}")) if own else f"{logical}-{len(events)}",
                "StackName": stack,
                "LogicalResourceId": logical,
                "PhysicalResourceId": self.arn(stack) if own else physical or logical,
                "ResourceType": kind,
                "Timestamp": at,
                "ResourceStatus": status,
                "ResourceProperties": '{"MasterUserPassword": "in-the-properties"}',
                **({"ResourceStatusReason": reason} if reason else {}),
            }
        )


class Ecs:
    """One cluster, its services with what they ran, and the history of their deployments."""

    def __init__(self, cluster: str) -> None:
        self.cluster = cluster
        self.definitions: dict[str, dict[str, Any]] = {}
        self.services: dict[str, dict[str, Any]] = {}
        self.deployments: dict[str, list[dict[str, Any]]] = {}
        self.keeps_history = True

    def arn(self, what: str) -> str:
        """Return the ARN of something in ECS."""
        return f"arn:aws:ecs:{REGION}:{ACCOUNT}:{what}"

    def defined(self, name: str, image: str, variables: Mapping[str, str], **container: Any) -> None:
        """Register a task definition of one container, named as its family is."""
        family, _, revision = name.partition(":")
        environment = [{"name": key, "value": value} for key, value in variables.items()]
        self.definitions[name] = {
            "taskDefinitionArn": self.arn(f"task-definition/{name}"),
            "family": family,
            "revision": int(revision),
            "cpu": "256",
            "containerDefinitions": [{"name": family, "image": image, "environment": environment, **container}],
        }

    def deployed(
        self, service: str, at: datetime, definition: str, before: str = "", status: str = "SUCCESSFUL", **told: Any
    ) -> None:
        """Deploy a task definition to a service."""
        number = len(self.deployments.setdefault(service, []))
        place = f"{self.cluster}/{service}"
        ended = {} if status == "IN_PROGRESS" else {"finishedAt": at + timedelta(seconds=90)}
        revision = self.arn(f"service-revision/{place}/")
        self.deployments[service].append(
            {
                "serviceDeploymentArn": self.arn(f"service-deployment/{place}/{service}-d{number}"),
                "serviceArn": self.arn(f"service/{place}"),
                "clusterArn": self.arn(f"cluster/{self.cluster}"),
                "createdAt": at,
                "startedAt": at,
                "status": status,
                "targetServiceRevision": {"arn": revision + definition},
                "sourceServiceRevisions": [{"arn": revision + before}] if before else [],
                **ended,
                **told,
            }
        )
        self.services[service] = {
            "serviceArn": self.arn(f"service/{place}"),
            "serviceName": service,
            "clusterArn": self.arn(f"cluster/{self.cluster}"),
            "taskDefinition": self.arn(f"task-definition/{definition}"),
            "deployments": [
                {
                    "id": f"ecs-svc/{number}",
                    "status": "PRIMARY",
                    "taskDefinition": self.arn(f"task-definition/{definition}"),
                    "createdAt": at,
                    "updatedAt": at + timedelta(seconds=90),
                    "rolloutState": "COMPLETED",
                }
            ],
            "events": [
                {"id": "2", "createdAt": at + timedelta(seconds=91), "message": f"(service {service}) is steady."},
                {"id": "1", "createdAt": at + timedelta(seconds=3), "message": f"(service {service}) has started 1."},
            ],
            "tags": [],
        }

    def answers(self) -> dict[str, Answer]:
        """Return what ECS answers."""
        return {
            "ecs:ListClusters": lambda asked: paged(
                [self.arn("cluster/staging"), self.arn(f"cluster/{self.cluster}")], asked, 1, "clusterArns", "nextToken"
            ),
            "ecs:ListServices": lambda asked: paged(
                [each["serviceArn"] for each in self.services.values()], asked, 10, "serviceArns", "nextToken"
            ),
            "ecs:DescribeServices": lambda asked: {
                "services": [each for each in self.services.values() if each["serviceArn"] in asked["services"]]
            },
            "ecs:ListServiceDeployments": self._listed,
            "ecs:DescribeServiceDeployments": lambda asked: {
                "serviceDeployments": [
                    each
                    for some in self.deployments.values()
                    for each in some
                    if each["serviceDeploymentArn"] in asked["serviceDeploymentArns"]
                ]
            },
            "ecs:DescribeServiceRevisions": lambda asked: {
                "serviceRevisions": [self._revision(arn) for arn in asked["serviceRevisionArns"]]
            },
            "ecs:DescribeTaskDefinition": self._definition,
        }

    def _listed(self, asked: Asked) -> dict[str, Any]:
        if not self.keeps_history:
            raise Refusal("UnsupportedFeatureException", "not here")
        span = asked["createdAt"]
        told = self.deployments[asked["service"].rpartition("/")[2]]
        fit = [each for each in told if span["after"] <= each["createdAt"].timestamp() <= span["before"]]
        kept = ("serviceDeploymentArn", "serviceArn", "clusterArn", "createdAt", "startedAt", "status")
        return {"serviceDeployments": [{key: each[key] for key in kept} for each in reversed(fit)]}

    def _revision(self, arn: str) -> dict[str, Any]:
        definition = self.definitions[arn.rpartition("/")[2]]
        images = [
            {"containerName": each["name"], "image": each["image"], "imageDigest": "sha256:" + "ab" * 32}
            for each in definition["containerDefinitions"]
        ]
        return {
            "serviceRevisionArn": arn,
            "taskDefinition": definition["taskDefinitionArn"],
            "containerImages": images,
        }

    def _definition(self, asked: Asked) -> dict[str, Any]:
        name = asked["taskDefinition"].rpartition("/")[2]
        if name not in self.definitions:
            raise Refusal("ClientException", "Unable to describe task definition.")
        return {"taskDefinition": self.definitions[name]}
