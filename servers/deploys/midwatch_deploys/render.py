"""Changes as rows of evidence and as lines for people. It asks no backend and judges nothing."""

from typing import Final

from pydantic import JsonValue

from midwatch_deploys.backend import Change
from midwatch_kit import EntityId, rfc3339

EVERYTHING: Final = "service:*"
"""The entity of a change that names no service: it concerns all of them."""

_NAMED_FILES: Final = 5


def entity_of(change: Change) -> EntityId:
    """Return what was changed: the instance if one is named, else the service, else everything."""
    if change.instance:
        return f"instance:{change.instance}"
    return f"service:{change.service}" if change.service else EVERYTHING


def row_of(change: Change) -> dict[str, JsonValue]:
    """Return a change without its diff as plain JSON, times in RFC 3339."""
    return {
        "change_id": change.id,
        "at": rfc3339(change.at),
        "kind": change.kind,
        "service": change.service,
        "instance": change.instance,
        "title": change.title,
        "author": change.author,
        "version": change.version,
        "previous_version": change.previous_version,
        "repository": change.repository,
        "url": change.url,
        **({"links": list[JsonValue](change.links)} if len(change.links) > 1 else {}),
        "files": list(change.files),
        "ended": rfc3339(change.ended) if change.ended else None,
        "outcome": change.outcome,
        "attributes": dict(change.attributes),
    }


def facts_of(change: Change) -> dict[str, str]:
    """Return what a finding says of a change beside its statement; empty texts are left out."""
    facts = {
        "change_id": change.id,
        "title": change.title,
        "author": change.author,
        "version": change.version,
        "previous_version": change.previous_version,
        "files": ",".join(change.files[:_NAMED_FILES]),
        "repository": change.repository,
        "url": change.url,
        "outcome": change.outcome,
        "rolls_back": change.attributes.get("rolls_back", ""),
        "instances": change.attributes.get("instances", ""),
        "ended": rfc3339(change.ended) if change.ended else "",
    }
    return {name: text for name, text in facts.items() if text}


def statement_of(change: Change, longest: int = 200) -> str:
    """Return one plain sentence about a change; a long title is cut so that the rest has room."""
    what = f"{change.kind or 'change'} of {change.instance or change.service or 'everything'}"
    version = f" {change.version}" if change.version else ""
    by = f" by {change.author}" if change.author else ""
    count = len(change.files)
    files = f" ({count} file{'s' if count > 1 else ''})" if count else ""
    bad = f", {change.outcome[:20]}" if change.outcome not in ("", "succeeded") else ""
    head, tail = f"{what}{version}{by}"[: longest // 2], f"{files}{bad}"
    title = flat(change.title)
    room = longest - len(head) - len(tail) - len(': ""')
    return f'{head}: "{title if len(title) <= room else title[: room - 1] + "…"}"{tail}' if title else head + tail


def line_of(change: Change) -> str:
    """Return a change in a line: when, what, from which version, which files, and its id."""
    was = f" (was {change.previous_version})" if change.previous_version else ""
    shown = ", ".join(change.files[:_NAMED_FILES])
    more = f" and {len(change.files) - _NAMED_FILES} more" if len(change.files) > _NAMED_FILES else ""
    files = f" files: {shown}{more}" if shown else ""
    return f"{rfc3339(change.at)} {statement_of(change)}{was}{files} id={change.id}"


def whole(change: Change) -> list[str]:
    """Return a change with all that is known of it, its diff or transcript last."""
    links = ", ".join(change.links if len(change.links) > 1 else ())
    facts = {**row_of(change), "links": links, "files": ", ".join(change.files), "attributes": _pairs(change)}
    head = [f"{name}: {flat(str(value))}" for name, value in facts.items() if value]
    return [*head, "diff:", *change.diff.splitlines()] if change.diff else head


def flat(text: str) -> str:
    """Return a text on one line."""
    return " ".join(text.split())


def _pairs(change: Change) -> str:
    return ", ".join(f"{name}={value}" for name, value in sorted(change.attributes.items()))
