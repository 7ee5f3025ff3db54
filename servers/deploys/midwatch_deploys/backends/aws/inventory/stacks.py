"""Stacks of CloudFormation with their resources, and the tags of whatever is tagged. They only list."""

from collections import Counter
from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

from midwatch_deploys.backends.aws.account import Account, matching, read, tags_of
from midwatch_deploys.backends.aws.inventory.arns import arn_of, named
from midwatch_deploys.backends.aws.inventory.found import Stack, Thing
from midwatch_deploys.backends.parts import each_at_once
from midwatch_deploys.settings import DeploysSettings
from midwatch_kit import KitError
from midwatch_kit.aws import in_words

if TYPE_CHECKING:
    from mypy_boto3_cloudformation import CloudFormationClient
    from mypy_boto3_cloudformation.type_defs import StackResourceSummaryTypeDef, StackTypeDef
    from mypy_boto3_resourcegroupstaggingapi import ResourceGroupsTaggingAPIClient

_MOST_STACKS: Final = 2_000
_MOST_LOOKED_INTO: Final = 100
_MOST_RESOURCES: Final = 500
_MOST_TAGGED: Final = 5_000
_GONE: Final = frozenset({"DELETE_COMPLETE", "REVIEW_IN_PROGRESS"})


class StackReader:
    """The stacks of a region: those that the settings name, or else all."""

    def __init__(self, settings: DeploysSettings) -> None:
        self._aws: Account[CloudFormationClient] = Account(settings, lambda s, o: s.client("cloudformation", **o))
        self._patterns = settings.cloudformation_stacks or ["*"]

    def read(self) -> tuple[list[Stack], list[Thing], list[str]]:
        """Return stacks, what of an application they hold, and gaps; raises `BackendDown` or `NotFound`."""
        stacks, cut = self._described()
        gaps = [f"only {_MOST_STACKS:,} stacks were listed"] if cut else []
        if len(stacks) > _MOST_LOOKED_INTO:
            gaps.append(f"{len(stacks) - _MOST_LOOKED_INTO:,} more stacks were left out")
        told = each_at_once(self._of_stack, stacks[:_MOST_LOOKED_INTO])
        found = [stack for stack, _, _ in told]
        return found, [one for _, things, _ in told for one in things], [*gaps, *(gap for _, _, gap in told if gap)]

    def _described(self) -> "tuple[list[StackTypeDef], bool]":
        """Return the stacks that are there, the one that was touched last first, and whether there may be more."""
        with in_words("CloudFormation", "cloudformation:DescribeStacks"):
            pages = self._aws.client.get_paginator("describe_stacks").paginate()
            listed, cut = read(pages, lambda page: page["Stacks"], _MOST_STACKS, self._aws.until())
        there = [each for each in listed if each["StackStatus"] not in _GONE]
        fit = frozenset(matching((each["StackName"] for each in there), self._patterns, "stack"))
        kept = [each for each in there if each["StackName"] in fit]
        return sorted(kept, key=lambda s: s.get("LastUpdatedTime", s["CreationTime"]), reverse=True), cut

    def _of_stack(self, stack: "StackTypeDef") -> tuple[Stack, list[Thing], str]:
        name, tags = stack["StackName"], tags_of(stack.get("Tags", []))
        try:
            resources, cut = self._resources(stack)
        except KitError as error:
            return Stack(name, tags, {}), [], f"resources of {name}: {error}"
        counts = Counter(each["ResourceType"] for each in resources)
        arns = [
            arn_of(each["ResourceType"], each.get("PhysicalResourceId", ""), stack["StackId"]) for each in resources
        ]
        things = [Thing(arn, stack=name) for arn in arns if arn and named(arn)]
        return Stack(name, tags, counts), things, f"{name}: only {len(resources)} resources were listed" if cut else ""

    def _resources(self, stack: "StackTypeDef") -> "tuple[list[StackResourceSummaryTypeDef], bool]":
        with in_words("CloudFormation", "cloudformation:ListStackResources", "the stack may be gone"):
            pages = self._aws.client.get_paginator("list_stack_resources").paginate(StackName=stack["StackId"])
            found, cut = read(pages, lambda page: page["StackResourceSummaries"], _MOST_RESOURCES, self._aws.until())
        return [each for each in found if each["ResourceStatus"] != "DELETE_COMPLETE"], cut


class TagReader:
    """Whatever is tagged in a region, or was."""

    def __init__(self, settings: DeploysSettings) -> None:
        self._aws: Account[ResourceGroupsTaggingAPIClient] = Account(
            settings, lambda s, o: s.client("resourcegroupstaggingapi", **o)
        )

    def read(self) -> tuple[Sequence[Thing], list[str]]:
        """Return what of an application is tagged, and gaps; raises `BackendDown`."""
        with in_words("Resource Groups Tagging", "tag:GetResources"):
            pages = self._aws.client.get_paginator("get_resources").paginate(PaginationConfig={"PageSize": 100})
            found, cut = read(pages, lambda page: page["ResourceTagMappingList"], _MOST_TAGGED, self._aws.until())
        told = [(each["ResourceARN"], tags_of(each.get("Tags", []))) for each in found]
        things = [
            Thing(arn, tags=tags, stack=tags.get("aws:cloudformation:stack-name", ""))
            for arn, tags in told
            if named(arn)
        ]
        return things, [f"only {len(found):,} tagged resources were listed"] if cut else []
