"""A topology as text: JSON that can be read back, and Mermaid for pages that draw it.

The SVG picture is in `svg`, which needs a layout; these two need none.
"""

from collections.abc import Sequence
from itertools import pairwise

from midwatch_kit.records import EntityId, Record, TopologyFragment
from midwatch_topology.graph import Topology

_SHAPES = {
    "service": ("(", ")"),
    "instance": ("[", "]"),
    "database": ("[(", ")]"),
    "queue": (">", "]"),
    "external": ("((", "))"),
    "alarm": ("{{", "}}"),
    "repository": ("[/", "/]"),
    "team": ("([", "])"),
    "person": ("([", "])"),
}
_ESCAPED = {'"': "#quot;", "<": "#lt;", ">": "#gt;"}


class _Document(Record):
    merged: TopologyFragment
    sources: dict[str, TopologyFragment]


def to_json(topology: Topology, *, indent: int | None = None) -> str:
    """Return the topology as JSON: `merged` for reading, `sources` (what each server said) for `from_json`."""
    merged = TopologyFragment(
        entities=tuple(topology.entities.values()),
        relations=topology.relations,
        bindings=tuple(binding for source in topology.sources.values() for binding in source.bindings),
    )
    return _Document(merged=merged, sources=dict(topology.sources)).model_dump_json(indent=indent)


def from_json(text: str) -> Topology:
    """Return the topology that `to_json` wrote; raises pydantic's ValidationError when `text` is not one."""
    return Topology.merge(_Document.model_validate_json(text).sources)


def to_mermaid(topology: Topology, highlight: Sequence[EntityId] = ()) -> str:
    """Return the topology as a Mermaid flowchart, each kind in a shape of its own, the path `highlight` in red.

    Raises `UnknownEntity` when the path names something that is not in the topology.
    """
    marked = {topology.entity(name).id for name in highlight}
    steps = {frozenset(step) for step in pairwise(highlight)}
    names = {entity: f"n{number}" for number, entity in enumerate(topology.entities)}
    lines = ["flowchart LR"]
    for entity in topology.entities.values():
        opened, closed = _SHAPES.get(entity.kind, ("[", "]"))
        lines.append(f'  {names[entity.id]}{opened}"{_label(entity.name)}"{closed}:::{_css_class(entity.kind)}')
    for number, relation in enumerate(topology.relations):
        tie = f'-->|"{_label(relation.kind)}"|'
        lines.append(f"  {names[relation.source]} {tie} {names[relation.target]}")
        if {relation.source, relation.target} in steps:
            lines.append(f"  linkStyle {number} stroke:#c62828,stroke-width:3px")
    if marked:
        lines.append("  classDef marked stroke:#c62828,stroke-width:3px")
        lines.append(f"  class {','.join(names[entity] for entity in topology.entities if entity in marked)} marked")
    return "\n".join(lines) + "\n"


def _label(text: str) -> str:
    shown = text if len(text) <= 60 else f"{text[:59]}…"
    clean = "".join(letter if letter.isprintable() else "·" for letter in shown)
    return "".join(_ESCAPED.get(letter, letter) for letter in clean.replace("#", "#35;"))


def _css_class(kind: str) -> str:
    return "".join(letter if letter.isalnum() else "_" for letter in kind) or "unknown"
