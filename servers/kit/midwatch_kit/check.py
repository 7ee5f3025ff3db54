"""What a check tool tells: one line for each thing that was looked at, and what to do about what is not well."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime

from midwatch_kit.reply import Answer


@dataclass(frozen=True, slots=True)
class Check:
    """One thing that was looked at: whether it is well, what was seen, and what to do if it is not."""

    name: str
    ok: bool
    detail: str
    do: str = ""


def answer_checks(checks: Sequence[Check], lag_seconds: float | None = None) -> Answer:
    """Return the answer of a check tool: a row and a line for each check, in their order."""
    lines = [f"{'ok  ' if c.ok else 'FAIL'} {c.name}: {c.detail}{f' → {c.do}' if c.do else ''}" for c in checks]
    return Answer("health of the backend", [asdict(c) for c in checks], lines, len(checks), lag_seconds=lag_seconds)


def lag_of(newest: datetime | None, until: datetime | None = None) -> float | None:
    """Return how many seconds before `until` (now, when left out) the newest data was made; None when there is none.

    Never less than 0. An answer about a window passes the window's end: what is missing from it does not grow later.
    """
    return None if newest is None else max(0.0, round(((until or datetime.now(UTC)) - newest).total_seconds(), 1))
