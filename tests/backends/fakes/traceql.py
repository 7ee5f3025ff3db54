"""As much of TraceQL as the trace tools write, and tests: sets of spans with conditions, a hint, counts by labels.

Anything else is refused in Tempo's words. Operators bind and values compare as in pkg/traceql of Tempo 2.8: a number is
never equal to a text, and a regular expression has to match all of a value.
"""

import json
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

from tests.backends.fakes.otlp import Row

Test = Callable[[Row], bool]
_TOKEN: Final = re.compile(
    r"\s*(?P<token>(?:span|resource)\.(?:\"(?:[^\"\\]|\\.)*\"|[^\s{}()=~!<>&|^,\"])+"
    r'|"(?:[^"\\]|\\.)*"|`[^`]*`|&&|\|\||=~|>=|[(){}=<|,]|[\w.:\-]+)\s*'
)
_HINT: Final = re.compile(r"\s*with \(most_recent=true\)\s*$")
_COUNT: Final = re.compile(
    r"(?P<spans>\{.*\}) \| (?P<what>count_over_time|rate)\(\)(?: by \((?P<by>[\w.]+(?:, ?[\w.]+)*)\))?$", re.DOTALL
)
_FIELD: Final = re.compile(r"(?:span|resource)\.[^\s{}()=~!<>&|^,]+|status|name")
_NS: Final = {"us": 10**3, "ms": 10**6, "s": 10**9}


class Refused(Exception):
    """What Tempo answers with 400."""


@dataclass(frozen=True)
class Spans:
    """What a search asks of a span, the fields that it tells of it, and whether it wants the most recent."""

    test: Test
    fields: Sequence[str]
    hinted: bool


def read_spans(query: str) -> Spans:
    """Read a search: sets of spans with `||` between them, and what to select of each; raises `Refused`."""
    spans, hinted = _HINT.subn("", query)
    tokens, tests = _tokens(spans), []
    fields = [name for name in dict.fromkeys(tokens) if name == "status" or name.startswith(("span.", "resource."))]
    while True:
        test, tokens = _set(tokens)
        tests.append(test)
        if tokens[:1] != ["||"]:
            break
        tokens = tokens[1:]
    if tokens[:3] == ["|", "select", "("] and tokens[-1:] == [")"]:
        inside = tokens[3:-1]
        if not inside[::2] or len(inside) % 2 == 0 or any(comma != "," for comma in inside[1::2]):
            raise _refused("unexpected )")
        if strange := [name for name in inside[::2] if not _FIELD.fullmatch(name)]:
            raise _refused(f"unexpected {strange[0]}")
        fields, tokens = list(dict.fromkeys([*fields, *inside[::2]])), []
    if tokens:
        raise _refused(f"unexpected {tokens[0]}")
    return Spans(lambda row: any(test(row) for test in tests), fields, bool(hinted))


def read_counts(query: str) -> tuple[Test, list[str], bool]:
    """What a count asks of a span, by which labels it counts, and if it wants a rate; raises `Refused`."""
    found = _COUNT.match(query)
    if not found:
        raise _refused("unexpected IDENTIFIER")
    test = read_spans(found["spans"]).test
    return test, re.findall(r"[\w.]+", found["by"] or ""), found["what"] == "rate"


def label_of(row: Row, name: str) -> str:
    """The value of one label of a span."""
    if name in {"status", "name"}:
        return str(row["StatusCode"]).lower() if name == "status" else str(row["SpanName"])
    scope, _, key = name.partition(".")
    return str(_labels(row, scope).get(key, ""))


def _tokens(query: str) -> list[str]:
    tokens, at = [], 0
    while at < len(query):
        found = _TOKEN.match(query, at)
        if not found:
            raise _refused("unexpected character", at + 1)
        tokens.append(found["token"])
        at = found.end()
    return tokens


def _refused(words: str, column: int = 1) -> Refused:
    return Refused(f"parse error at line 1, col {column}: syntax error: {words}")


def _set(tokens: list[str]) -> tuple[Test, list[str]]:
    if tokens[:1] != ["{"]:
        raise _refused("unexpected IDENTIFIER")
    if tokens[1:2] == ["}"]:
        return lambda _: True, tokens[2:]
    test, rest = _any_of(tokens[1:])
    if rest[:1] != ["}"]:
        raise _refused(f"unexpected {rest[0] if rest else '$end'}")
    return test, rest[1:]


def _any_of(tokens: list[str]) -> tuple[Test, list[str]]:
    test, tokens = _all_of(tokens)
    tests = [test]
    while tokens[:1] == ["||"]:
        test, tokens = _all_of(tokens[1:])
        tests.append(test)
    return (lambda row: any(one(row) for one in tests)), tokens


def _all_of(tokens: list[str]) -> tuple[Test, list[str]]:
    test, tokens = _one(tokens)
    tests = [test]
    while tokens[:1] == ["&&"]:
        test, tokens = _one(tokens[1:])
        tests.append(test)
    return (lambda row: all(one(row) for one in tests)), tokens


def _one(tokens: list[str]) -> tuple[Test, list[str]]:
    if tokens[:1] == ["("]:
        test, rest = _any_of(tokens[1:])
        if rest[:1] != [")"]:
            raise _refused("unexpected $end, expecting )")
        return test, rest[1:]
    if len(tokens) < 3:
        raise _refused("unexpected $end")
    field, sign, told = tokens[:3]
    return _comparison(field, sign, told), tokens[3:]


def _comparison(field: str, sign: str, told: str) -> Test:
    """One comparison; all attributes here are texts."""
    text = _text(told)
    if field == "status" and sign == "=" and told in {"ok", "error", "unset"}:
        return lambda row: bool(row["StatusCode"].lower() == told)
    if field == "name" and sign == "=~" and text is not None:
        return lambda row: bool(re.fullmatch(text, row["SpanName"]))
    if field == "duration" and sign == ">=" and (found := re.fullmatch(r"(\d+)(us|ms|s)", told)):
        return lambda row: bool(row["Duration"] >= int(found[1]) * _NS[found[2]])
    if field == "link:traceID" and sign == "=" and text is not None:
        return lambda row: text in row["Links.TraceId"]
    scope, _, name = field.partition(".")
    key = _name(name)
    if sign == "=" and scope in {"span", "resource"} and key:
        return lambda row: text is not None and _labels(row, scope).get(key) == text
    raise _refused(f"unexpected {field}")


def _text(told: str) -> str | None:
    """The text that is quoted; None for a word."""
    if told.startswith("`"):
        return told[1:-1]
    return str(json.loads(told, strict=False)) if told.startswith('"') else None


def _name(told: str) -> str:
    """The name of an attribute: quoted, it has two escapes and no others."""
    if not told.startswith('"'):
        return told
    if wrong := re.search(r'\\[^\\"]', re.sub(r'\\[\\"]', "", told)):
        raise _refused(f"invalid escape sequence {wrong[0]}")
    return re.sub(r"\\(.)", r"\1", told[1:-1])


def _labels(row: Row, scope: str) -> Row:
    own: Row = row["SpanAttributes"]
    return own if scope == "span" else {"service.name": row["ServiceName"], **row["ResourceAttributes"]}
