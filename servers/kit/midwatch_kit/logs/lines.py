"""One log line as every log server sees it, its place in the order of lines, and how it reads in a reply.

Severities are OpenTelemetry's numbers: 1-4 trace, 5-8 debug, 9-12 info, 13-16 warn, 17-20 error, 21-24 fatal, 0 where
the source says nothing. This is not a parser: whatever wrote the line has parsed it.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Final

from pydantic import JsonValue

from midwatch_kit.errors import BadInput
from midwatch_kit.text import printable

SEVERITIES: Final[Mapping[str, int]] = {"TRACE": 1, "DEBUG": 5, "INFO": 9, "WARN": 13, "ERROR": 17, "FATAL": 21}
"""The least severity number of each level."""
WARN: Final = SEVERITIES["WARN"]
ERROR: Final = SEVERITIES["ERROR"]
MAX_MESSAGE: Final = 65_536
"""Characters of one message that go into evidence; `LogLine.cut` tells how many more there were."""

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_CONTEXT_CHARS: Final = 240


@dataclass(frozen=True, slots=True)
class LogLine:
    """A log line; `(time_ns, seq)` is its place in a total order, times are nanoseconds since the epoch (UTC)."""

    time_ns: int
    seq: int
    severity: int
    service: str
    instance: str
    message: str
    trace_id: str
    cut: int = 0
    attributes: Mapping[str, str] = field(default_factory=dict)

    @property
    def place(self) -> tuple[int, int]:
        """Where the line stands among all lines of its backend."""
        return self.time_ns, self.seq


def read_level(text: str | None) -> int:
    """Return the least severity number of the level `text` names, 0 for None; raises `BadInput`."""
    if text is None:
        return 0
    name = {"WARNING": "WARN", "CRITICAL": "FATAL"}.get(text.upper(), text.upper())
    if name not in SEVERITIES:
        raise BadInput(f"there is no level {text[:40]!r}: use one of {', '.join(SEVERITIES)}")
    return SEVERITIES[name]


def level_name(severity: int) -> str:
    """Return the level that a severity number belongs to, `-` for none."""
    return next((name for name, least in reversed(list(SEVERITIES.items())) if severity >= least), "-")


def time_of(instant: int) -> datetime:
    """Return the UTC moment at or just before `instant` nanoseconds since the epoch."""
    return _EPOCH + timedelta(microseconds=instant // 1000)


def ns_of(moment: datetime) -> int:
    """Return an aware moment as nanoseconds since the epoch, exactly."""
    return (moment - _EPOCH) // timedelta(microseconds=1) * 1000


def stamp(instant: int, digits: int = 9) -> str:
    """Return `instant` (ns) as RFC 3339 in UTC with so many digits of a second."""
    return f"{time_of(instant):%Y-%m-%dT%H:%M:%S}.{instant % 10**9:09d}"[: 20 + digits] + "Z"


def row_of(line: LogLine, *, hit: bool = True) -> dict[str, JsonValue]:
    """Return a line as evidence; `hit` is false for a line that is here as context only."""
    row: dict[str, JsonValue] = {
        "time": stamp(line.time_ns),
        "seq": line.seq,
        "level": level_name(line.severity),
        "service": line.service,
        "instance": line.instance,
        "message": line.message,
        "trace_id": line.trace_id,
        "attributes": dict(line.attributes),
    }
    return {**row, **({"cut_characters": line.cut} if line.cut else {}), **({} if hit else {"context": True})}


def text_of(line: LogLine, *, hit: bool = True, marked: bool = False) -> str:
    """Return a line as one line of text; `marked` puts `>` before hits and a space before context."""
    sign = ("> " if hit else "  ") if marked else ""
    who = "/".join(part for part in (line.service, line.instance) if part) or "-"
    message = printable(line.message)
    if not hit and len(message) > _CONTEXT_CHARS:
        message = f"{message[:_CONTEXT_CHARS]}…"
    more = f" [+{line.cut} characters]" if line.cut else ""
    trace = f" trace={line.trace_id}" if line.trace_id else ""
    return f"{sign}{stamp(line.time_ns, 3)} {level_name(line.severity)} {who}{trace} {message}{more}"


def entity_names(entities: Sequence[str]) -> tuple[list[str], list[str], list[str]]:
    """Return the services, the instances and the rest that entity ids name; a bare name is a service."""
    services: list[str] = []
    instances: list[str] = []
    others: list[str] = []
    for entity in entities:
        kind, _, name = entity.partition(":") if ":" in entity else ("service", ":", entity)
        {"service": services, "instance": instances}.get(kind, others).append(
            name if kind in ("service", "instance") else entity
        )
    return services, instances, others
