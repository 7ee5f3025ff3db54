"""Deployments of ECS services: what ran before, what was to run, and what came of it. It only lists and describes."""

import re
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import quote

from midwatch_deploys.backend import Change, Found
from midwatch_deploys.backends.aws import taskdefinition
from midwatch_deploys.backends.aws.account import Account, chunks, matching, read, tags_of, utc
from midwatch_deploys.backends.aws.ecsdeployment import (
    Deployment,
    change_of,
    deployment_of,
    last_part_of_definition,
    present,
)
from midwatch_deploys.backends.parts import checked, each_at_once, gathered
from midwatch_deploys.resources import Resources, last_part
from midwatch_deploys.settings import DeploysSettings
from midwatch_kit import Check, KitError, rfc3339
from midwatch_kit.aws import in_words

if TYPE_CHECKING:
    from mypy_boto3_ecs import ECSClient
    from mypy_boto3_ecs.type_defs import ServiceTypeDef

_ID: Final = re.compile(r"ecs:(?P<cluster>[^/@]+)/(?P<service>[^/@]+)@(?P<deployment>.+)")
_KEPT: Final = timedelta(days=90)
_MOST_SERVICES: Final = 500
_MOST_DEPLOYMENTS: Final = 100
_AT_A_TIME: Final = 10
_AT_A_TIME_DEPLOYMENTS: Final = 20
_EVENTS_AFTER: Final = timedelta(minutes=15)


class EcsChanges:
    """The services of the clusters that the settings name."""

    def __init__(self, settings: DeploysSettings) -> None:
        self._aws: Account[ECSClient] = Account(settings, lambda s, o: s.client("ecs", **o))
        self._patterns = settings.ecs_clusters
        self._resources = Resources(settings.service_resources)
        self._tag = settings.service_tag
        self._lookback = min(timedelta(days=settings.lookback_days), _KEPT)

    def between(self, begin: datetime | None, end: datetime) -> Found:
        """Return the deployments of services in `[begin, end)`; raises `BackendDown`.

        `begin` None is as far back as the settings say, and as ECS keeps them: 90 days.
        """
        return gathered("ECS", {"deployments": self._deployments}, begin or end - self._lookback, end)

    def find(self, change_id: str) -> Change | None:
        """Return a deployment with what differs from before, and what ECS said meanwhile; raises `BackendDown`."""
        named = _ID.fullmatch(change_id)
        if named is None:
            return None
        services = [s for s in self._services() if _place(s) == f"{named['cluster']}/{named['service']}"]
        for service in services:
            told, _ = self._of_service(service, datetime.now(UTC) - _KEPT, datetime.now(UTC))
            found = next((each for each in told if each.id == change_id), None)
            if found is not None:
                return replace(found, diff="\n".join([*self._differences(found), *_events(service, found)]))
        return None

    def checks(self) -> Sequence[Check]:
        """Look at each permission: listing clusters and services, and describing what they run."""
        do = "see docs/deploys.md for the policy, and check MIDWATCH_ECS_CLUSTERS"
        found: list[ServiceTypeDef] = []
        listing = checked("services", lambda: self._counted(found), do)
        if not found:
            return [listing]
        one = found[0]
        now = datetime.now(UTC)
        return [
            listing,
            checked("history", lambda: f"{len(self._history(one, now - _KEPT, now))} deployments of {_place(one)}", do),
            checked("task definition", lambda: f"{self._containers(one['taskDefinition'])} can be read", do),
        ]

    def _counted(self, found: "list[ServiceTypeDef]") -> str:
        found += self._services()
        return f"{len(found):,} in clusters named as {', '.join(self._patterns)}"

    def _containers(self, task_definition: str) -> str:
        self._task_definition(task_definition)
        return last_part_of_definition(task_definition)

    def _deployments(self, begin: datetime, end: datetime) -> tuple[list[Change], str]:
        told = each_at_once(lambda service: self._of_service(service, begin, end), self._services())
        gaps = list(dict.fromkeys(gap for _, gap in told if gap))
        return [change for changes, _ in told for change in changes], "; ".join(gaps)

    def _of_service(self, service: "ServiceTypeDef", begin: datetime, end: datetime) -> tuple[list[Change], str]:
        """Return a service's deployments; where there is no history, those that are still there, and that as a gap."""
        try:
            deployments, gap = self._history(service, begin, end), ""
            if len(deployments) == _MOST_DEPLOYMENTS:
                gap = f"only the newest {_MOST_DEPLOYMENTS} deployments of {_place(service)} were read"
        except KitError as error:
            deployments = present(service)
            gap = f"only the deployments that are still there are known ({error})"
        tagged = tags_of(service.get("tags", [])).get(self._tag, "") if self._tag else ""
        name = service["serviceName"]
        known = self._resources.knows(_place(service), name)
        owner = self._resources.known(_place(service), name) if known else tagged or name
        cluster = last_part(service["clusterArn"])
        page = self._aws.page_of(
            f"ecs/v2/clusters/{quote(cluster)}/services/{quote(name)}/deployments?region={{region}}"
        )
        return [change_of(each, _place(service), owner, page) for each in deployments], gap

    def _history(self, service: "ServiceTypeDef", begin: datetime, end: datetime) -> list[Deployment]:
        """Return the deployments that ECS keeps of a service, with what they ran."""
        with in_words("ECS", "ecs:ListServiceDeployments"):
            listed = self._aws.client.list_service_deployments(
                cluster=service["clusterArn"],
                service=service["serviceArn"],
                createdAt={"after": begin - timedelta(days=1), "before": end},
                maxResults=_MOST_DEPLOYMENTS,
            )["serviceDeployments"]
        arns = [each["serviceDeploymentArn"] for each in listed]
        told: list[Any] = []
        with in_words("ECS", "ecs:DescribeServiceDeployments"):
            for some in chunks(arns, _AT_A_TIME_DEPLOYMENTS):
                told += self._aws.client.describe_service_deployments(serviceDeploymentArns=some)["serviceDeployments"]
        sides = [s for d in told for s in [*d.get("sourceServiceRevisions", []), d.get("targetServiceRevision", {})]]
        revisions = {str(each["arn"]) for each in sides if each.get("arn")}
        ran: dict[str, Any] = {}
        with in_words("ECS", "ecs:DescribeServiceRevisions"):
            for some in chunks(sorted(revisions), _AT_A_TIME_DEPLOYMENTS):
                found = self._aws.client.describe_service_revisions(serviceRevisionArns=some)["serviceRevisions"]
                ran |= {each["serviceRevisionArn"]: each for each in found}
        return [deployment_of(each, ran) for each in told]

    def _services(self) -> "list[ServiceTypeDef]":
        with in_words("ECS", "ecs:ListClusters"):
            pages = self._aws.client.get_paginator("list_clusters").paginate()
            clusters, _ = read(pages, lambda page: page["clusterArns"], _MOST_SERVICES, self._aws.until())
        by_name = {last_part(arn): arn for arn in clusters}
        found: list[ServiceTypeDef] = []
        for name in matching(by_name, self._patterns, "ECS cluster"):
            arn = by_name[name]
            with in_words("ECS", "ecs:ListServices"):
                listing = self._aws.client.get_paginator("list_services").paginate(cluster=arn)
                services, _ = read(listing, lambda page: page["serviceArns"], _MOST_SERVICES, self._aws.until())
            with in_words("ECS", "ecs:DescribeServices"):
                for some in chunks(services, _AT_A_TIME):
                    found += self._aws.client.describe_services(cluster=arn, services=some, include=["TAGS"])[
                        "services"
                    ]
        return found

    def _differences(self, change: Change) -> list[str]:
        before, after = change.attributes.get("task_definition_before"), change.attributes.get("task_definition")
        if not after:
            return []
        try:
            new = self._task_definition(after)
            old = self._task_definition(before) if before else None
        except KitError as error:
            return [f"(what differs is not known: {error})"]
        return taskdefinition.differences(old, new)

    def _task_definition(self, name: str) -> Any:
        with in_words("ECS", "ecs:DescribeTaskDefinition"):
            return self._aws.client.describe_task_definition(taskDefinition=name)["taskDefinition"]


def _place(service: "ServiceTypeDef") -> str:
    return f"{last_part(service['clusterArn'])}/{service['serviceName']}"


def _events(service: "ServiceTypeDef", change: Change) -> list[str]:
    """Return what ECS said of a service while a deployment went on, oldest first."""
    until = (change.ended or datetime.now(UTC)) + _EVENTS_AFTER
    events = [each for each in service.get("events", []) if change.at <= utc(each["createdAt"]) < until]
    return [f"{rfc3339(utc(each['createdAt']))} {each['message']}" for each in reversed(events)]
