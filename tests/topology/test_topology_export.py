"""Topologies as pictures and text: complete, well-formed whatever the names are, and without boxes on boxes."""

import json
import subprocess
import sys
from itertools import combinations
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest
from hypothesis import given
from hypothesis import strategies as st

from midwatch_kit.records import Relation, TopologyFragment
from midwatch_topology import Topology, UnknownEntity, to_json, to_mermaid, to_svg
from midwatch_topology.layout import BOX_HEIGHT, lay_out

NASTY = st.text(min_size=1, max_size=40)
KINDS = st.sampled_from(["calls", "runs_on", "receives_from", "alarmed_by", "owned_by"])
SVG = "{http://www.w3.org/2000/svg}"


def topology_of(ties: list[tuple[str, str, str]]) -> Topology:
    relations = tuple(Relation(source=source, kind=kind, target=target) for source, kind, target in ties)
    return Topology.merge({"traces": TopologyFragment(relations=relations)})


@given(st.lists(st.tuples(NASTY, KINDS, NASTY), max_size=12))
def test_the_picture_is_well_formed_and_shows_every_entity_whatever_its_name(ties: list[tuple[str, str, str]]) -> None:
    topology = topology_of(ties)
    picture = ET.fromstring(to_svg(topology))
    assert len(picture.findall(f"{SVG}g")) == len(topology.entities)
    assert len(to_mermaid(topology).splitlines()) == 1 + len(topology.entities) + len(topology.relations)


NUMBERED = st.integers(0, 12).map(lambda number: f"service:{number}")


@given(st.lists(st.tuples(NUMBERED, KINDS, NUMBERED), min_size=1, max_size=40))
def test_boxes_never_overlap_and_no_edge_crosses_a_column_inside_a_box(ties: list[tuple[str, str, str]]) -> None:
    topology = topology_of(ties)
    widths = {name: 80.0 + 10 * len(name) for name in topology.entities}
    layout = lay_out(widths, topology.relations, 20)
    for one, other in combinations(layout.centres, 2):
        (x0, y0), (x1, y1) = layout.centres[one], layout.centres[other]
        if isinstance(one, str) and isinstance(other, str):
            beside = abs(x0 - x1) >= (widths[one] + widths[other]) / 2
            assert beside or abs(y0 - y1) >= BOX_HEIGHT
        elif isinstance(one, str) != isinstance(other, str):
            assert x0 != x1 or abs(y0 - y1) >= BOX_HEIGHT / 2
    assert all(0 < x < layout.width and 0 < y < layout.height for x, y in layout.centres.values())


def test_what_is_depended_on_stands_to_the_right_and_the_alarm_to_the_left(shop: Topology) -> None:
    layout = lay_out(dict.fromkeys(shop.entities, 90.0), shop.relations, 20)
    order = ["alarm:web-errors", "service:web", "service:cart", "queue:orders", "service:ship"]
    across = [layout.centres[name][0] for name in order]
    assert across == sorted(set(across))


def test_the_marked_path_is_red_in_both_forms_and_nothing_else_is(shop: Topology) -> None:
    path = shop.paths("instance:pay-1", "alarm:web-errors")[0].entities
    red = [element for element in ET.fromstring(to_svg(shop, path)).iter() if element.get("stroke") == "#c62828"]
    assert len(red) == len(path) + len(path) - 1
    assert to_mermaid(shop, path).count("linkStyle") == len(path) - 1
    assert "#c62828" not in to_svg(shop) + to_mermaid(shop)


def test_a_path_that_is_not_in_the_topology_cannot_be_marked(shop: Topology) -> None:
    with pytest.raises(UnknownEntity):
        to_svg(shop, ["service:nowhere"])
    with pytest.raises(UnknownEntity):
        to_mermaid(shop, ["service:nowhere"])


def test_the_exported_json_has_the_merged_graph_and_what_each_server_said(shop: Topology) -> None:
    document = json.loads(to_json(shop))
    assert {entity["id"] for entity in document["merged"]["entities"]} == set(shop.entities)
    assert list(document["sources"]) == ["traces"]


def test_an_empty_topology_has_a_picture_too() -> None:
    assert ET.fromstring(to_svg(Topology())).tag == f"{SVG}svg"


def shown(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "midwatch_topology", *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)


def test_the_command_draws_a_saved_topology_and_marks_a_path(shop: Topology, tmp_path: Path) -> None:
    saved = tmp_path / "shop.json"
    saved.write_text(to_json(shop))
    drawn = shown(str(saved), "--path", "pay-1", "web-errors")
    assert drawn.stdout == to_svg(shop, shop.paths("instance:pay-1", "alarm:web-errors")[0].entities)
    refused = shown(str(saved), "--path", "pay-3", "web-errors")
    assert refused.returncode == 2
    assert "did you mean" in refused.stderr
    assert "cannot read" in shown(str(tmp_path / "nothing.json")).stderr
