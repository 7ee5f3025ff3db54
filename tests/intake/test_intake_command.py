"""`midwatch alert test`: what a body would become, before anybody is told to send it."""

import json
from pathlib import Path

import pytest
from tests.intake.bodies import DEVOPS_AGENT, GITHUB_DEPLOYMENT
from typer.testing import CliRunner, Result

from midwatch.cli import app


def ask(*arguments: str, body: object = None, env: dict[str, str] | None = None) -> Result:
    given = body if isinstance(body, str) else json.dumps(body)
    return CliRunner().invoke(app, ["alert", "test", *arguments], input=given, env=env)


def test_it_shows_the_alert_that_a_body_becomes() -> None:
    (alert,) = json.loads(ask("devops-agent", body=DEVOPS_AGENT).output)
    assert (alert["service"], alert["severity"], alert["started_at"]) == ("orders", "high", "2026-11-20T02:48:00Z")


def test_it_reads_a_file_and_takes_headers_and_settings_into_account(tmp_path: Path) -> None:
    (tmp_path / "body.json").write_text(json.dumps(GITHUB_DEPLOYMENT))
    event = "X-GitHub-Event: deployment_status"
    env = {"MIDWATCH_INTAKE__GITHUB__SERVICE_LABELS": '["environment"]'}
    (alert,) = json.loads(ask("github", str(tmp_path / "body.json"), "--header", event, env=env).output)
    assert alert["service"] == "production"
    assert json.loads(ask("github", str(tmp_path / "body.json"), "--header", "X-GitHub-Event: push").output) == []


def test_it_leaves_nothing_behind(tmp_path: Path) -> None:
    ask("devops-agent", body=DEVOPS_AGENT, env={"MIDWATCH_DATA_DIR": str(tmp_path / "data")})
    assert not (tmp_path / "data").exists()


@pytest.mark.parametrize(
    ("arguments", "body", "said"),
    [
        (["nagios"], {}, "there is no source 'nagios'; there are: alertmanager, "),
        (["generic"], {}, "title: it is missing"),
        (["generic"], "{", "the body is not JSON"),
        (["generic", "no-such-file"], {}, "cannot read no-such-file: No such file or directory"),
    ],
)
def test_what_cannot_be_used_is_told_in_a_line(arguments: list[str], body: object, said: str) -> None:
    done = ask(*arguments, body=body)
    assert done.exit_code == 1
    assert said in done.output
