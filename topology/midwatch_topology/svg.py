"""A topology as a self-contained SVG picture, left to right, with the path from cause to symptom in red.

No script, no font file, no network: it can be mailed, put into a report or opened by itself. Every box and edge has
a tooltip with its full name.
"""

from collections.abc import Sequence
from itertools import pairwise
from xml.etree import ElementTree as ET

from midwatch_kit.records import Entity, EntityId, Relation
from midwatch_topology.graph import Topology
from midwatch_topology.layout import BOX_HEIGHT, COLUMN_GAP, Layout, Place, lay_out, left_to_right

_RED = "#c62828"
_INK = "#1f2933"
_MARGIN = 24.0
_LEGEND = 34.0
_LETTER = 7.6
_LONGEST = 30
_FONT = "ui-sans-serif, system-ui, 'Segoe UI', 'DejaVu Sans', sans-serif"
_FILLS = {
    "service": "#e3f2fd",
    "instance": "#f5f7fa",
    "database": "#e8f5e9",
    "queue": "#fff8e1",
    "external": "#f3e5f5",
    "alarm": "#ffebee",
    "repository": "#eceff1",
}
_STROKES = {
    "calls": ("#33526e", ""),
    "reads": ("#2e7d32", ""),
    "writes": ("#2e7d32", "6 3"),
    "sends_to": ("#b26a00", ""),
    "receives_from": ("#b26a00", "6 3"),
    "runs_on": ("#7b8794", "2 3"),
    "alarmed_by": ("#ad1457", "2 3"),
}
_OTHER_STROKE = ("#7b8794", "8 3 2 3")


def to_svg(topology: Topology, highlight: Sequence[EntityId] = ()) -> str:
    """Return the topology as SVG, the path `highlight` in red; raises `UnknownEntity` for a path that isn't in it."""
    marked = {topology.entity(name).id for name in highlight}
    steps = {frozenset(step) for step in pairwise(highlight)}
    widths = {name: _box_width(entity) for name, entity in topology.entities.items()}
    layout = lay_out(widths, topology.relations, _MARGIN)
    kinds = list(dict.fromkeys(relation.kind for relation in topology.relations))
    picture = _canvas(max(layout.width, _legend_width(kinds)), layout.height + (_LEGEND if kinds else 0))
    for (left, right), path in layout.edges.items():
        tied = [relation for relation in topology.relations if left_to_right(relation) == (left, right)]
        _edge(picture, layout, path, tied, marked=frozenset((left, right)) in steps)
    for entity in topology.entities.values():
        _box(picture, layout, entity, marked=entity.id in marked)
    _legend(picture, kinds, layout.height + 4)
    ET.indent(picture)
    return ET.tostring(picture, encoding="unicode") + "\n"


def _canvas(width: float, height: float) -> ET.Element:
    picture = ET.Element(
        "svg",
        {
            "xmlns": "http://www.w3.org/2000/svg",
            "viewBox": f"0 0 {width:g} {height:g}",
            "width": f"{width:g}",
            "height": f"{height:g}",
            "font-family": _FONT,
            "role": "img",
            "aria-label": "topology",
        },
    )
    _add(picture, "rect", width="100%", height="100%", fill="#ffffff")
    return picture


def _box(picture: ET.Element, layout: Layout, entity: Entity, *, marked: bool) -> None:
    x, y = layout.centres[entity.id]
    width = layout.widths[entity.id]
    group = _add(picture, "g", data_entity=entity.id)
    _write(group, "title", entity.id)
    style = {
        "fill": _FILLS.get(entity.kind, "#ffffff"),
        "stroke": _RED if marked else "#52606d",
        "stroke_width": "2.5" if marked else "1",
    }
    _shape(group, entity.kind, (x - width / 2, y - BOX_HEIGHT / 2, width, float(BOX_HEIGHT)), style)
    _write(group, "text", _short(entity.name), x=x, y=y + 1, text_anchor="middle", font_size="13", fill=_INK)
    _write(group, "text", _short(entity.kind), x=x, y=y + 15, text_anchor="middle", font_size="10", fill="#52606d")


def _shape(group: ET.Element, kind: str, box: tuple[float, float, float, float], style: dict[str, str]) -> None:
    x, y, width, height = box
    right, bottom = x + width, y + height
    match kind:
        case "database":
            sides = f"M{x:g} {y + 6:g}v{height - 12:g}a{width / 2:g} 6 0 0 0 {width:g} 0v{12 - height:g}"
            _add(
                group,
                "path",
                d=f"{sides}a{width / 2:g} 6 0 0 0 {-width:g} 0a{width / 2:g} 6 0 0 0 {width:g} 0",
                **style,
            )
        case "alarm":
            corners = [(x, y + height / 2), (x + 12, y), (right - 12, y), (right, y + height / 2)]
            _polygon(group, [*corners, (right - 12, bottom), (x + 12, bottom)], style)
        case "queue":
            _polygon(group, [(x + 10, y), (right, y), (right - 10, bottom), (x, bottom)], style)
        case "repository":
            _polygon(group, [(x, y), (right - 12, y), (right, y + 12), (right, bottom), (x, bottom)], style)
        case _:
            corner = {"service": 10, "instance": 2}.get(kind, height / 2)
            _add(group, "rect", x=x, y=y, width=width, height=height, rx=corner, **style)


def _polygon(group: ET.Element, corners: list[tuple[float, float]], style: dict[str, str]) -> None:
    _add(group, "polygon", points=" ".join(f"{x:g},{y:g}" for x, y in corners), **style)


def _edge(
    picture: ET.Element, layout: Layout, path: tuple[Place, ...], relations: list[Relation], *, marked: bool
) -> None:
    colour, dashes = _STROKES.get(relations[0].kind, _OTHER_STROKE)
    line = _add(
        picture,
        "path",
        d=_curve(layout, path),
        fill="none",
        stroke=_RED if marked else colour,
        stroke_width="3" if marked else "1.4",
    )
    if dashes:
        line.set("stroke-dasharray", dashes)
    _write(line, "title", "\n".join(f"{tie.source} {tie.kind} {tie.target}" for tie in relations))


def _curve(layout: Layout, path: tuple[Place, ...]) -> str:
    start, end = path[0], path[-1]
    if layout.centres[start][0] == layout.centres[end][0]:
        return _bow(layout, start, end)
    x, y = layout.centres[start]
    x += layout.widths[start] / 2
    drawn = f"M{x:g} {y:g}"
    for place in path[1:]:
        middle, height = layout.centres[place]
        left, right = middle - layout.widths[place] / 2, middle + layout.widths[place] / 2
        bend = min(COLUMN_GAP, (left - x) / 2)
        drawn += f"C{x + bend:g} {y:g} {left - bend:g} {height:g} {left:g} {height:g}"
        drawn += f"H{right:g}" if place != end else ""
        x, y = right, height
    return drawn


def _bow(layout: Layout, start: Place, end: Place) -> str:
    """Return a curve beside the column: the two ends are in one cycle, or are one and the same."""
    (x0, y0), (x1, y1) = layout.centres[start], layout.centres[end]
    x0, x1 = x0 + layout.widths[start] / 2, x1 + layout.widths[end] / 2
    out = max(x0, x1) + COLUMN_GAP / 2
    spread = 10 if start == end else 0
    return f"M{x0:g} {y0 - spread:g}C{out:g} {y0 - spread:g} {out:g} {y1 + spread:g} {x1:g} {y1 + spread:g}"


def _legend(picture: ET.Element, kinds: list[str], top: float) -> None:
    x = _MARGIN
    for kind in kinds:
        colour, dashes = _STROKES.get(kind, _OTHER_STROKE)
        line = _add(picture, "path", d=f"M{x:g} {top:g}h26", stroke=colour, stroke_width="2")
        if dashes:
            line.set("stroke-dasharray", dashes)
        _write(picture, "text", _short(kind.replace("_", " ")), x=x + 32, y=top + 4, font_size="11", fill="#52606d")
        x += _legend_step(kind)


def _legend_width(kinds: list[str]) -> float:
    return 2 * _MARGIN + sum(map(_legend_step, kinds))


def _legend_step(kind: str) -> float:
    return 32 + len(_short(kind)) * 6.6 + 20


def _box_width(entity: Entity) -> float:
    return max(84.0, len(_short(entity.name)) * _LETTER + 34)


def _short(text: str) -> str:
    """Return `text` cut to what a box holds."""
    return text if len(text) <= _LONGEST else f"{text[: _LONGEST - 1]}…"


def _clean(text: str) -> str:
    """Return `text` without control characters, which XML refuses."""
    return "".join(letter if letter.isprintable() or letter == "\n" else "·" for letter in text)


def _add(parent: ET.Element, tag: str, **attributes: str | float) -> ET.Element:
    texts = {name: value if isinstance(value, str) else f"{value:g}" for name, value in attributes.items()}
    return ET.SubElement(parent, tag, {name.replace("_", "-"): _clean(text) for name, text in texts.items()})


def _write(parent: ET.Element, tag: str, text: str, **attributes: str | float) -> None:
    _add(parent, tag, **attributes).text = _clean(text)
