"""`midwatch bench accuracy SET`: a tiny hand-made case in PetShop's format, through the real host and servers."""

import csv
import json
from importlib.metadata import entry_points
from pathlib import Path

import pytest
from typer.testing import CliRunner

from midwatch.cli import app
from midwatch_bench.accuracy.data_sets import SETS

START, STEP = 1_681_350_000, 300
FIGURES = (("latency", "Average"), ("latency", "p95"), ("availability", "Average"), ("requests", "Sum"))
CALM = {"front": (0.10, 0.30), "back": (0.05, 0.10), "side": (0.05, 0.10)}
SLOW = {"front": (2.10, 2.40), "back": (2.00, 2.20), "side": (0.05, 0.10)}


def write_csv(path: Path, lines: list[list[object]]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows(lines)


def sheet(seconds: list[dict[str, tuple[float, float]]]) -> list[list[object]]:
    columns = [(node, *figure) for node in CALM for figure in FIGURES]
    heads: list[list[object]] = [["-", *(column[i] for column in columns)] for i in range(3)]
    rows: list[list[object]] = [
        [START + STEP * n, *(value for node in CALM for value in (*at[node], 100, 600))] for n, at in enumerate(seconds)
    ]
    return [*heads, ["unix_timestamp"], *rows]


@pytest.fixture
def shop(tmp_path: Path) -> Path:
    """A front that calls a back and a side, and the back that is slow in the last row."""
    scenario = tmp_path / "low_traffic"
    graph: list[list[object]] = [["", *CALM], ["front", 0, 1, 1], ["back", 0, 0, 0], ["side", 0, 0, 0]]
    write_csv(scenario / "graph.csv", graph)
    write_csv(scenario / "noissue" / "metrics.csv", sheet([CALM] * 40))
    for issue, half in ((1, "score"), (2, "fit")):
        folder = scenario / "train" / f"issue_{issue}"
        write_csv(folder / "metrics.csv", sheet([CALM, CALM, SLOW]))
        target = {"node": "front", "metric": "latency", "agg": "Average", "timestamp": START + STEP + 30}
        told = {"target": target, "root_cause": {"node": "back"}, "metadata": half}
        (folder / "target.json").write_text(json.dumps(told), encoding="utf-8")
    return tmp_path


def test_a_case_of_a_public_set_is_investigated_and_scored(shop: Path, tmp_path: Path) -> None:
    asked = ["bench", "accuracy", "petshop", "--data", str(shop), "--split", "score", "--keep", str(tmp_path / "kept")]
    done = CliRunner().invoke(app, [*asked, "--json"])
    assert done.exit_code == 0, done.output
    (result,) = json.loads(done.stdout)
    assert (result["name"], result["split"]) == ("low_traffic-train-01", "score")
    assert (result["ranked"][0], result["place"]) == ("service:back", 1)
    assert result["calls"] > 0
    assert (tmp_path / "kept" / "low_traffic-train-01" / "host" / "journal.db").exists()


def test_a_pattern_that_no_case_matches_is_said_in_a_line(shop: Path) -> None:
    done = CliRunner().invoke(app, ["bench", "accuracy", "petshop", "--data", str(shop), "--cases", "high*"])
    assert (done.exit_code, done.stderr.count("\n")) == (1, 1)


def test_a_set_that_nobody_knows_is_refused_with_the_known_ones() -> None:
    done = CliRunner().invoke(app, ["bench", "accuracy", "sopshop"])
    assert done.exit_code == 1
    assert "petshop, robots" in done.stderr


def test_every_set_that_can_be_read_is_offered() -> None:
    assert {entry.name for entry in entry_points(group="midwatch.accuracy")} == SETS.keys()


def test_without_the_package_a_set_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("midwatch.cli.bench.entry_points", lambda group: ())
    done = CliRunner().invoke(app, ["bench", "accuracy", "petshop"])
    assert done.exit_code == 1
    assert "pip install midwatch-bench" in done.stderr
