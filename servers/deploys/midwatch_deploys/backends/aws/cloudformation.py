"""What CloudFormation did to stacks: each operation is one change, with the resources it touched. It only describes."""

import re
import time
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Final
from urllib.parse import quote

from midwatch_deploys.backend import Change, Found, hash_in
from midwatch_deploys.backends.aws.account import Account, matching, read, tags_of, utc
from midwatch_deploys.backends.aws.changesets import ChangeSet, change_set_of
from midwatch_deploys.backends.aws.stackevents import Operation, operations_of
from midwatch_deploys.backends.parts import LATE, checked, each_at_once, gathered
from midwatch_deploys.resources import Resources
from midwatch_deploys.settings import DeploysSettings
from midwatch_kit import Check, KitError, NotFound, rfc3339
from midwatch_kit.aws import in_words

if TYPE_CHECKING:
    from mypy_boto3_cloudformation import CloudFormationClient
    from mypy_boto3_cloudformation.type_defs import (
        DescribeChangeSetOutputTypeDef,
        StackEventTypeDef,
        StackSummaryTypeDef,
        StackTypeDef,
    )

_ID: Final = re.compile(r"cloudformation:(?P<stack>[^@]+)@(?P<event>.+)")
_VERSION: Final = re.compile(r"image|tag|version|revision|commit|sha", re.IGNORECASE)
_MOST_STACKS: Final = 2_000
_MOST_LOOKED_INTO: Final = 40
_MOST_EVENTS: Final = 2_000
_MOST_DRIFTED: Final = 30
_MOST_PAGES: Final = 10
_NO_CHANGE_SET: Final = "midwatch-asks-whether-it-may"
"""A change set that there is not: who may describe change sets is told so, and who may not is refused."""


class CloudFormationChanges:
    """The stacks of one region whose names fit the settings."""

    def __init__(self, settings: DeploysSettings) -> None:
        self._aws: Account[CloudFormationClient] = Account(settings, lambda s, o: s.client("cloudformation", **o))
        self._patterns = settings.cloudformation_stacks
        self._resources = Resources(settings.service_resources)
        self._tag = settings.service_tag
        self._lookback = timedelta(days=settings.lookback_days)

    def between(self, begin: datetime | None, end: datetime) -> Found:
        """Return the operations on stacks in `[begin, end)`; raises `BackendDown`.

        `begin` None is as far back as the settings say.
        """
        return gathered("CloudFormation", {"stacks": self._stacks}, begin or end - self._lookback, end)

    def find(self, change_id: str) -> Change | None:
        """Return an operation with what was planned, its events, and what drifted since; raises `BackendDown`."""
        named = _ID.fullmatch(change_id)
        if named is None:
            return None
        for stack in self._listed():
            if stack["StackName"] != named["stack"]:
                continue
            events, cut = self._events(stack, None)
            operations = operations_of(events)
            found = next((each for each in operations if each.event_id == named["event"]), None)
            if found is not None:
                return self._in_full(stack, found, operations, cut=cut)
        return None

    def checks(self) -> Sequence[Check]:
        """Look at each permission: listing stacks, and describing one, its events and its drift."""
        do = "see docs/deploys.md for the policy, and check MIDWATCH_CLOUDFORMATION_STACKS"
        listing = checked("stacks", self._counted, do)
        if not listing.ok:
            return [listing]
        stack = next((each for each in self._listed() if not _gone(each)), None)
        if stack is None:
            return [listing]
        name = stack["StackName"]
        return [
            listing,
            checked("stack", lambda: _said(f"{name} can be described", self._described(stack)), do),
            checked("events", lambda: f"{len(self._events(stack, None, 1)[0])} of {name} can be read", do),
            checked("drift", lambda: _said(f"of {name} can be read", self._drifted(stack)), do),
            checked("change sets", lambda: self._may_read_change_sets(stack), do),
        ]

    def _counted(self) -> str:
        stacks = self._listed()
        if not stacks:
            raise NotFound(f"no stack is named as {', '.join(self._patterns)}")
        return f"{len(stacks):,} are named as {', '.join(self._patterns)}"

    def _in_full(
        self, stack: "StackSummaryTypeDef", found: Operation, operations: Sequence[Operation], *, cut: bool
    ) -> Change:
        """Return an operation in full; `operations` are all that are known of its stack, and older ones if `cut`."""
        described = self._described(stack)
        change = self._told(stack, described, found, latest=found is operations[-1])
        planned: list[str] = []
        try:
            change_set = self._executed(stack, described)
            if change_set and change_set.carried_out_by(operations) is found and not (cut and found is operations[0]):
                planned = change_set.lines()
                change = replace(change, attributes={**change.attributes, "change_set": change_set.name})
        except KitError as error:
            planned = [f"(the change set that was executed last cannot be read: {error})"]
        return replace(change, diff="\n".join([*planned, *found.lines(), *self._drift(stack)]))

    def _executed(self, stack: "StackSummaryTypeDef", described: "StackTypeDef | None") -> ChangeSet | None:
        """Return the change set that was executed last; of earlier ones CloudFormation does not tell."""
        change_set = described.get("ChangeSetId") if described else None
        if not change_set:
            return None
        pages: list[DescribeChangeSetOutputTypeDef] = []
        until = self._aws.until()
        with in_words("CloudFormation", "cloudformation:DescribeChangeSet"):
            paginator = self._aws.client.get_paginator("describe_change_set")
            for page in paginator.paginate(ChangeSetName=change_set, StackName=stack["StackId"]):
                pages.append(page)
                if len(pages) == _MOST_PAGES or time.monotonic() >= until:
                    break
        return change_set_of(pages)

    def _may_read_change_sets(self, stack: "StackSummaryTypeDef") -> str:
        try:
            with in_words("CloudFormation", "cloudformation:DescribeChangeSet"):
                self._aws.client.describe_change_set(ChangeSetName=_NO_CHANGE_SET, StackName=stack["StackId"])
        except NotFound:
            pass
        return f"of {stack['StackName']} can be read"

    def _stacks(self, begin: datetime, end: datetime) -> tuple[list[Change], str]:
        near = [
            stack for stack in self._listed() if _touched(stack) >= begin - LATE and utc(stack["CreationTime"]) < end
        ]
        told = each_at_once(lambda stack: self._of_stack(stack, begin), near[:_MOST_LOOKED_INTO])
        gaps = [f"{len(near) - _MOST_LOOKED_INTO} more stacks were left out"] if len(near) > _MOST_LOOKED_INTO else []
        gaps += [gap for _, gap in told if gap]
        return [change for changes, _ in told for change in changes], "; ".join(gaps)

    def _of_stack(self, stack: "StackSummaryTypeDef", begin: datetime) -> tuple[list[Change], str]:
        try:
            events, cut = self._events(stack, begin)
            operations = operations_of(events)
            described = self._described(stack) if operations else None
        except KitError as error:
            return [], f"{stack['StackName']}: {error}"
        changes = [self._told(stack, described, each, latest=each is operations[-1]) for each in operations]
        return changes, f"{stack['StackName']}: only the newest {len(events):,} events were read" if cut else ""

    def _told(
        self, stack: "StackSummaryTypeDef", described: "StackTypeDef | None", operation: Operation, *, latest: bool
    ) -> Change:
        service = self._service(stack, described, operation)
        version = _version(described) if latest and described else ""
        drift = stack.get("DriftInformation", {}).get("StackDriftStatus", "")
        facts = {
            "stack": stack["StackName"],
            "status": operation.status,
            "resources": ", ".join(operation.touched),
            "reason": operation.reason,
            "drift": "" if drift == "NOT_CHECKED" else drift,
            "request": operation.token,
        }
        page = f"cloudformation/home?region={{region}}#/stacks/events?stackId={quote(stack['StackId'], safe='')}"
        return Change(
            id=f"cloudformation:{stack['StackName']}@{operation.event_id}",
            at=operation.at,
            kind="deploy" if version else "infrastructure",
            service=service,
            title=operation.title(stack["StackName"]),
            version=version,
            url=self._aws.page_of(page),
            ended=operation.ended,
            outcome=operation.outcome,
            attributes={name: text for name, text in facts.items() if text},
            source="cloudformation stack",
            keys=frozenset({f"stack:{stack['StackName']}", *operation.keys, *_revision(version)}),
        )

    def _service(self, stack: "StackSummaryTypeDef", described: "StackTypeDef | None", operation: Operation) -> str:
        """Return whose stack it is: as the settings say, else its tag, else the one service in it, else its name."""
        name = stack["StackName"]
        if self._resources.knows(name):
            return self._resources.known(name)
        tagged = tags_of(described.get("Tags", [])).get(self._tag, "") if described and self._tag else ""
        own = operation.services
        return tagged or (self._resources.service_of(own[0]) if len(own) == 1 else name)

    def _listed(self) -> "list[StackSummaryTypeDef]":
        """Return the stacks of the settings, those deleted in the last 90 days among them."""
        with in_words("CloudFormation", "cloudformation:ListStacks"):
            pages = self._aws.client.get_paginator("list_stacks").paginate()
            stacks, _ = read(pages, lambda page: page["StackSummaries"], _MOST_STACKS, self._aws.until())
        names = set(matching(dict.fromkeys(stack["StackName"] for stack in stacks), self._patterns, "stack"))
        return sorted((s for s in stacks if s["StackName"] in names), key=_touched, reverse=True)

    def _described(self, stack: "StackSummaryTypeDef") -> "StackTypeDef | None":
        if _gone(stack):
            return None
        with in_words("CloudFormation", "cloudformation:DescribeStacks"):
            return self._aws.client.describe_stacks(StackName=stack["StackId"])["Stacks"][0]

    def _events(
        self, stack: "StackSummaryTypeDef", begin: datetime | None, most: int = _MOST_EVENTS
    ) -> "tuple[list[StackEventTypeDef], bool]":
        """Return a stack's events, newest first, back to what was under way at `begin`."""
        with in_words("CloudFormation", "cloudformation:DescribeStackEvents", "the stack may be gone"):
            until = self._aws.until()
            found: list[StackEventTypeDef] = []
            for page in self._aws.client.get_paginator("describe_stack_events").paginate(StackName=stack["StackId"]):
                found += page["StackEvents"]
                old = begin is not None and any(utc(each["Timestamp"]) < begin - LATE for each in page["StackEvents"])
                if old or len(found) >= most or time.monotonic() >= until:
                    return found[:most], not old and bool(page.get("NextToken"))
            return found, False

    def _drifted(self, stack: "StackSummaryTypeDef") -> list[str]:
        with in_words("CloudFormation", "cloudformation:DescribeStackResourceDrifts"):
            found = self._aws.client.describe_stack_resource_drifts(
                StackName=stack["StackId"], StackResourceDriftStatusFilters=["MODIFIED", "DELETED"]
            )["StackResourceDrifts"]
        lines = []
        for each in found[:_MOST_DRIFTED]:
            paths = [f"{d['PropertyPath']} {d['DifferenceType']}" for d in each.get("PropertyDifferences", [])]
            what = f"{each['LogicalResourceId']} ({each['ResourceType']}) {each['StackResourceDriftStatus']}"
            lines.append(f"drifted by {rfc3339(utc(each['Timestamp']))}: {what} {', '.join(paths)}".rstrip())
        return lines

    def _drift(self, stack: "StackSummaryTypeDef") -> list[str]:
        """Return what of a stack drifted when that was last looked at; its values are not told."""
        if _gone(stack) or stack.get("DriftInformation", {}).get("StackDriftStatus") != "DRIFTED":
            return []
        try:
            return self._drifted(stack)
        except KitError as error:
            return [f"(its drift cannot be read: {error})"]


def _touched(stack: "StackSummaryTypeDef") -> datetime:
    times = [stack["CreationTime"], stack.get("LastUpdatedTime"), stack.get("DeletionTime")]
    return utc(max(each for each in times if each))


def _gone(stack: "StackSummaryTypeDef") -> bool:
    return stack["StackStatus"] == "DELETE_COMPLETE"


def _version(stack: "StackTypeDef") -> str:
    """Return the commit that a parameter of the stack names, such as an image's tag; '' if none does."""
    named = (each for each in stack.get("Parameters", []) if _VERSION.search(each.get("ParameterKey", "")))
    return next((found for each in named if (found := hash_in(each.get("ParameterValue", "")))), "")


def _revision(version: str) -> frozenset[str]:
    return frozenset({f"revision:{version[:7].lower()}"} if version else ())


def _said(words: str, _: object) -> str:
    return words
