"""Pages of a result: an opaque cursor that pins the query, the resolved window and what was stored at the first page.

A cursor is not a secret and not a promise of order by itself: the tool sorts by a total order and resumes after
`after`, and looks only at rows that were stored up to `pin`, so that rows which arrive late cannot shift a page.
"""

import base64
import hashlib
from collections.abc import Callable, Mapping

from pydantic import JsonValue

from midwatch_kit.errors import BadInput
from midwatch_kit.evidence import canonical
from midwatch_kit.records import Record, Window

_CHECK_BYTES = 6


class Page(Record):
    """Where a walk through a result stands.

    `pin` is the backend's own mark of what was stored when the walk began; `after` is the position of the last row
    that was given out, or None on the first page.
    """

    arguments: str
    window: Window
    pin: int = 0
    after: tuple[JsonValue, ...] | None = None

    def cursor_after(self, position: tuple[JsonValue, ...]) -> str:
        """Return the cursor of the page that begins after `position`."""
        resumed = self.model_copy(update={"after": position}).model_dump_json().encode()
        return base64.urlsafe_b64encode(_checksum(resumed) + resumed).decode()


def open_page(
    cursor: str | None,
    arguments: Mapping[str, JsonValue],
    window: Callable[[], Window],
    pin: Callable[[], int] = lambda: 0,
) -> Page:
    """Return the page that `cursor` names, or the first one; `window` and `pin` are asked for the first only.

    `arguments` are those that decide which rows match. Raises `BadInput` when the cursor is damaged or belongs to
    another query.
    """
    fingerprint = hashlib.sha256(canonical(dict(arguments))).hexdigest()[:16]
    if not cursor:
        return Page(arguments=fingerprint, window=window(), pin=pin())
    page = _read(cursor)
    if page.arguments != fingerprint:
        raise BadInput("the cursor belongs to another query: repeat the same arguments, or leave the cursor out")
    return page


def _read(cursor: str) -> Page:
    try:
        read = base64.b64decode(cursor, altchars=b"-_", validate=True)
        if read[:_CHECK_BYTES] == _checksum(read[_CHECK_BYTES:]):
            return Page.model_validate_json(read[_CHECK_BYTES:])
    except ValueError:
        pass
    raise BadInput("the cursor is damaged: pass next_cursor back unchanged, or leave it out")


def _checksum(resumed: bytes) -> bytes:
    """A model that copies a cursor may get a character wrong, and the walk would go on from a wrong place."""
    return hashlib.sha256(resumed).digest()[:_CHECK_BYTES]
