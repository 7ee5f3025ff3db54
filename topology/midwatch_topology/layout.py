"""Where each entity stands in a picture: columns from left (who is hurt) to right (what they depend on).

Columns are the topological generations of the condensation, so that a cycle shares a column; long edges get a
place in each column that they cross, so that they run between boxes and not through them (Sugiyama et al. 1981).
Nothing is drawn here.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, TypeAlias

import networkx as nx

from midwatch_kit.records import EntityId, Relation

if TYPE_CHECKING:
    Digraph = nx.DiGraph["Place"]

Bend: TypeAlias = tuple[EntityId, EntityId, int]
Place: TypeAlias = EntityId | Bend
"""An entity, or the point where a long edge crosses a column."""

BOX_HEIGHT = 46
COLUMN_GAP = 70
_ROW_GAP = 22
_BEND_HEIGHT = 10
_SWEEPS = 8
_DRAWN_BACKWARDS = frozenset({"alarmed_by", "receives_from"})
"""Kinds whose source stands to the right of their target: an alarm is seen first, a consumer comes after its queue."""


@dataclass(frozen=True)
class Layout:
    """Centres and widths of places in pixels, the places that each edge runs through, and the size of it all."""

    centres: Mapping[Place, tuple[float, float]]
    widths: Mapping[Place, float]
    edges: Mapping[tuple[EntityId, EntityId], tuple[Place, ...]]
    width: float
    height: float


def left_to_right(relation: Relation) -> tuple[EntityId, EntityId]:
    """Return the ends of a relation, the one to be drawn on the left first."""
    if relation.kind in _DRAWN_BACKWARDS:
        return relation.target, relation.source
    return relation.source, relation.target


def lay_out(widths: Mapping[EntityId, float], relations: tuple[Relation, ...], margin: float) -> Layout:
    """Return where entities of these widths stand and how their relations run; deterministic."""
    columns = _columns(widths, relations)
    edges = _edges(columns, relations)
    rows = _without_crossings(_placed(columns, edges), list(edges.values()))
    lefts = _lefts(rows, widths, margin)
    height = max((_height(column) for column in rows), default=0)
    centres: dict[Place, tuple[float, float]] = {}
    spans: dict[Place, float] = {}
    for column, (left, width) in zip(rows, lefts, strict=True):
        top = margin + (height - _height(column)) / 2
        for place in column:
            centres[place] = (left + width / 2, top + _tall(place) / 2)
            spans[place] = widths[place] if isinstance(place, str) else width
            top += _tall(place) + _ROW_GAP
    right = sum(lefts[-1]) if lefts else margin
    return Layout(centres, spans, edges, right + margin, height + 2 * margin)


def _columns(widths: Mapping[EntityId, float], relations: tuple[Relation, ...]) -> dict[EntityId, int]:
    graph: Digraph = nx.DiGraph()
    graph.add_nodes_from(widths)
    graph.add_edges_from(left_to_right(relation) for relation in relations)
    condensed = nx.condensation(graph)
    column: dict[EntityId, int] = {}
    for number, generation in enumerate(nx.topological_generations(condensed)):
        for component in generation:
            column |= dict.fromkeys(condensed.nodes[component]["members"], number)
    return column


def _edges(
    columns: Mapping[EntityId, int], relations: tuple[Relation, ...]
) -> dict[tuple[EntityId, EntityId], tuple[Place, ...]]:
    edges: dict[tuple[EntityId, EntityId], tuple[Place, ...]] = {}
    for relation in relations:
        left, right = left_to_right(relation)
        bends = [(left, right, number) for number in range(columns[left] + 1, columns[right])]
        edges[left, right] = (left, *bends, right)
    return edges


def _placed(
    columns: Mapping[EntityId, int], edges: Mapping[tuple[EntityId, EntityId], tuple[Place, ...]]
) -> list[list[Place]]:
    rows: list[list[Place]] = [[] for _ in range(max(columns.values(), default=-1) + 1)]
    for entity in sorted(columns):
        rows[columns[entity]].append(entity)
    for path in edges.values():
        for bend in path[1:-1]:
            rows[int(bend[2])].append(bend)
    return rows


def _without_crossings(rows: list[list[Place]], edges: list[tuple[Place, ...]]) -> list[list[Place]]:
    """Order each column by the mean height of its neighbours, back and forth: fewer crossings, never a promise."""
    neighbours: dict[Place, list[Place]] = {place: [] for column in rows for place in column}
    for path in edges:
        for one, other in pairwise(path):
            neighbours[one].append(other)
            neighbours[other].append(one)
    for sweep in range(_SWEEPS):
        order = range(len(rows)) if sweep % 2 == 0 else range(len(rows) - 1, -1, -1)
        for number in order:
            beside = rows[number - 1 : number] if sweep % 2 == 0 else rows[number + 1 : number + 2]
            fixed = {place: rank - len(column) / 2 for column in beside for rank, place in enumerate(column)}
            rows[number] = _by_mean(rows[number], neighbours, fixed)
    return rows


def _by_mean(column: list[Place], neighbours: Mapping[Place, list[Place]], fixed: Mapping[Place, float]) -> list[Place]:
    def mean(ranked: tuple[int, Place]) -> tuple[float, int]:
        rank, place = ranked
        near = [fixed[neighbour] for neighbour in neighbours[place] if neighbour in fixed]
        return (sum(near) / len(near) if near else rank - len(column) / 2), rank

    return [place for _, place in sorted(enumerate(column), key=mean)]


def _lefts(rows: list[list[Place]], widths: Mapping[EntityId, float], margin: float) -> list[tuple[float, float]]:
    lefts: list[tuple[float, float]] = []
    left = margin
    for column in rows:
        width = max((widths[place] for place in column if isinstance(place, str)), default=0)
        lefts.append((left, width))
        left += width + COLUMN_GAP
    return lefts


def _tall(place: Place) -> float:
    return BOX_HEIGHT if isinstance(place, str) else _BEND_HEIGHT


def _height(column: list[Place]) -> float:
    return sum(map(_tall, column)) + _ROW_GAP * max(0, len(column) - 1)
