"""Points in time: what was there when a tool first asked stays what its further questions, and its cursors, see.

Each belongs to a pin. It is opened by the first question with that pin and closed when the tool that asked has ended,
unless a cursor goes on along it: then Elasticsearch ends it by itself, five minutes after its last page.
"""

import threading
from collections import OrderedDict
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Final

from midwatch_kit import BadInput, KitError, given_up
from midwatch_logs.backends.elasticsearch.api import ElasticsearchApi

KEPT: Final = "5m"
_KEPT_SECONDS: Final = 300.0
_MOST_OPEN: Final = 16


@dataclass
class _Snapshot:
    """One point in time; `name` is '' until it is open, `walked` whether a cursor goes on along it.

    `asked_by` is the end of the tool that asked last: a tool that ended before that does not close it.
    """

    name: str = ""
    walked: bool = False
    asked_by: threading.Event | None = None
    lock: threading.Lock = field(default_factory=threading.Lock)


class Snapshots:
    """The points in time over an index pattern that are open."""

    def __init__(self, api: ElasticsearchApi, index: str) -> None:
        self._api = api
        self._index = index
        self._lock = threading.Lock()
        self._of: OrderedDict[int, _Snapshot] = OrderedDict()

    def name(self, pin: int, *, resumed: bool) -> str:
        """Return the point in time of a pin, opened now if need be; raises `BadInput` in the middle of a walk."""
        with self._lock:
            snapshot = self._of.get(pin)
            if snapshot is None and resumed:
                raise BadInput(
                    f"the snapshot that this cursor walks through has ended ({KEPT} after its last page): search again "
                    "without the cursor"
                )
            snapshot = snapshot or self._of.setdefault(pin, _Snapshot())
            self._of.move_to_end(pin)
            if snapshot.walked:
                snapshot.walked = False
                self._watch(pin, snapshot)
        with snapshot.lock:
            if not snapshot.name:
                snapshot.name = self._open(pin)
                self._watch(pin, snapshot)
        self._close_old()
        return snapshot.name

    def renew(self, pin: int, name: str) -> None:
        """Note the name that a point in time goes on by."""
        with self._lock:
            if pin in self._of:
                self._of[pin].name = name

    def keep(self, pin: int) -> None:
        """Leave the point in time of a pin open when the tool has ended: there is a further page."""
        with self._lock:
            if pin in self._of:
                self._of[pin].walked = True

    def forget(self, pin: int) -> None:
        """Note that the point in time of a pin is gone."""
        with self._lock:
            self._of.pop(pin, None)

    def _open(self, pin: int) -> str:
        try:
            opened = self._api.ask(lambda client: client.open_point_in_time(index=self._index, keep_alive=KEPT))
        except KitError:
            self.forget(pin)
            raise
        return str(opened["id"])

    def _watch(self, pin: int, snapshot: _Snapshot) -> None:
        """Close a point in time when the tool that asks now has ended."""
        ended = snapshot.asked_by = given_up()

        def close() -> None:
            ended.wait(_KEPT_SECONDS)
            with self._lock:
                if snapshot.walked or snapshot.asked_by is not ended or self._of.get(pin) is not snapshot:
                    return
                del self._of[pin]
            self._close(snapshot)

        threading.Thread(target=close, name="elasticsearch-snapshot", daemon=True).start()

    def _close_old(self) -> None:
        with self._lock:
            many = len(self._of) - _MOST_OPEN
            old = [self._of.popitem(last=False)[1] for _ in range(many)]
        for snapshot in old:
            self._close(snapshot)

    def _close(self, snapshot: _Snapshot) -> None:
        if snapshot.name:
            with suppress(KitError):  # it ends by itself
                self._api.ask(lambda client: client.close_point_in_time(id=snapshot.name))
