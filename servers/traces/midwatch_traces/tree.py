"""One trace as a tree: own times, the critical path, and siblings of a kind folded together. Pure; no recursion.

The critical path is walked back from a span's end: the child that ended last before it, then the one that ended
last before that one began, and so on. What is off it could take longer without making the trace longer.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice

from midwatch_traces.backend import Span

SHOWN_OF_A_KIND = 3
"""Siblings of the same service and name that are shown; the rest is counted."""


@dataclass(frozen=True, slots=True)
class Node:
    """A span in its place: how deep, the time it spent itself (ns), and whether it is on the critical path."""

    span: Span
    depth: int
    own: int
    critical: bool
    orphan: bool


@dataclass(frozen=True, slots=True)
class Folded:
    """Siblings of a kind that are not shown one by one: how many, and their time together (ns).

    `below` counts the spans below them, and `failed` those that failed, the siblings themselves and below them.
    """

    service: str
    name: str
    count: int
    total: int
    failed: int
    below: int
    depth: int


@dataclass(frozen=True, slots=True)
class Tree:
    """All spans of a trace in the order of reading, and what of it is worth showing."""

    nodes: tuple[Node, ...]
    shown: tuple[Node | Folded, ...]

    def foremost(self, most: int) -> Sequence[Node]:
        """Return so many spans in the order of reading: those that are shown, and the first of the others."""
        shown = {id(part) for part in self.shown if isinstance(part, Node)}
        others = (id(node) for node in self.nodes if id(node) not in shown)
        kept = set(islice(others, max(0, most - len(shown)))) | shown
        return [node for node in self.nodes if id(node) in kept][:most]


def tree_of(spans: Sequence[Span]) -> Tree:
    """Return the tree of a trace's spans; spans whose parent is not among them stand at the top."""
    ordered = sorted(spans, key=lambda span: (span.start, span.span_id))
    known = {span.span_id: span for span in ordered}
    children: dict[str, list[Span]] = {}
    tops: list[Span] = []
    for span in ordered:
        has_parent = span.parent_id in known and span.parent_id != span.span_id
        (children.setdefault(span.parent_id, []) if has_parent else tops).append(span)
    tops = sorted([*tops, *_in_circles(ordered, tops, children)], key=lambda span: (span.start, span.span_id))
    critical = _critical(tops, children)
    nodes = tuple(_walk(tops, children, critical))
    return Tree(nodes, tuple(_fold(nodes)))


def _in_circles(ordered: Sequence[Span], tops: Sequence[Span], children: dict[str, list[Span]]) -> list[Span]:
    """Cut each circle of parents at its earliest span, which then stands at the top."""
    cut: list[Span] = []
    reached = _reached(tops, children)
    for span in ordered:
        if span.span_id not in reached:
            children[span.parent_id].remove(span)
            cut.append(span)
            reached |= _reached([span], children)
    return cut


def _reached(tops: Sequence[Span], children: Mapping[str, Sequence[Span]]) -> set[str]:
    reached: set[str] = set()
    waiting = list(tops)
    while waiting:
        span = waiting.pop()
        if span.span_id not in reached:
            reached.add(span.span_id)
            waiting += children.get(span.span_id, ())
    return reached


def _walk(tops: Sequence[Span], children: Mapping[str, Sequence[Span]], critical: set[str]) -> Iterator[Node]:
    waiting = [(span, 0) for span in reversed(tops)]
    while waiting:
        span, depth = waiting.pop()
        below = children.get(span.span_id, ())
        orphan = depth == 0 and bool(span.parent_id)
        yield Node(span, depth, span.duration - _covered(span, below), span.span_id in critical, orphan)
        waiting += [(child, depth + 1) for child in reversed(below)]


def _covered(span: Span, below: Sequence[Span]) -> int:
    """Return how much of a span its children cover, in ns, each moment once; consumers are not waited for."""
    covered, reached = 0, span.start
    for child in below:
        if child.kind == "Consumer":
            continue
        begin, end = max(child.start, reached), min(child.start + child.duration, span.start + span.duration)
        covered += max(0, end - begin)
        reached = max(reached, end)
    return covered


def _critical(tops: Sequence[Span], children: Mapping[str, Sequence[Span]]) -> set[str]:
    critical: set[str] = set()
    waiting = [max(tops, key=lambda span: span.duration)] if tops else []
    while waiting:
        span = waiting.pop()
        critical.add(span.span_id)
        until = end = _end(span)
        for child in sorted(children.get(span.span_id, ()), key=_end, reverse=True):
            outlives = until == end and child.start < end  # a server often ends its span after it has answered
            if child.kind != "Consumer" and child.duration and (_end(child) <= until or outlives):
                waiting.append(child)
                until = child.start
    return critical


def _end(span: Span) -> int:
    return span.start + span.duration


def _fold(nodes: Sequence[Node]) -> Iterator[Node | Folded]:
    """Keep a few siblings of a kind, the failed, critical and longest first, and count the others."""
    counted = dict(_counted(nodes))
    hidden = {number for numbers, _ in counted.values() for number in numbers}
    skipping: int | None = None
    for number, node in enumerate(nodes):
        if skipping is not None and node.depth > skipping:
            continue
        skipping = node.depth if number in hidden else None
        if number in counted:
            yield counted[number][1]
        elif skipping is None:
            yield node


def _counted(nodes: Sequence[Node]) -> Iterator[tuple[int, tuple[Sequence[int], Folded]]]:
    """Yield, for each kind with too many siblings, the place to say so, which are not shown, and what to say."""
    parents, sizes, failures = _parents(nodes), [1] * len(nodes), [int(node.span.failed) for node in nodes]
    for number in range(len(nodes) - 1, -1, -1):
        if (parent := parents[number]) is not None:
            sizes[parent] += sizes[number]
            failures[parent] += failures[number]
    kinds: dict[tuple[int | None, str, str], list[int]] = {}
    for number, node in enumerate(nodes):
        kinds.setdefault((parents[number], node.span.service, node.span.name), []).append(number)
    for (_, service, name), numbers in kinds.items():
        rest = sorted(sorted(numbers, key=lambda n: _worth(nodes[n]), reverse=True)[SHOWN_OF_A_KIND:])
        if rest:
            total, failed = sum(nodes[n].span.duration for n in rest), sum(failures[n] for n in rest)
            below = sum(sizes[number] - 1 for number in rest)
            yield rest[-1], (rest, Folded(service, name, len(rest), total, failed, below, nodes[rest[0]].depth))


def _worth(node: Node) -> tuple[bool, bool, int]:
    return node.span.failed, node.critical, node.span.duration


def _parents(nodes: Sequence[Node]) -> list[int | None]:
    """Return the number of each node's parent in the order of reading, None for those at the top."""
    line: list[int] = []
    parents: list[int | None] = []
    for number, node in enumerate(nodes):
        del line[node.depth :]
        parents.append(line[-1] if line else None)
        line.append(number)
    return parents
