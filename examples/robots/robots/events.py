"""What the runner tells on its standard output: one JSON object per line, each with `at` and `event`."""

import json
import sys
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Protocol

from pydantic import JsonValue


class Emit(Protocol):
    """Tells one event with its fields."""

    def __call__(self, event: str, **fields: JsonValue) -> None: ...


Note = Callable[[str], None]


def now() -> datetime:
    """Return the current time in UTC."""
    return datetime.now(UTC)


def rfc3339(at: datetime) -> str:
    """Return a time as RFC 3339 with milliseconds and Z."""
    return at.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def emit(event: str, **fields: JsonValue) -> None:
    """Write one event to standard output; raises BrokenPipeError when nobody reads any more."""
    sys.stdout.write(json.dumps({"at": rfc3339(now()), "event": event, **fields}) + "\n")
    sys.stdout.flush()
