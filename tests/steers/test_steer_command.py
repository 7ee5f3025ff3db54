"""Steering from a terminal, and from an MCP client: the words, what comes of them, and earlier versions."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from tests.host_mcp.conftest import investigated, noted, refused, serving, told
from tests.steers.conftest import BEGAN, SEEN, settings_of
from typer.testing import CliRunner, Result

from midwatch.cli import app

Run = Callable[..., Result]


@pytest.fixture
def midwatch(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    """Run commands over the application that failed in waves."""
    settings = settings_of(tmp_path)
    for name in ("data_dir", "servers_file", "steering_dir", "gather_seconds", "call_seconds"):
        monkeypatch.setenv(f"MIDWATCH_{name.upper()}", str(getattr(settings, name)))
    monkeypatch.delenv("CI", raising=False)

    def run(*arguments: str) -> Result:
        return CliRunner().invoke(app, list(arguments))

    return run


def test_a_finished_investigation_looks_again_on_a_persons_word_and_keeps_the_earlier_version(
    tmp_path: Path, midwatch: Run
) -> None:
    alert = {"title": "Error rate of gateway", "service": "gateway", "started_at": BEGAN.isoformat()}
    (tmp_path / "alert.json").write_text(json.dumps({**alert, "seen_at": SEEN.isoformat()}))
    assert midwatch("investigate", str(tmp_path / "alert.json")).exit_code == 0
    done = midwatch("steer", "latest", "look only at the latest wave", "--look", "--by", "ann")
    assert (done.exit_code, done.stdout.split("\n")[0][26:]) == (0, ": look only at the latest wave")
    assert "Version 1 → 2, because of ann: look only at the latest wave" in done.stdout
    assert "Root cause: change at service:forge" in midwatch("report").stdout
    first = midwatch("report", "--version", "1")
    assert "Root cause: change at service:bot" in first.stdout
    assert "Version" not in first.stdout
    told = json.loads(midwatch("report", "--version", "1", "--json").stdout)
    assert told["conclusion"]["root_causes"][0]["entity"] == "service:bot"
    missing = midwatch("report", "--version", "3")
    assert (missing.exit_code, "no version 3: the latest is 2" in missing.stderr) == (1, True)
    vague = midwatch("steer", "latest", "please hurry")
    assert (vague.exit_code, "look only at the latest wave" in vague.stderr) == (1, True)
    later = midwatch("steer", "latest", "--window", "first")
    assert "`midwatch up` looks again" in later.stdout


async def test_an_mcp_client_steers_by_words_or_by_a_window(tmp_path: Path) -> None:
    async with serving(tmp_path) as client:
        incident = await investigated(client)
        said = await refused(client, "steer_investigation", incident=incident, words="please hurry")
        assert "look only at the latest wave" in said
        reply = await told(client, "steer_investigation", incident=incident, words="leave out schedule")
        assert reply["lines"][0] == "Understood: leave out service:schedule"
        await told(client, "continue_investigation", incident=incident, wait=True)
        since = await told(client, "steer_investigation", incident=incident, words="later", window="02:47/02:48")
        assert since["lines"][0] == "Understood: look at 2026-11-20T02:47:00Z to 2026-11-20T02:48:00Z"
        await told(client, "continue_investigation", incident=incident, wait=True)
        effects = [steer["effect"] for steer in await noted(client, incident, "steer") if steer["effect"]]
    assert effects[0] == "observations left out: 2"
    assert effects[1].startswith("window 02:47:00 to 02:48:00 instead of ")
