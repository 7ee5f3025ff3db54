"""A declared topology: relations that people write down, because no server can see them."""

import json
from pathlib import Path

import pytest

from midwatch.declared import declared_topology
from midwatch.errors import BadSettings
from midwatch.settings import Settings
from midwatch_kit.records import Basis, Relation, TopologyFragment
from midwatch_topology import Topology

CALLS = {"source": "service:lb", "kind": "calls", "target": "service:web", "basis": "observed"}


def declared(folder: Path, content: str) -> Topology:
    file = folder / "topology.json"
    file.write_text(content, encoding="utf-8")
    return declared_topology(Settings(declared_topology=file))


def test_without_a_file_nothing_is_declared() -> None:
    assert not declared_topology(Settings()).entities


def test_what_a_file_says_counts_as_declared_whatever_it_says_of_itself(tmp_path: Path) -> None:
    found = declared(tmp_path, json.dumps({"relations": [CALLS]}))
    (relation,) = found.relations
    assert (relation.source, relation.target, relation.basis) == ("service:lb", "service:web", Basis.DECLARED)
    assert found.entity("service:lb").basis is Basis.DECLARED
    assert found.paths("service:web", "service:lb")


def test_what_a_server_saw_stays_observed(tmp_path: Path) -> None:
    seen = Topology.merge({"traces": TopologyFragment(relations=(Relation.model_validate(CALLS),))})
    (relation,) = (declared(tmp_path, json.dumps({"relations": [CALLS]})) | seen).relations
    assert relation.basis is Basis.OBSERVED


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("{", "Invalid JSON"),
        ('{"relations": [{"source": "service:lb"}]}', "relations.0.target: Field required"),
        ('{"relation": []}', "relation: Extra inputs"),
    ],
)
def test_a_file_that_cannot_be_used_is_refused_in_words(tmp_path: Path, content: str, said: str) -> None:
    with pytest.raises(BadSettings, match="cannot use the declared topology") as refused:
        declared(tmp_path, content)
    assert said in str(refused.value)


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(BadSettings, match=r"cannot read the declared topology .*gone\.json"):
        declared_topology(Settings(declared_topology=tmp_path / "gone.json"))
