"""Events of a CloudFormation stack, put together to what was done to it. Pure: it asks nobody.

What resources were made with (`ResourceProperties`) may be secret, and is never looked at.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Final

from midwatch_deploys.backends.aws.account import utc
from midwatch_kit import rfc3339

if TYPE_CHECKING:
    from mypy_boto3_cloudformation.type_defs import StackEventTypeDef

_BEGUN: Final = frozenset({"CREATE_IN_PROGRESS", "UPDATE_IN_PROGRESS", "DELETE_IN_PROGRESS", "IMPORT_IN_PROGRESS"})
_SOUND: Final = frozenset({"CREATE_COMPLETE", "UPDATE_COMPLETE", "DELETE_COMPLETE", "IMPORT_COMPLETE"})
_CLEANING: Final[str] = "UPDATE_COMPLETE_CLEANUP_IN_PROGRESS"
_SERVICE: Final = "AWS::ECS::Service"
_MOST_NAMED: Final = 8


@dataclass(slots=True)
class Operation:
    """One creation, update or deletion of a stack, from its first event on, oldest first."""

    events: "list[StackEventTypeDef]"

    @property
    def at(self) -> datetime:
        """When it began."""
        return utc(self.events[0]["Timestamp"])

    @property
    def event_id(self) -> str:
        """The id of its first event."""
        return self.events[0]["EventId"]

    @property
    def token(self) -> str:
        """The token of the request that began it; '' when there was none."""
        return self.events[0].get("ClientRequestToken", "")

    @property
    def status(self) -> str:
        """The latest status of the stack itself in it."""
        return self._own[-1].get("ResourceStatus", "")

    @property
    def ended(self) -> datetime | None:
        """When it was over, cleaning up left aside; None while it is under way."""
        rests = (e for e in self._own if e.get("ResourceStatus") == _CLEANING or _is_at_rest(e))
        first = next(rests, None)
        return utc(first["Timestamp"]) if first else None

    @property
    def over(self) -> bool:
        """Whether the stack came to rest."""
        return _is_at_rest(self._own[-1])

    @property
    def outcome(self) -> str:
        """What came of it: a roll-back is a failure of what was to be done."""
        if any("ROLLBACK" in each.get("ResourceStatus", "") for each in self._own):
            return "failed"
        if not self.over:
            return "succeeded" if self.status == _CLEANING else "running"
        return "succeeded" if self.status in _SOUND else "failed"

    @property
    def reason(self) -> str:
        """The first thing that went wrong, '' if nothing did."""
        failed = (e for e in self.events if e.get("ResourceStatus", "").endswith("_FAILED"))
        first = next(failed, None)
        return f"{first.get('LogicalResourceId', '')}: {first.get('ResourceStatusReason', '')}"[:300] if first else ""

    @property
    def touched(self) -> Sequence[str]:
        """The resources that it touched, as `LogicalId (Type)`."""
        return [f"{name} ({kind})" for name, kind in self._touched()]

    @property
    def services(self) -> Sequence[str]:
        """The ARNs of the ECS services that it touched."""
        found = (e.get("PhysicalResourceId", "") for e in self.events if e.get("ResourceType") == _SERVICE)
        return list(dict.fromkeys(arn for arn in found if arn))

    @property
    def keys(self) -> Sequence[str]:
        """What the deployment of the ECS service that it touched is known by; one of several is only a part of it."""
        named = [arn.split("/")[-2:] for arn in self.services if arn.count("/") > 1]
        return [f"ecs:{cluster}/{service}" for cluster, service in named] if len(self.services) == 1 else []

    def title(self, stack: str) -> str:
        """Return what was done, to what, and what went wrong."""
        what = self.events[0].get("ResourceStatus", "").partition("_")[0].lower()
        names = [name for name, _ in self._touched()]
        more = f" and {len(names) - _MOST_NAMED} more" if len(names) > _MOST_NAMED else ""
        touched = f": {', '.join(names[:_MOST_NAMED])}{more}" if names else ""
        return f"{what} of stack {stack}{touched}{f'; {self.reason}' if self.reason else ''}"

    def lines(self) -> list[str]:
        """Return its events, one a line."""
        return [
            f"{rfc3339(utc(each['Timestamp']))} {each.get('LogicalResourceId', '')} {each.get('ResourceType', '')} "
            f"{each.get('ResourceStatus', '')} {each.get('ResourceStatusReason', '')}".rstrip()
            for each in self.events
        ]

    @property
    def _own(self) -> "list[StackEventTypeDef]":
        return [each for each in self.events if _is_of_stack(each)]

    def _touched(self) -> list[tuple[str, str]]:
        kinds = [
            (each.get("LogicalResourceId", ""), each.get("ResourceType", ""))
            for each in self.events
            if not _is_of_stack(each) and not each.get("HookType")
        ]
        return list(dict.fromkeys(kinds))


def operations_of(events: "Sequence[StackEventTypeDef]") -> list[Operation]:
    """Return what was done to a stack, oldest first; `events` are newest first. What began before them is left out."""
    found: list[Operation] = []
    for event in reversed(events):
        begins = _is_of_stack(event) and event.get("ResourceStatus") in _BEGUN
        if begins and (not found or found[-1].over or found[-1].status == _CLEANING):
            found.append(Operation([event]))
        elif found:
            found[-1].events.append(event)
    return found


def _is_of_stack(event: "StackEventTypeDef") -> bool:
    return event.get("PhysicalResourceId") == event["StackId"]


def _is_at_rest(event: "StackEventTypeDef") -> bool:
    return event.get("ResourceStatus", "").endswith(("_COMPLETE", "_FAILED"))
