"""What a change set of CloudFormation said it would do, and which operation carried it out. Pure: it asks nobody.

Values of properties are never asked for, so there are none to show.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Final

from midwatch_deploys.backends.aws.account import utc
from midwatch_deploys.backends.aws.stackevents import Operation
from midwatch_kit import rfc3339

if TYPE_CHECKING:
    from mypy_boto3_cloudformation.type_defs import (
        ChangeTypeDef,
        DescribeChangeSetOutputTypeDef,
        ResourceChangeDetailTypeDef,
        ResourceChangeTypeDef,
    )

_EXECUTED: Final = frozenset({"EXECUTE_IN_PROGRESS", "EXECUTE_COMPLETE", "EXECUTE_FAILED"})
_MOST_SHOWN: Final = 100
_MOST_DETAILS: Final = 8
_REPLACED: Final = {"True": "replaces it", "Conditional": "may replace it"}


@dataclass(frozen=True, slots=True)
class ChangeSet:
    """A change set as it was made; `begun` is when it was, `more` whether it holds changes that were not read."""

    name: str
    begun: datetime
    executed: bool
    description: str
    changes: "Sequence[ChangeTypeDef]"
    more: bool

    def carried_out_by(self, operations: Sequence[Operation]) -> Operation | None:
        """Return which of a stack's operations (oldest first) carried it out, None if none of them did.

        Any other operation would have made it obsolete: so it is the first one that began after it was made.
        """
        later = (each for each in operations if each.at >= self.begun)
        return next(later, None) if self.executed else None

    def lines(self) -> list[str]:
        """Return what it said it would do, one resource a line."""
        said = [_line(one["ResourceChange"]) for one in self.changes[:_MOST_SHOWN] if "ResourceChange" in one]
        count = f"{len(self.changes):,}{' or more' if self.more else ''}"
        head = f"change set {self.name} of {rfc3339(self.begun)} said what would change ({count}):"
        hidden = len(self.changes) - _MOST_SHOWN
        left = [f"({hidden:,} more of its changes are not shown)"] if hidden > 0 else []
        return [head, *([f"it is described as: {self.description}"] if self.description else []), *said, *left]


def change_set_of(pages: "Sequence[DescribeChangeSetOutputTypeDef]") -> ChangeSet:
    """Return a change set from the pages of its description; there is at least one."""
    first = pages[0]
    return ChangeSet(
        first["ChangeSetName"],
        utc(first["CreationTime"]),
        first.get("ExecutionStatus") in _EXECUTED,
        " ".join(first.get("Description", "").split()),
        [change for page in pages for change in page.get("Changes", [])],
        bool(pages[-1].get("NextToken")),
    )


def _line(change: "ResourceChangeTypeDef") -> str:
    what = f"{change.get('Action', 'Change')} {change.get('LogicalResourceId', '')} ({change.get('ResourceType', '')})"
    replaced = _REPLACED.get(change.get("Replacement", ""), "")
    details = list(dict.fromkeys(_details(change.get("Details", []))))
    more = f" and {len(details) - _MOST_DETAILS} more" if len(details) > _MOST_DETAILS else ""
    told = ", ".join(details[:_MOST_DETAILS]) + more
    return f"{what}{f', which {replaced}' if replaced else ''}{f': {told}' if told else ''}"


def _details(details: "Sequence[ResourceChangeDetailTypeDef]") -> Iterator[str]:
    """Yield which attribute or property changes, and because of which parameter or resource, where that is told."""
    for each in details:
        target = each.get("Target", {})
        place = target.get("Name") or target.get("Attribute", "")
        cause = each.get("CausingEntity")
        if place:
            yield f"{place} (by {cause})" if cause else place
