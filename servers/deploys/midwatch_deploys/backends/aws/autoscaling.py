"""What Auto Scaling did to groups of instances: launches, terminations, instance refreshes. It only describes."""

import re
from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Final
from urllib.parse import quote

from midwatch_deploys.backend import Change, Found
from midwatch_deploys.backends.aws.account import Account, matching, read, tags_of, utc
from midwatch_deploys.backends.parts import LATE, Part, checked, each_at_once, gathered
from midwatch_deploys.resources import Resources
from midwatch_deploys.settings import DeploysSettings
from midwatch_kit import Check, KitError
from midwatch_kit.aws import in_words

if TYPE_CHECKING:
    from collections.abc import Callable

    from mypy_boto3_autoscaling import AutoScalingClient
    from mypy_boto3_autoscaling.type_defs import (
        ActivitiesTypeTypeDef,
        ActivityTypeDef,
        AutoScalingGroupTypeDef,
        InstanceRefreshTypeDef,
    )

_ID: Final = re.compile(r"autoscaling:(?P<group>[^@]+)@(?P<what>.+)")
_INSTANCE: Final = re.compile(r"\bi-[0-9a-f]{8,}\b")
_OUTCOMES: Final = {"Successful": "succeeded", "Failed": "failed", "Cancelled": "failed"}
_REFRESHED: Final = {**_OUTCOMES, "RollbackSuccessful": "failed", "RollbackFailed": "failed"}
_KEPT: Final = timedelta(days=42)
_MOST_GROUPS: Final = 1_000
_MOST_LOOKED_INTO: Final = 100
_MOST_ACTIVITIES: Final = 200
_MOST_REFRESHES: Final = 100


class AutoScalingChanges:
    """The groups of one region whose names fit the settings."""

    def __init__(self, settings: DeploysSettings) -> None:
        self._aws: Account[AutoScalingClient] = Account(settings, lambda s, o: s.client("autoscaling", **o))
        self._patterns = settings.auto_scaling_groups
        self._resources = Resources(settings.service_resources)
        self._tag = settings.service_tag
        self._lookback = min(timedelta(days=settings.lookback_days), _KEPT)
        self._parts: dict[str, Part] = {
            "activities": lambda begin, _: self._of_all(begin, self._activities),
            "instance refreshes": lambda begin, _: self._of_all(begin, self._refreshes),
        }

    def between(self, begin: datetime | None, end: datetime) -> Found:
        """Return what was done to groups in `[begin, end)`; raises `BackendDown`.

        `begin` None is as far back as the settings say, and as Auto Scaling keeps it: six weeks.
        """
        return gathered("Auto Scaling", self._parts, begin or end - self._lookback, end)

    def find(self, change_id: str) -> Change | None:
        """Return one activity or instance refresh; raises `BackendDown`."""
        named = _ID.fullmatch(change_id)
        if named is None:
            return None
        for group in self._groups():
            if group["AutoScalingGroupName"] == named["group"]:
                told = self._refreshes if named["what"].startswith("refresh/") else self._activities
                changes, _ = told(group, None)
                return next((each for each in changes if each.id == change_id), None)
        return None

    def checks(self) -> Sequence[Check]:
        """Look at each permission: describing groups, their activities, and their instance refreshes."""
        do = "see docs/deploys.md for the policy, and check MIDWATCH_AUTO_SCALING_GROUPS"
        there: list[AutoScalingGroupTypeDef] = []
        listing = checked("groups", lambda: self._counted(there), do)
        if not there:
            return [listing]
        group = there[0]
        name = group["AutoScalingGroupName"]
        return [
            listing,
            checked("activities", lambda: f"{len(self._activities(group, None)[0])} of {name} can be read", do),
            checked("refreshes", lambda: f"{len(self._refreshes(group, None)[0])} of {name} can be read", do),
        ]

    def _counted(self, there: "list[AutoScalingGroupTypeDef]") -> str:
        there += self._groups()
        return f"{len(there):,} are named as {', '.join(self._patterns)}"

    def _of_all(
        self,
        begin: datetime,
        ask: "Callable[[AutoScalingGroupTypeDef, datetime | None], tuple[list[Change], str]]",
    ) -> tuple[list[Change], str]:
        def asked(group: "AutoScalingGroupTypeDef") -> tuple[list[Change], str]:
            try:
                return ask(group, begin)
            except KitError as error:
                return [], f"{group['AutoScalingGroupName']}: {error}"

        groups = self._groups()
        told = each_at_once(asked, groups[:_MOST_LOOKED_INTO])
        left_out = len(groups) - _MOST_LOOKED_INTO
        gaps = [f"{left_out} more groups were left out"] if left_out > 0 else []
        return [change for changes, _ in told for change in changes], "; ".join(
            [*gaps, *(gap for _, gap in told if gap)]
        )

    def _groups(self) -> "list[AutoScalingGroupTypeDef]":
        with in_words("Auto Scaling", "autoscaling:DescribeAutoScalingGroups"):
            pages = self._aws.client.get_paginator("describe_auto_scaling_groups").paginate()
            found, _ = read(pages, lambda page: page["AutoScalingGroups"], _MOST_GROUPS, self._aws.until())
        names = set(matching([each["AutoScalingGroupName"] for each in found], self._patterns, "Auto Scaling group"))
        return [each for each in found if each["AutoScalingGroupName"] in names]

    def _activities(self, group: "AutoScalingGroupTypeDef", begin: datetime | None) -> tuple[list[Change], str]:
        name = group["AutoScalingGroupName"]
        with in_words("Auto Scaling", "autoscaling:DescribeScalingActivities"):
            pages = self._aws.client.get_paginator("describe_scaling_activities").paginate(AutoScalingGroupName=name)
            found, cut = read(
                _until_old(pages, begin), lambda page: page["Activities"], _MOST_ACTIVITIES, self._aws.until()
            )
        gap = f"{name}: only the newest {len(found)} activities were read" if cut else ""
        return [self._of_activity(group, each) for each in found], gap

    def _refreshes(self, group: "AutoScalingGroupTypeDef", _begin: datetime | None) -> tuple[list[Change], str]:
        name = group["AutoScalingGroupName"]
        with in_words("Auto Scaling", "autoscaling:DescribeInstanceRefreshes"):
            answer = self._aws.client.describe_instance_refreshes(AutoScalingGroupName=name, MaxRecords=_MOST_REFRESHES)
        found = [each for each in answer["InstanceRefreshes"] if each.get("StartTime")]
        gap = f"{name}: only the newest {len(found)} instance refreshes were read" if answer.get("NextToken") else ""
        return [self._of_refresh(group, each, found[number + 1 :]) for number, each in enumerate(found)], gap

    def _of_activity(self, group: "AutoScalingGroupTypeDef", activity: "ActivityTypeDef") -> Change:
        name, text = group["AutoScalingGroupName"], activity.get("Description", "")
        instance = _INSTANCE.search(text)
        status = activity["StatusCode"]
        facts = {
            "group": name,
            "status": status,
            "cause": " ".join(activity.get("Cause", "").split())[:500],
            "said": activity.get("StatusMessage", "")[:300],
        }
        return Change(
            id=f"autoscaling:{name}@{activity['ActivityId']}",
            at=utc(activity["StartTime"]),
            kind="infrastructure",
            service=self._service(group),
            instance=instance[0] if instance else "",
            title=_with(text, facts["said"] if _OUTCOMES.get(status) == "failed" else ""),
            url=self._page(name, "activity"),
            ended=utc(activity["EndTime"]) if activity.get("EndTime") else None,
            outcome=_OUTCOMES.get(status, "running"),
            attributes={key: value for key, value in facts.items() if value},
            source="autoscaling activity",
        )

    def _of_refresh(
        self,
        group: "AutoScalingGroupTypeDef",
        refresh: "InstanceRefreshTypeDef",
        before: "Sequence[InstanceRefreshTypeDef]",
    ) -> Change:
        """Return an instance refresh as a deploy; `before` are the earlier ones, newest first."""
        name, number, status = group["AutoScalingGroupName"], refresh["InstanceRefreshId"], refresh["Status"]
        version = _version(refresh)
        previous = next((_version(each) for each in before if each.get("Status") == "Successful"), "")
        facts = {
            "group": name,
            "status": status,
            "reason": refresh.get("StatusReason", ""),
            "percent": str(refresh.get("PercentageComplete", "")),
            "instances_to_update": str(refresh.get("InstancesToUpdate", "")),
        }
        return Change(
            id=f"autoscaling:{name}@refresh/{number}",
            at=utc(refresh["StartTime"]),
            kind="deploy",
            service=self._service(group),
            title=_with(f"instance refresh of {name}", facts["reason"]),
            version=version,
            previous_version="" if previous == version else previous,
            url=self._page(name, "instanceRefresh"),
            ended=utc(refresh["EndTime"]) if refresh.get("EndTime") else None,
            outcome=_REFRESHED.get(status, "running"),
            attributes={key: value for key, value in facts.items() if value},
            source="autoscaling refresh",
            keys=frozenset({f"refresh:{number}"}),
        )

    def _service(self, group: "AutoScalingGroupTypeDef") -> str:
        name = group["AutoScalingGroupName"]
        if self._resources.knows(name):
            return self._resources.known(name)
        return (tags_of(group.get("Tags", [])).get(self._tag, "") if self._tag else "") or name

    def _page(self, name: str, view: str) -> str:
        link = f"ec2/home?region={{region}}#AutoScalingGroupDetails:id={quote(name, safe='')};view={view}"
        return self._aws.page_of(link)


def _until_old(pages: "Iterable[ActivitiesTypeTypeDef]", begin: datetime | None) -> "Iterator[ActivitiesTypeTypeDef]":
    """Yield pages as far back as something may have begun that was still under way at `begin`."""
    for page in pages:
        yield page
        if begin and any(utc(each["StartTime"]) < begin - LATE for each in page["Activities"]):
            return


def _version(refresh: "InstanceRefreshTypeDef") -> str:
    """Return the launch template that a refresh brings, as `name:version`; '' when it brings none."""
    wanted = refresh.get("DesiredConfiguration", {}).get("LaunchTemplate", {})
    name = wanted.get("LaunchTemplateName") or wanted.get("LaunchTemplateId") or ""
    return f"{name}:{wanted.get('Version', '$Default')}" if name else ""


def _with(what: str, why: str) -> str:
    return f"{what}: {why}" if why else what
