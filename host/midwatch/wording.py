"""What is wrong with a body, for whoever sent it: which field, what stands there, and what is needed in its place.

A validator speaks of its own classes, of unions and of functions; whoever sends knows fields and values alone.
"""

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from pydantic_core import ErrorDetails

from midwatch.storage.privacy import hidden

MOST_FAULTS: Final = 5
_SHOWN = 40
TIME: Final = "a time as RFC 3339 has it (2026-11-20T02:48:00Z)"
_NEEDED: Final[Mapping[str, str]] = {
    "string_type": "a text",
    "string_sub_type": "a text",
    "model_type": "an object",
    "model_attributes_type": "an object",
    "dict_type": "an object",
    "mapping_type": "an object",
    "list_type": "a list",
    "tuple_type": "a list",
    "int_type": "a whole number",
    "int_parsing": "a whole number",
    "int_parsing_size": "a smaller whole number",
    "int_from_float": "a whole number",
    "float_type": "a number",
    "float_parsing": "a number",
    "finite_number": "a number that JSON has",
    "bool_type": "true or false",
    "bool_parsing": "true or false",
    "datetime_type": TIME,
    "datetime_parsing": TIME,
    "datetime_from_date_parsing": TIME,
    "datetime_object_invalid": TIME,
    "timezone_aware": f"{TIME}, with its offset",
    "none_required": "null",
}
"""What is needed, by the validator's name for what was not so."""
_BOUNDS: Final[Mapping[str, tuple[str, str]]] = {
    "greater_than_equal": ("ge", "{} or more"),
    "greater_than": ("gt", "more than {}"),
    "less_than_equal": ("le", "{} or less"),
    "less_than": ("lt", "less than {}"),
    "literal_error": ("expected", "{}"),
    "enum": ("expected", "{}"),
    "string_pattern_mismatch": ("pattern", "a text that fits {}"),
}
"""The same for what has a bound: its name in the validator's context, and the words around it."""
_SECRET = re.compile(r"token|secret|passw|api.?key|signature|authorization|credential|cookie", re.IGNORECASE)


def faults(told: Sequence[ErrorDetails], body: object, root: str = "") -> list[tuple[str, str]]:
    """Return the fields at fault in a body, each with what is wrong with it; the field is '' for the whole body.

    With a `root` only places that begin with it are in the body.
    """
    found: dict[tuple[str, ...], list[ErrorDetails]] = {}
    for details in told:
        steps, inside = details["loc"], not root or details["loc"][:1] == (root,)
        told_of = (*([root] if root else []), *_place(steps[bool(root) :], body)) if inside else steps
        place = tuple(str(step)[:80] for step in told_of)
        found.setdefault(place, []).append(details)
    deeper = {place[:length] for place in found for length in range(len(place))}  # there the choice that fits best ends
    return [
        (_text(".".join(place)), _text(_why(".".join(place), each)))
        for place, each in found.items()
        if place not in deeper
    ]


def in_words(told: Sequence[ErrorDetails], body: object) -> str:
    """Return the first few faults of a body in one line."""
    known = faults(told, body)
    more = [f"and {len(known) - MOST_FAULTS} more"] if len(known) > MOST_FAULTS else []
    return "; ".join([*(f"{place or 'body'}: {why}"[:400] for place, why in known[:MOST_FAULTS]), *more])


def shown(value: object) -> str:
    """Return a value for people, shortened and without what opens doors."""
    if isinstance(value, Mapping):
        return "an object"
    if isinstance(value, list | tuple):
        return "a list"
    if not isinstance(value, str):
        return json.dumps(value, default=str)[:_SHOWN]
    text = hidden(value[: 4 * _SHOWN])
    return repr(text if len(value) <= _SHOWN else f"{text[:_SHOWN]}…")


def _place(steps: Sequence[str | int], body: object) -> Iterator[str | int]:
    """Yield the steps that lead through a body: others name a choice of the validator, or that a key is meant."""
    inside: Any = body
    for number, step in enumerate(steps):
        if leads := _leads(inside, step):
            inside = inside[step]
        last = number == len(steps) - 1
        if leads or (last and isinstance(inside, Mapping) and _is_a_name(step)):
            yield step


def _leads(inside: object, step: str | int) -> bool:
    if isinstance(inside, Mapping):
        return step in inside
    return isinstance(inside, list | tuple) and isinstance(step, int) and step < len(inside)


def _is_a_name(step: str | int) -> bool:
    """Whether a step that leads nowhere is the name of what is missing."""
    return isinstance(step, str) and re.fullmatch(r"[\w. -]+", step) is not None


def _why(place: str, told: Sequence[ErrorDetails]) -> str:
    """Return what is wrong at one place; where it may be one of several things, all that it may be."""
    needed = list(dict.fromkeys(_needed(details) for details in told))
    if "" in needed:
        return "; or ".join(dict.fromkeys(_otherwise(details) for details in told if not _needed(details)))
    secret = _SECRET.search(place) is not None
    return f"must be {' or '.join(needed)}, not {'what is given' if secret else shown(told[0]['input'])}"


def _needed(details: ErrorDetails) -> str:
    """Return what is needed in place of a value; '' where something else is wrong than what it is."""
    kind, context = details["type"], details.get("ctx", {})
    if kind in _BOUNDS:
        name, words = _BOUNDS[kind]
        return words.format(context.get(name))
    return _NEEDED.get(kind, "")


def _otherwise(details: ErrorDetails) -> str:
    kind, context = details["type"], details.get("ctx", {})
    if kind == "missing":
        return "it is missing"
    if kind == "extra_forbidden":
        return "there is no such field"
    if kind in ("string_too_short", "too_short"):
        return _of_length(details, context["min_length"], "or more are needed")
    if kind in ("string_too_long", "too_long"):
        return _of_length(details, context["max_length"], "or fewer are taken")
    if kind == "string_unicode":
        return "it is no text that can be written in UTF-8"
    return details["msg"].removeprefix("Value error, ")


def _of_length(details: ErrorDetails, bound: Any, words: str) -> str:
    given = details["input"]
    if bound == 1 and not given:
        return "it is empty"
    if isinstance(given, str):
        return f"it has {len(given)} characters, and {bound} {words}"
    return f"it has {len(given)} items, and {bound} {words}" if isinstance(given, list | dict) else f"{bound} {words}"


def _text(words: str) -> str:
    return words.encode("utf-8", "replace").decode()
