"""Who did what in an AWS account: what CloudTrail's event history holds. It only looks up.

Events that change something count, and sessions of people. Nothing that a request carried is shown but what is
harmless: see `cloudtrailevent`.
"""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Final

from midwatch_deploys.backend import Change, Found
from midwatch_deploys.backends.aws.account import Account, read, utc
from midwatch_deploys.backends.aws.cloudtrailevent import change_of, is_told, shown
from midwatch_deploys.backends.parts import Part, checked, gathered
from midwatch_deploys.resources import Resources
from midwatch_deploys.settings import DeploysSettings
from midwatch_kit import Check, lag_of
from midwatch_kit.aws import in_words

if TYPE_CHECKING:
    from mypy_boto3_cloudtrail import CloudTrailClient
    from mypy_boto3_cloudtrail.literals import LookupAttributeKeyType
    from mypy_boto3_cloudtrail.type_defs import EventTypeDef

_ID: Final = "cloudtrail:"
_PERMISSION: Final = "cloudtrail:LookupEvents"
_PAGE: Final = 50
_KEPT: Final = timedelta(days=90)
_DELIVERED: Final = timedelta(minutes=15)
"""How long CloudTrail may take until an event is in its history."""
_ROLES: Final = ("AssumeRole", "AssumeRoleWithSAML")
"""Events that begin a session though they count as reading."""


class CloudTrailChanges:
    """The event history of one region."""

    def __init__(self, settings: DeploysSettings) -> None:
        self._aws: Account[CloudTrailClient] = Account(settings, lambda s, o: s.client("cloudtrail", **o))
        self._resources = Resources(settings.service_resources)
        self._ignored = frozenset(settings.cloudtrail_ignored)
        self._most = settings.cloudtrail_most_events
        self._lookback = min(timedelta(days=settings.lookback_days), _KEPT)
        self._parts: dict[str, Part] = {"write events": lambda b, e: self._events("ReadOnly", "false", b, e)}
        if settings.cloudtrail_roles:
            self._parts |= {f"{name} by people": self._sessions(name) for name in _ROLES}

    def between(self, begin: datetime | None, end: datetime) -> Found:
        """Return who changed what, and whose sessions began, in `[begin, end)`; raises `BackendDown`.

        `begin` None is as far back as the settings say. Events reach the history some minutes after they happened.
        """
        begin = begin or end - self._lookback
        found = gathered("CloudTrail", self._parts, begin, end)
        if end <= datetime.now(UTC) - _DELIVERED:
            return found
        late = f"what happened in the last {_DELIVERED.seconds // 60} minutes may not have reached CloudTrail yet"
        return Found(found.changes, found.matched, found.query, (*found.gaps, late))

    def find(self, change_id: str) -> Change | None:
        """Return an event with what of its request may be shown; raises `BackendDown`."""
        if not change_id.startswith(_ID):
            return None
        events, _ = self._looked_up("EventId", change_id.removeprefix(_ID), None, None, 1)
        return shown(events[0], self._told(events[0])) if events else None

    def checks(self) -> Sequence[Check]:
        """Look whether events may be looked up, and how far behind the newest one is."""
        return [checked("events", self._newest, f"allow {_PERMISSION}: docs/deploys.md has the whole policy")]

    def _newest(self) -> str:
        events, _ = self._looked_up("ReadOnly", "false", datetime.now(UTC) - self._lookback, datetime.now(UTC), 1)
        lag = lag_of(utc(events[0]["EventTime"])) if events else None
        newest = "there are none" if lag is None else f"the newest is {lag:.0f} s old (up to 15 min is usual)"
        return f"can be looked up; {newest}"

    def _sessions(self, name: str) -> Part:
        return lambda begin, end: self._events("EventName", name, begin, end)

    def _events(
        self, key: "LookupAttributeKeyType", value: str, begin: datetime, end: datetime
    ) -> tuple[list[Change], str]:
        events, cut = self._looked_up(key, value, begin, end, self._most)
        changes = [self._told(event) for event in events if is_told(event, self._ignored)]
        back = f", back to {utc(events[-1]['EventTime']):%Y-%m-%dT%H:%M:%SZ}" if events else ""
        return changes, f"only the newest {len(events):,} events were read{back}: narrow the window" if cut else ""

    def _told(self, event: "EventTypeDef") -> Change:
        page = self._aws.page_of(f"cloudtrailv2/home?region={{region}}#/events/{event['EventId']}")
        return change_of(event, f"{_ID}{event['EventId']}", page, self._resources)

    def _looked_up(
        self, key: "LookupAttributeKeyType", value: str, begin: datetime | None, end: datetime | None, most: int
    ) -> "tuple[list[EventTypeDef], bool]":
        """Return events, newest first; CloudTrail answers two such questions a second, and throttles others."""
        until = self._aws.until()
        with in_words("CloudTrail", _PERMISSION):
            paginator = self._aws.client.get_paginator("lookup_events")
            span = {"StartTime": begin, "EndTime": end} if begin and end else {}
            pages = paginator.paginate(
                LookupAttributes=[{"AttributeKey": key, "AttributeValue": value}],
                PaginationConfig={"PageSize": min(most, _PAGE)},
                **span,  # type: ignore[arg-type]  # the stubs do not see that both are times
            )
            return read(pages, lambda page: page["Events"], most, until)
