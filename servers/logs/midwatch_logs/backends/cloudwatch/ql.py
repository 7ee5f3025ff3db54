"""The text of what is asked of Logs Insights, and nothing else.

Times are whole milliseconds, as CloudWatch keeps them. Names of fields of our own begin with `mw_`, so that they are
not those that Insights finds in lines of JSON.
"""

from collections.abc import Mapping, Sequence
from typing import Final

from midwatch_kit.logs.backend import Around, Filter
from midwatch_logs.backends.cloudwatch.events import LEVEL_KEY, LEVEL_WORD, MESSAGE_FIELDS
from midwatch_logs.remote import Span, level_words, literal, readable_pattern

MOST_ROWS: Final = 10_000
"""Rows of one answer, and the most that a query of ours asks for."""
_MS: Final = 10**6


def milliseconds(span: Span) -> tuple[int, int]:
    """Return a span [start, end) of ns in ms, with the same lines in it."""
    return -(-span[0] // _MS), -(-span[1] // _MS)


class InsightsQl:
    """Writes queries; `names` are the log groups of each service."""

    def __init__(self, names: Mapping[str, Sequence[str]]) -> None:
        self._names = names

    def counted(self, span: Span, wanted: Filter | Around, width: int, by: Sequence[str]) -> str:
        """Lines by fields, level and bucket of `width` ns from the start, with the first and last time of each."""
        start, width_ms = milliseconds(span)[0], max(1, width // _MS)
        groups = ", ".join([*by, "mw_level", "mw_bucket"])
        return "\n| ".join(
            [
                f"fields floor((toMillis(@timestamp) - {start}) / {width_ms}) as mw_bucket",
                *self._lines(span, wanted, level=True),
                f"stats count(*) as mw_lines, min(mw_ms) as mw_first, max(mw_ms) as mw_last by {groups}",
                f"limit {MOST_ROWS}",
            ]
        )

    def total(self, span: Span, wanted: Filter | Around) -> str:
        """How many lines match."""
        return "\n| ".join([*self._lines(span, wanted), "stats count(*) as mw_lines"])

    def listed(self, span: Span, wanted: Filter | Around, most: int, forward: bool) -> str:
        """The first lines that match, or the last."""
        order = f"sort @timestamp {'asc' if forward else 'desc'}"
        shown = "fields @timestamp, @message, @logStream, @log"
        return "\n| ".join([shown, *self._lines(span, wanted), order, f"limit {most}"])

    def _lines(self, span: Span, wanted: Filter | Around, *, level: bool = False) -> list[str]:
        start, end = milliseconds(span)
        parts = ["fields toMillis(@timestamp) as mw_ms", f"filter mw_ms >= {start} and mw_ms < {end}"]
        if isinstance(wanted, Around):
            pairs = [f"({self._of(service)} and {_instance(instance)})" for service, instance in wanted.writers]
            parts.append(f"filter {' or '.join(pairs)}")
        else:
            parts += [f"filter {_text(wanted)}"] if wanted.text else []
            if wanted.instances:
                named = [self._of(service) for service in wanted.services]
                parts.append(f"filter {' or '.join([*map(_instance, wanted.instances), *named])}")
        severity = 0 if isinstance(wanted, Around) else wanted.severity
        if level or severity:
            parts += [
                f"parse @message /{LEVEL_KEY}/".replace("?P<", "?<"),
                f"parse @message /{LEVEL_WORD}/".replace("?P<", "?<"),
                "fields coalesce(mw_key, mw_word) as mw_level",
            ]
        if severity:
            parts.append(f"filter mw_level like /(?i)^({'|'.join(level_words(severity))})/")
        return parts

    def _of(self, service: str) -> str:
        """Lines of a service: of any of its log groups; `@log` is the account and the group's name."""
        tests = [f"@log like /(^|:){_slashed(literal(name))}$/" for name in self._names.get(service, [])]
        return f"({' or '.join(tests)})" if tests else "@log = ''"


def _instance(name: str) -> str:
    return f"@logStream like /(^|[\\/\\]]){_slashed(literal(name))}$/"


def _text(wanted: Filter) -> str:
    pattern = _slashed(readable_pattern(wanted.text) if wanted.regex else f"(?i){literal(wanted.text)}")
    return " or ".join(f"{field} like /{pattern}/" for field in ("@message", *(f"`{name}`" for name in MESSAGE_FIELDS)))


def _slashed(pattern: str) -> str:
    """A pattern as it may stand between slashes."""
    plain = pattern.replace("\n", "\\n").replace("\r", "\\r").replace("\t", "\\t")
    signs: list[str] = []
    for number, sign in enumerate(plain):
        behind = len(plain[:number]) - len(plain[:number].rstrip("\\"))
        signs.append("\\/" if sign == "/" and behind % 2 == 0 else sign)
    return "".join(signs)
