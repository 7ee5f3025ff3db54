"""JSON as it is written down: what another reader might take for something else is refused, and nothing is lost."""

import json
import math
from typing import Any, NoReturn

from pydantic import JsonValue

from midwatch.errors import BadAlert

_MOST_DIGITS = 310
"""As many as the largest number has that most readers of JSON can hold."""


def parsed(body: bytes) -> JsonValue:
    """Return a body as JSON (RFC 8259); raises `BadAlert` where it is none, or where it is not one and the same to all.

    Names that stand twice in an object, and numbers that JSON has not, are refused: each reader takes them otherwise.
    """
    try:
        text = body.decode("utf-8-sig")
        if not text.strip():
            raise BadAlert("the body is not JSON: it is empty")
        value: JsonValue = json.loads(
            text, object_pairs_hook=_once, parse_constant=_no_number, parse_float=_float, parse_int=_int
        )
    except UnicodeDecodeError:
        raise BadAlert("the body is not JSON: it is not UTF-8") from None
    except RecursionError:
        raise BadAlert("the body is not JSON that can be read: it is nested too deeply") from None
    except ValueError as error:
        raise BadAlert(f"the body is not JSON: {error}"[:300]) from None
    return value


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        seen: set[str] = set()
        for name, _ in pairs:
            if name in seen:
                raise ValueError(f"the name {name[:80]!r} stands twice in one object")
            seen.add(name)
    return found


def _float(text: str) -> float:
    number = float(text)
    if math.isinf(number):
        raise ValueError(f"{text[:40]} is too large a number")
    return number


def _int(text: str) -> int:
    if len(text) > _MOST_DIGITS:
        raise ValueError(f"a number of {len(text)} digits is too large")
    return int(text)


def _no_number(name: str) -> NoReturn:
    raise ValueError(f"{name} is no number that JSON has")
