"""Which version of a service served when, from its deploys. Pure; whether a version was healthy is not known here."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from pydantic import JsonValue

from midwatch_deploys.backend import Change
from midwatch_kit import rfc3339


@dataclass(frozen=True)
class Served:
    """A version of a service and when it served; `since` None is before the record, `until` None is until now."""

    version: str
    since: datetime | None
    until: datetime | None
    brought_by: Change | None
    rolled_back: bool = False


def versions_of(service: str, changes: Iterable[Change]) -> Sequence[Served]:
    """Return what served, oldest first, from a service's deploys that did not fail (oldest first).

    A version that a later deploy says it rolls back is marked.
    """
    deploys = [c for c in changes if c.service == service and _brought_a_version(c)]
    bad = {name for c in deploys if (name := c.attributes.get("rolls_back"))}
    served: list[Served] = []
    for deploy in deploys:
        if not served and deploy.previous_version:
            served.append(Served(deploy.previous_version, None, None, None, deploy.previous_version in bad))
        if served:
            last = served[-1]
            served[-1] = Served(last.version, last.since, deploy.at, last.brought_by, last.rolled_back)
        served.append(Served(deploy.version, deploy.at, None, deploy, deploy.version in bad))
    return served


def last_good(served: Sequence[Served]) -> Served | None:
    """Return the version that served last before the current one came and was never rolled back."""
    if not served:
        return None
    return next((s for s in reversed(served) if s.version != served[-1].version and not s.rolled_back), None)


def row_of(service: str, served: Served) -> dict[str, JsonValue]:
    """Return a version and its time as plain JSON."""
    brought = served.brought_by
    return {
        "service": service,
        "version": served.version,
        "since": rfc3339(served.since) if served.since else None,
        "until": rfc3339(served.until) if served.until else None,
        "seconds": (served.until - served.since).total_seconds() if served.since and served.until else None,
        "rolled_back": served.rolled_back,
        "change_id": brought.id if brought else None,
        "title": brought.title if brought else None,
        "outcome": brought.outcome if brought else None,
    }


def line_of(served: Served) -> str:
    """Return a version and its time in a line."""
    since = rfc3339(served.since) if served.since else "before the record"
    until = f" until {rfc3339(served.until)}" if served.until else ""
    lasted = f" ({_lasted(served.since, served.until)})" if served.since and served.until else ""
    brought = f', by {served.brought_by.id}: "{served.brought_by.title}"' if served.brought_by else ""
    return f"{served.version} since {since}{until}{lasted}{', rolled back later' * served.rolled_back}{brought}"


def _brought_a_version(change: Change) -> bool:
    return change.kind == "deploy" and bool(change.version) and not change.instance and change.outcome != "failed"


def _lasted(since: datetime, until: datetime) -> str:
    return str(timedelta(seconds=round((until - since).total_seconds())))
