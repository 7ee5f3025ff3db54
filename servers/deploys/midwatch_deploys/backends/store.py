"""Changes in the embedded store. It plans no answer and renders nothing.

A change is recorded when it begins and again when it is over: the last record of a `ChangeId` counts, at the time of
the first. A record without an id is a change of its own, named by its place in the store.
"""

import math
from collections.abc import Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any, Final

from midwatch_deploys.backend import Change, Found, revision_key
from midwatch_kit import Check, rfc3339
from midwatch_store import from_ns, to_ns
from midwatch_store.served import ServedStore

MOST: Final = 5_000
"""Changes in one answer; the newest are kept."""

_CHANGES: Final = """WITH
    recorded AS (SELECT *, coalesce(nullif("ChangeId", ''), 'change-' || "Seq") AS id FROM changes),
    latest AS (SELECT *, epoch_ns(min("Timestamp") OVER (PARTITION BY id)) AS began, epoch_ns("EndTime") AS ended
        FROM recorded QUALIFY row_number() OVER (PARTITION BY id ORDER BY "Seq" DESC) = 1)
    SELECT id, began, ended, "Kind", "ServiceName", "Instance", "Title", "Author", "Version", "PreviousVersion",
        "Repository", "Url", "Files", "Outcome", "Attributes", {more} FROM latest WHERE {condition}"""
_IN_WINDOW: Final = "began < $end AND greatest(began, coalesce(ended, began)) >= $begin"
_SEND: Final = "let the deployer POST what it does to the store's /v1/changes"


class StoredChanges:
    """The store's changes; it opens the store when first asked, so that a server may start before its store."""

    def __init__(self, path: Path) -> None:
        self._store = ServedStore(path, "changes")

    def between(self, begin: datetime | None, end: datetime) -> Found:
        """Return the changes that were under way or made in `[begin, end)`; raises `BackendDown`."""
        sql = _CHANGES.format(more="'', count(*) OVER ()", condition=_IN_WINDOW)
        bounds = {"begin": to_ns(begin) if begin else 0, "end": to_ns(end)}
        rows = self._query(f"{sql} ORDER BY began DESC, id DESC LIMIT {MOST}", bounds, end)
        matched = int(rows[0][-1]) if rows else 0
        span = f"[{rfc3339(begin) if begin else '-'}, {rfc3339(end)})"
        return Found(tuple(map(_change, reversed(rows))), matched, f"changes, each as last recorded, within {span}")

    def find(self, change_id: str) -> Change | None:
        """Return one change with its diff; raises `BackendDown`."""
        rows = self._query(_CHANGES.format(more='"Diff"', condition="id = $id"), {"id": change_id})
        return _change(rows[0]) if rows else None

    def checks(self) -> Sequence[Check]:
        """Look at the store: is it there, does it answer, which changes does it hold, are files damaged."""
        found = self._store.checks("changes", _SEND, stale_seconds=math.inf)  # weeks without a change are no fault
        if not found[0].ok:
            return found
        held = self._query('SELECT count(DISTINCT "ChangeId") FROM changes', {})[0][0]
        return [*found, Check("count", ok=True, detail=f"{held:,} on record")]

    def _query(self, sql: str, parameters: Mapping[str, object], end: datetime | None = None) -> list[tuple[Any, ...]]:
        return self._store.query(sql, parameters, end=end)


def _change(row: tuple[Any, ...]) -> Change:
    change_id, began, ended, *texts = row[:12]
    kind, service, instance, title, author, version, previous, repository, url = (text or "" for text in texts)
    files, outcome, attributes, diff = row[12:16]
    return Change(
        id=change_id,
        at=from_ns(began),
        kind=kind,
        service=service,
        instance=instance,
        title=title,
        author=author,
        version=version,
        previous_version=previous,
        repository=repository,
        url=url,
        files=tuple(files or ()),
        diff=diff or "",
        ended=None if ended is None else from_ns(ended),
        outcome=outcome or "",
        attributes=attributes or {},
        source="store",
        keys=_keys(version, attributes or {}),
    )


def _keys(version: str, attributes: Mapping[str, str]) -> frozenset[str]:
    return frozenset({revision_key(attributes.get("revision", "")) or revision_key(version)} - {""})
