"""What an investigation rests on, read back from its journal: alerts, the time it looked at, the servers it asked.

Readings only: nothing is asked of any server, and nothing is written.
"""

import json
from collections.abc import Iterator, Mapping
from datetime import datetime

from pydantic import JsonValue

from midwatch.errors import BadSnapshot
from midwatch.mitigation.health import ASKED_BY
from midwatch.records import Alert, Message, Scope, ToolCall
from midwatch.storage.journal import Journal
from midwatch_kit.evidence import EvidenceStore
from midwatch_kit.records import Window

_TIMES = ("start", "end", "baseline_start", "baseline_end")


def scope_of(journal: Journal, investigation: str) -> Scope:
    """Return what an investigation looked at; raises `BadSnapshot` when it has not looked yet."""
    scopes = journal.values(investigation, Scope)
    if not scopes:
        raise BadSnapshot(f"{investigation} has not been looked into yet: run midwatch investigate first")
    return scopes[-1]


def first_scope_of(journal: Journal, investigation: str) -> Scope:
    """Return the scope that follows from the alert, whatever window people chose later; raises `BadSnapshot`."""
    scope_of(journal, investigation)
    return journal.values(investigation, Scope)[0]


def calls_of(journal: Journal, investigation: str) -> list[ToolCall]:
    """Return every question that was asked in search of the cause, in order."""
    noted = (entry for entry in journal.entries(investigation) if entry.type == "tool_call")
    return [ToolCall.model_validate(entry.body) for entry in noted if entry.actor != ASKED_BY]


def window_of(journal: Journal, investigation: str) -> Window:
    """Return the time from the start of everything that an investigation looked at to its end."""
    scope = scope_of(journal, investigation)
    moments = [scope.window.start, scope.window.end, scope.baseline.start, scope.baseline.end]
    for call in calls_of(journal, investigation):
        # Changes are looked for much further back, and a store keeps all of them when it is cut.
        moments += (moment for moment in _times(call.arguments) if moment != scope.changes_since)
    return Window(start=min(moments), end=max(moments))


def alerts_of(journal: Journal, kept: EvidenceStore, investigation: str) -> list[Alert]:
    """Return the alerts of an incident as they came, each time they came; raises `BadSnapshot` when none was kept."""
    noted = [message.evidence for message in journal.values(investigation, Message) if message.evidence]
    alerts = [Alert.model_validate(json.loads(kept.get(name))) for name in noted]
    if not alerts:
        raise BadSnapshot(f"no alert of {investigation} is kept: an earlier version of midwatch took it in")
    return alerts


def _times(arguments: Mapping[str, JsonValue]) -> Iterator[datetime]:
    for name in _TIMES:
        told = arguments.get(name)
        if isinstance(told, str) and told[:4].isdecimal():  # a foreign tool's `start` may be anything
            try:
                moment = datetime.fromisoformat(told)
            except ValueError:
                continue
            if moment.tzinfo:
                yield moment
