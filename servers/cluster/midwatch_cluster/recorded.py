"""The state of a cluster out of the embedded store: what a recorder listed, and what a watch told since."""

import json
import math
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from midwatch_cluster.backend import KINDS, OPTIONAL
from midwatch_cluster.redact import redacted
from midwatch_cluster.state import State
from midwatch_kit import Check
from midwatch_store import from_ns, to_ns
from midwatch_store.served import ServedStore

_SEND = "let midwatch-cluster-record run beside the store, with an account that may read all"
_AS_OF = """WITH
    known AS (SELECT *, epoch_ns("Timestamp") AS seen FROM objects WHERE "Timestamp" <= make_timestamp_ns($at)),
    lists AS (SELECT regexp_replace("Kind", 'List$', '') AS sort, max(seen) AS listed
        FROM known WHERE "Event" = 'listed' AND "Name" = '' GROUP BY 1),
    latest AS (SELECT known.*, listed FROM known JOIN lists ON known."Kind" = lists.sort
        WHERE seen >= listed AND "Name" <> ''
        QUALIFY row_number() OVER (PARTITION BY "Kind", "Namespace", "Name" ORDER BY seen DESC, "Seq" DESC) = 1)
    SELECT "Object", seen FROM latest WHERE "Event" <> 'deleted'
    UNION ALL SELECT '{"kind": "' || sort || '"}', listed FROM lists ORDER BY 1"""


class RecordedCluster:
    """A cluster's objects in the store; the store is opened when first asked."""

    def __init__(self, path: Path) -> None:
        self._store = ServedStore(path, "objects")

    def state(self, at: datetime) -> State:
        """Return the state as it was last recorded at or before `at`; an empty one when there was no recording."""
        rows: list[tuple[Any, ...]] = self._store.query(_AS_OF, {"at": to_ns(at)}, end=at)
        found = [(json.loads(text), moment) for text, moment in rows]
        lists = {thing["kind"] for thing, _ in found if "metadata" not in thing}
        latest = max((moment for _, moment in found), default=None)
        things = [redacted(thing) for thing, _ in found if "metadata" in thing]
        unread = {kind: "it was not recorded" for kind in KINDS if kind not in lists}
        return State(things, from_ns(latest) if latest else at, unread)

    def checks(self) -> Sequence[Check]:
        """Look at the store: is it there, does it answer, what of the cluster does it hold."""
        found = self._store.checks("objects", _SEND, stale_seconds=math.inf)
        if not found[0].ok:
            return found
        held = self._store.query('SELECT count(DISTINCT ("Kind", "Namespace", "Name")) FROM objects', {})[0][0]
        return [*found, Check("count", ok=True, detail=f"{held:,} objects and lists were recorded"), self._kinds()]

    def _kinds(self) -> Check:
        unread = sorted(self.state(datetime.now(UTC)).unread.keys() - OPTIONAL)
        if not unread:
            return Check("kinds", ok=True, detail="every kind was recorded")
        return Check("kinds", ok=False, detail=f"never recorded: {', '.join(unread)}", do=_SEND)
