"""Answers of servers that know nothing of the evidence contract, kept so that what they say can be cited all the same.

Each line of text is a row; where a text is JSON its list, or the one thing that it is, are the rows. What is no text is
named and left out.
"""

import json
from typing import Final

from mcp import types
from pydantic import JsonValue

from midwatch_kit.evidence import canonical

MOST_ROWS: Final = 20_000
MOST_CHARS: Final = 4 * 2**20
_SHOWN: Final = 200


def document_of(server: str, tool: str, result: types.CallToolResult) -> dict[str, JsonValue]:
    """Return a result as a document with rows; of one that is too long the beginning, which says so."""
    rows: list[JsonValue] = []
    left = MOST_CHARS
    for part in result.content:
        text = part.text if isinstance(part, types.TextContent) else f"({part.type}, left out)"
        rows += _rows(text) if len(text) <= left else [*text[:left].splitlines(), "(the rest is left out)"]
        left = max(0, left - len(text))
    if not result.content and result.structured_content is not None:
        rows = [result.structured_content]
    cut: list[JsonValue] = ["(the rest is left out)"] if len(rows) > MOST_ROWS else []
    return {"server": server, "tool": tool, "rows": [*rows[:MOST_ROWS], *cut]}


def stored(document: JsonValue) -> bytes:
    """Return the bytes of a document; figures that JSON does not have become texts."""
    try:
        return canonical(document)
    except ValueError:
        return canonical(json.loads(json.dumps(document), parse_constant=str))


def reply_of(document: dict[str, JsonValue]) -> dict[str, JsonValue]:
    """Return the fields that a reply of the contract has, as far as there are any."""
    rows = document["rows"]
    lines = (
        [row if isinstance(row, str) else json.dumps(row, ensure_ascii=False) for row in rows]
        if isinstance(rows, list)
        else []
    )
    shown: list[JsonValue] = [*lines[:_SHOWN]]
    return {"lines": shown, "matched": len(lines), "returned": len(shown), "truncated": len(lines) > len(shown)}


def _rows(text: str) -> list[JsonValue]:
    try:
        told: JsonValue = json.loads(text)
    except (ValueError, RecursionError):
        return [*text.splitlines()]
    if isinstance(told, list):
        return told
    return [told] if isinstance(told, dict) else [*text.splitlines()]
