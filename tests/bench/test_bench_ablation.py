"""The table of what each source of evidence is worth: a row for each that was left out, a column for each set."""

import sys
from pathlib import Path

import anyio
import pytest
from tests.bench import published

from midwatch.mcp_client.links import Unanswered
from midwatch.settings import ServerSpec
from midwatch_bench.accuracy.ablation import NOTHING, lines_of
from midwatch_bench.accuracy.in_process import TOPOLOGY, reach_without
from midwatch_bench.accuracy.measured import Measured
from midwatch_bench.accuracy.running import Run
from midwatch_bench.importers import petshop
from midwatch_bench.importers.case import write_snapshot


def placed(place: int) -> Measured:
    return Measured("one", "fit", "g", ("service:a",), place=place)


def test_each_source_that_was_left_out_has_a_row_and_each_set_a_column_with_its_cases() -> None:
    results = {
        ("shop", NOTHING): [placed(1), placed(2)],
        ("town", NOTHING): [placed(1)],
        ("shop", "logs"): [placed(0), placed(2)],
        ("town", "logs"): [],
    }
    head, _, *lines = lines_of(results)
    assert head == "| top-1 / top-3 (cases) | shop (2) | town (1) |"
    assert lines == [
        "| without nothing | 0.500 / 1.000 | 1.000 / 1.000 |",
        "| without logs | 0.000 / 0.500 | - |",
    ]


def roles_of_metrics(folder: Path, left_out: frozenset[str]) -> set[str]:
    """Return the roles of the tools that the metrics server offers, on a made case of PetShop."""
    (case,) = petshop.cases(published.petshop_in(folder / "data"))
    snapshot = write_snapshot(case, folder / "snapshot")
    spec = ServerSpec(command=sys.executable, args=["-m", "midwatch_metrics"], env={"MIDWATCH_STORE": str(snapshot)})

    async def asked() -> set[str]:
        async with reach_without(left_out)(spec, 5.0, folder / "metrics.log") as client:
            return {str((tool.meta or {})["midwatch/role"]) for tool in (await client.list_tools()).tools}

    return anyio.run(asked)


def test_without_the_topology_nobody_discovers_any_and_all_else_stays(tmp_path: Path) -> None:
    whole = roles_of_metrics(tmp_path / "whole", frozenset())
    assert "discover" in whole
    assert roles_of_metrics(tmp_path / "without", frozenset({TOPOLOGY})) == whole - {"discover"}


def test_a_server_that_is_left_out_seems_to_be_down(tmp_path: Path) -> None:
    with pytest.raises(Unanswered, match="it was left out"):
        roles_of_metrics(tmp_path, frozenset({"metrics"}))


def test_every_nth_case_is_taken_from_the_first_on_of_those_that_match(tmp_path: Path) -> None:
    data = published.petshop_in(tmp_path)
    issue = next(data.rglob("issue_3"))
    for number in (4, 5, 6, 7):
        issue.with_name(f"issue_{number}").mkdir()  # unreadable ones are cases as well
    chosen = [case.number for case in Run("petshop", data, cases="low*", every=2).chosen()]
    assert chosen == [3, 5, 7]
    assert [case.number for case in Run("petshop", data, split="score", every=2, limit=1).chosen()] == [3]
