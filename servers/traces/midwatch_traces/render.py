"""How a trace reads: a span as a row of evidence, and the tree as lines. No decisions about what is shown: see tree."""

from collections.abc import Iterator, Mapping

from pydantic import JsonValue

from midwatch_kit import rfc3339
from midwatch_store import from_ns
from midwatch_traces.backend import FoundTrace, Span
from midwatch_traces.spans import MS
from midwatch_traces.tree import Folded, Node, Tree

_DEEPEST_INDENT = 20


def ms(nanoseconds: int) -> float:
    """Return nanoseconds as milliseconds, to the microsecond."""
    return round(nanoseconds / MS, 3)


def shown_ms(nanoseconds: int) -> str:
    """Return nanoseconds as milliseconds for reading: three decimals at most, and never an exponent."""
    return f"{nanoseconds / MS:,.3f}".rstrip("0").rstrip(".")


def span_row(node: Node) -> JsonValue:
    """Return a span with its place in the tree as a row of evidence."""
    span = node.span
    return {
        "span_id": span.span_id,
        "parent_span_id": span.parent_id,
        "start": rfc3339(from_ns(span.start)),
        "duration_ms": ms(span.duration),
        "own_ms": ms(node.own),
        "critical": node.critical,
        "service": span.service,
        "instance": span.instance,
        "name": span.name,
        "kind": span.kind,
        "status": span.status,
        "status_message": span.status_message,
        "attributes": dict(span.attributes),
        "events": [_event(e.at, e.name, e.attributes) for e in span.events],
        "links": [f"{trace}/{linked}" for trace, linked in span.links],
    }


def head(found: FoundTrace) -> str:
    """Return the line above a tree: how many spans, how many failed, how long it took."""
    spans = found.spans
    began, ended = min(s.start for s in spans), max(s.start + s.duration for s in spans)
    counted = f"{found.total:,} spans, {sum(span.failed for span in spans):,} failed, {shown_ms(ended - began)} ms"
    return f"{counted}; * is on the critical path; own time in ()"


def tree_lines(tree: Tree) -> Iterator[str]:
    """Yield a line for each span that is shown, and one for each group that is folded."""
    began = min(node.span.start for node in tree.nodes)
    for part in tree.shown:
        yield _indent(part.depth) + (_folded_line(part) if isinstance(part, Folded) else _span_line(part, began))


def _indent(depth: int) -> str:
    return "  " * min(depth, _DEEPEST_INDENT) + (f"[depth {depth}] " if depth > _DEEPEST_INDENT else "")


def _folded_line(part: Folded) -> str:
    below = f", {part.below:,} spans below" if part.below else ""
    together = f"{shown_ms(part.total)} ms together{below}, {part.failed:,} failed"
    return f"… {part.count:,} more {part.service} {part.name}: {together}"


def _span_line(node: Node, began: int) -> str:
    span = node.span
    mark = "*" if node.critical else " "
    failed = f" FAILED {_exception(span) or span.status_message}".rstrip() if span.failed else ""
    times = f"+{shown_ms(span.start - began)} {shown_ms(span.duration)} ms ({shown_ms(node.own)})"
    place = f"{span.service}[{span.instance}]" if span.instance else span.service
    return f"{mark} {place} {span.name} {times}{' orphan' if node.orphan else ''}{failed}"


def _event(at: int, name: str, attributes: Mapping[str, str]) -> JsonValue:
    return {"at": rfc3339(from_ns(at)), "name": name, "attributes": dict(attributes)}


def _exception(span: Span) -> str:
    thrown = [event.attributes for event in span.events if event.name == "exception"]
    return f"{thrown[-1].get('exception.type', '')}: {thrown[-1].get('exception.message', '')}" if thrown else ""
