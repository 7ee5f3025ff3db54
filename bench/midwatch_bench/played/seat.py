"""A seat as a player sees it: what is new since it last looked, and how it answers.

Rules, incident and tools are shown once at a seat; of a conversation, what came since its last request. A player that
has lost its memory asks for everything again.
"""

import hashlib
import json
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from midwatch_bench.bridge import write_json
from midwatch_bench.messages import Json
from midwatch_bench.played.desk import ENDED

_LOOKS_EVERY: Final = 0.2
_STATE: Final = ".shown.json"


class BadAnswer(ValueError):
    """Raised for an answer that no model could give; the message says what is wrong with it."""


@dataclass
class Shown:
    """What a player has seen at a seat: parts by their hash, with the request they stood in, and messages."""

    parts: dict[str, str] = field(default_factory=dict)
    talks: dict[str, int] = field(default_factory=dict)
    requests: list[str] = field(default_factory=list)


def wait_for(seats: Sequence[Path], seconds: float, *, again: bool = False) -> tuple[list[str], bool]:
    """Wait for requests without an answer; return them as texts, and whether all seats have ended.

    Those that were shown before are told of in a line; with `again` they, too, are shown whole.
    """
    until = time.monotonic() + seconds
    while True:
        texts = [text for seat in seats for text in _new_at(seat, again=again)]
        over = all((seat / ENDED).exists() for seat in seats)
        if texts or over or time.monotonic() > until:
            waiting = [f"{seat.name}/{number} waits still" for seat in seats for number in _shown_and_open(seat)]
            return texts or waiting, over
        time.sleep(_LOOKS_EVERY)


def answer(seats: Path, place: str, told: Any) -> None:
    """Answer the request at a place, as r07/003; raises `BadAnswer`.

    What is told is a list of blocks, or one: a text is a block of text, {"NAME": {…}} is the use of a tool.
    """
    seat, number = seats / Path(place).parent, Path(place).name
    request = seat / f"{number}.request.json"
    if not request.exists():
        raise BadAnswer(f"{place}: there is no such request")
    if (seat / f"{number}.answer.json").exists():
        raise BadAnswer(f"{place} has its answer already")
    body = json.loads(request.read_text(encoding="utf-8"))
    known = [tool["name"] for tool in body.get("tools", [])]
    blocks = [_block(each, known, place) for each in (told if isinstance(told, list) else [told])]
    if not blocks:
        raise BadAnswer(f"{place}: an answer has at least one block")
    write_json(seat / f"{number}.answer.json", blocks)


def _block(told: Any, known: Sequence[str], place: str) -> Json:
    if isinstance(told, str):
        return {"type": "text", "text": told}
    if isinstance(told, dict) and "type" not in told and len(told) == 1:
        ((name, given),) = told.items()
        told = {"type": "tool_use", "name": name, "input": given}
    if not isinstance(told, dict) or told.get("type") not in ("text", "tool_use"):
        raise BadAnswer(f"{place}: {str(told)[:80]!r} is neither a text nor the use of a tool")
    if told["type"] == "tool_use" and told.get("name") not in known:
        raise BadAnswer(f"{place}: there is no tool {told.get('name')!r}: {', '.join(known)}")
    if told["type"] == "tool_use" and not isinstance(told.get("input"), dict):
        raise BadAnswer(f"{place}: what {told['name']} is asked with must be an object")
    return told


def _open(seat: Path) -> list[str]:
    asked = sorted(path.name.partition(".")[0] for path in seat.glob("*.request.json"))
    return [] if (seat / ENDED).exists() else [n for n in asked if not (seat / f"{n}.answer.json").exists()]


def _shown_and_open(seat: Path) -> list[str]:
    shown = _load(seat)
    return [number for number in _open(seat) if number in shown.requests]


def _new_at(seat: Path, *, again: bool) -> Iterator[str]:
    shown = Shown() if again else _load(seat)
    for number in _open(seat):
        if number not in shown.requests:
            body = json.loads((seat / f"{number}.request.json").read_text(encoding="utf-8"))
            yield "\n".join(_told(body, seat.name, number, shown))
            shown.requests.append(number)
            write_json(seat / _STATE, vars(shown))


def _load(seat: Path) -> Shown:
    path = seat / _STATE
    return Shown(**json.loads(path.read_text(encoding="utf-8"))) if path.exists() else Shown()


def _told(body: Json, seat: str, number: str, shown: Shown) -> Iterator[str]:
    """Yield the lines of a request: what of it is new."""
    talk = _hash([body["model"], [*_texts(body.get("system", []))], [*_texts(body["messages"][0]["content"])]])
    before = shown.talks.get(talk, 0)
    shown.talks[talk] = len(body["messages"])
    begun = "" if before else "a new conversation, "
    yield f"=== {seat}/{number}: {begun}{body['model']}, at most {body['max_tokens']} tokens"
    if not before:
        yield from _parts("rules", [*_texts(body.get("system", []))], number, shown)
        yield from _parts("tools", [_tool(tool) for tool in body.get("tools", [])], number, shown)
    if body.get("tool_choice", {}).get("type") in ("any", "tool"):
        yield "(a tool must be used)"
    names = _names(body["messages"])
    for message in body["messages"][before:]:
        if message["role"] == "user":
            yield from _said(message["content"], names)


def _parts(what: str, parts: Sequence[str], number: str, shown: Shown) -> Iterator[str]:
    """Yield what was not shown at this seat yet; the rest is named by the request in which it was."""
    known = [part for part in parts if _hash(part) in shown.parts]
    if known:
        where = sorted({shown.parts[_hash(part)] for part in known})
        names = f": {', '.join(part.partition(chr(10))[0] for part in known)}" if what == "tools" else ""
        yield f"-- {what} as in {', '.join(where)}{names}"
    if new := [part for part in parts if part not in known]:
        yield f"-- {what}"
        yield from new
    shown.parts |= {_hash(part): number for part in new}


def _tool(tool: Json) -> str:
    schema = {name: value for name, value in tool.get("input_schema", {}).items() if name != "type"}
    return f"{tool['name']}\n  {tool.get('description', '')}\n  {json.dumps(_bare(schema), ensure_ascii=False)}"


def _bare(value: Any) -> Any:
    """Return a schema without titles, which say nothing."""
    if isinstance(value, Mapping):
        return {key: _bare(each) for key, each in value.items() if key != "title" or not isinstance(each, str)}
    return [_bare(each) for each in value] if isinstance(value, list) else value


def _names(messages: Sequence[Json]) -> dict[str, str]:
    """Return which tool was used, by the id of the use."""
    blocks = [b for m in messages if m["role"] == "assistant" and isinstance(m["content"], list) for b in m["content"]]
    return {block["id"]: block["name"] for block in blocks if block["type"] == "tool_use"}


def _said(content: Any, names: Mapping[str, str]) -> Iterator[str]:
    for block in [content] if isinstance(content, str) else content:
        if isinstance(block, Mapping) and block["type"] == "tool_result":
            failed = " (failed)" if block.get("is_error") else ""
            yield f"-- result of {names.get(block['tool_use_id'], block['tool_use_id'])}{failed}"
            yield from _texts(block.get("content", ""))
        else:
            yield "-- user"
            yield from _texts([block])


def _texts(content: Any) -> Iterator[str]:
    """Yield the texts of content; what is no text is shown as JSON."""
    for block in [content] if isinstance(content, str) else content:
        is_text = isinstance(block, Mapping) and block.get("type") == "text"
        yield block if isinstance(block, str) else block["text"] if is_text else json.dumps(block, ensure_ascii=False)


def _hash(value: Any) -> str:
    return hashlib.sha256(json.dumps(_unmarked(value), sort_keys=True).encode()).hexdigest()[:16]


def _unmarked(value: Any) -> Any:
    """Return a value without marks for the cache, which wander from request to request."""
    if isinstance(value, Mapping):
        return {name: _unmarked(each) for name, each in value.items() if name != "cache_control"}
    return [_unmarked(each) for each in value] if isinstance(value, list) else value
