"""What a tool of the host gives: lines that fit a budget, the same facts as data, and the way to the rest.

Errors that are for people become results that say what to do; nothing else of an error reaches a client.
"""

import functools
import inspect
import logging
from collections.abc import Awaitable, Callable, Iterable, Sequence
from typing import Any

import anyio
from mcp import types
from pydantic import BaseModel, ConfigDict, JsonValue

from midwatch.errors import HostError
from midwatch_kit.errors import BadInput, KitError
from midwatch_kit.strict import StrictTool, failure
from midwatch_topology import UnknownEntity

log = logging.getLogger("midwatch")
BUDGET_CHARS = 7_000
"""Characters in the lines of one reply: with its head, about 2,000 tokens."""
_MOST_LINE = 600
_DEADLINE_SECONDS = 45.0

Body = Callable[..., types.CallToolResult | Awaitable[types.CallToolResult]]


class Told(BaseModel):
    """What every tool gives; some add facts of their own. `matched` counts all lines, `lines` holds this page's."""

    model_config = ConfigDict(extra="allow")

    matched: int
    truncated: bool
    lines: list[str]
    next_cursor: str | None = None
    hint: str | None = None


def tell(
    lines: Iterable[str], *, cursor: str | None = None, hint: str | None = None, **facts: JsonValue
) -> types.CallToolResult:
    """Return the page of `lines` that begins at `cursor`, with facts; raises `BadInput` for no cursor of ours."""
    every = [line for text in lines for line in text.split("\n")]
    begin = _position(cursor, len(every))
    shown = fitting(every[begin:])
    rest = begin + len(shown) < len(every)
    told = Told(
        matched=len(every),
        truncated=rest,
        lines=shown,
        next_cursor=str(begin + len(shown)) if rest else None,
        hint=hint,
        **facts,
    )
    said = told.model_dump(mode="json", exclude_none=True)
    return types.CallToolResult(content=[types.TextContent(type="text", text=_text(said))], structured_content=said)


def offered(
    body: Body,
    title: str,
    *,
    reads: bool = True,
    destroys: bool = False,
    world: bool = False,
    seconds: float = _DEADLINE_SECONDS,
) -> StrictTool:
    """Return a function as a tool: a sync one runs in a thread, each within a deadline, its errors in words."""
    annotations = types.ToolAnnotations(
        read_only_hint=reads, destructive_hint=destroys, idempotent_hint=reads, open_world_hint=world
    )
    meta = {"midwatch/host": True}
    return StrictTool.of(_guarded(body, seconds), reply=Told, title=title, annotations=annotations, meta=meta)


def _guarded(body: Body, seconds: float) -> Callable[..., Awaitable[types.CallToolResult]]:
    @functools.wraps(body)
    async def guarded(**arguments: Any) -> types.CallToolResult:
        try:
            with anyio.move_on_after(seconds):
                return await _called(body, arguments)
            return failure("timed_out", f"no answer within {seconds:g} s: ask again, or for less")
        except KitError as error:
            return failure(error.code, str(error))
        except (HostError, UnknownEntity) as error:
            return failure("bad_input", str(error))
        except Exception as error:  # the last line of defence: a client must get words, not a dead call
            log.exception("%s failed", body.__name__)
            return failure("internal", f"{body.__name__} failed ({type(error).__name__}); midwatch's stderr has more")

    result = types.CallToolResult
    guarded.__signature__ = inspect.signature(body).replace(return_annotation=result)  # type: ignore[attr-defined]
    guarded.__annotations__ = {**inspect.get_annotations(body), "return": result}
    return guarded


async def _called(body: Body, arguments: dict[str, Any]) -> types.CallToolResult:
    if inspect.iscoroutinefunction(body):
        answer: types.CallToolResult = await body(**arguments)
        return answer
    return await anyio.to_thread.run_sync(functools.partial(_sync, body, arguments), abandon_on_cancel=True)


def _sync(body: Callable[..., Any], arguments: dict[str, Any]) -> types.CallToolResult:
    answer: types.CallToolResult = body(**arguments)
    return answer


def _position(cursor: str | None, count: int) -> int:
    if not cursor:
        return 0
    if not cursor.isdecimal() or int(cursor) > count:
        raise BadInput(f"{cursor[:40]!r} is no cursor of this reply: pass next_cursor back unchanged, or leave it out")
    return int(cursor)


def fitting(lines: Sequence[str]) -> list[str]:
    """Return as many of the lines as fit into one reply, each cut to what one may be; at least the first."""
    left, fitting = BUDGET_CHARS, list[str]()
    for line in map(_cut, lines):
        left -= len(line) + 1
        if left < 0 and fitting:
            break
        fitting.append(line)
    return fitting


def _cut(line: str) -> str:
    return line if len(line) <= _MOST_LINE else f"{line[:_MOST_LINE]}…[+{len(line) - _MOST_LINE} characters]"


def _text(said: dict[str, Any]) -> str:
    facts = [f"{name}={value}" for name, value in said.items() if isinstance(value, str | int) and name != "hint"]
    hint = [said["hint"]] if said.get("hint") else []
    return "\n".join([f"# {' '.join(facts)}", *said["lines"], *hint])
