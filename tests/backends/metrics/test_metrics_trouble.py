"""A Prometheus that throttles, stalls, breaks off, refuses or is none: a clear answer, within the deadline."""

import time
from pathlib import Path
from typing import Any

import pytest
from tests.backends.metrics.asking import asked, refused
from tests.backends.metrics.conftest import Connect
from tests.backends.metrics.unwell import Unwell, seconds, serving

from midwatch_kit import http
from midwatch_metrics.backends.prometheus import open_prometheus
from midwatch_metrics.settings import MetricsSettings

SECRET = "s3cret-t0ken"
ERROR = b'{"status": "error", "errorType": "bad_data", "error": "1:5: parse error: unexpected end of input"}'


@pytest.mark.parametrize(
    ("unwell", "code", "words"),
    [
        (Unwell(status=500, body=b"<html>panic</html>"), "backend_down", "failed (500 panic)"),
        (Unwell(status=401, body=b"no"), "backend_down", "see MIDWATCH_PROMETHEUS_TOKEN"),
        (Unwell(status=403, body=b"no", path="series"), "backend_down", "refuses api/v1/series"),
        (Unwell(status=404, body=b"not here"), "backend_down", "MIDWATCH_PROMETHEUS_URL is what comes before /api/v1"),
        (Unwell(status=302, headers={"location": "https://login"}), "backend_down", "failed (302"),
        (
            Unwell(body=b"<html>log in</html>", headers={"content-type": "text/html"}),
            "backend_down",
            "answers text/html",
        ),
        (Unwell(body=b'{"status": "success", "da'), "backend_down", "not as Prometheus does"),
        (Unwell(body=b'{"status": "succ', cut=True), "backend_down", "broke off in the middle"),
        (Unwell(status=400, body=ERROR), "bad_input", "1:5: parse error: unexpected end of input"),
        (
            Unwell(status=422, body=ERROR.replace(b"1:5: parse error", b"too many samples")),
            "bad_input",
            "too many samples",
        ),
        (Unwell(status=503, body=b"overloaded"), "backend_down", "cannot answer now (503 overloaded)"),
    ],
    ids=lambda value: value.status if isinstance(value, Unwell) else "",
)
async def test_what_is_wrong_is_said_without_a_secret(unwell: Unwell, code: str, words: str, connect: Connect) -> None:
    with serving(unwell):
        settings: dict[str, Any] = {
            "prometheus_url": unwell.url.replace("//", f"//me:{SECRET}@"),
            "prometheus_token": SECRET,
        }
        async with connect(**settings, deadline_seconds=6) as client:
            told = await refused(client, "survey_metrics")
            checked = await asked(client, "check_metrics")
    assert told[0] == code
    assert words in told[1]
    assert SECRET not in told[1] + checked


async def test_a_throttled_question_is_asked_again_after_the_pause_asked_for(connect: Connect) -> None:
    with serving(Unwell(status=429, headers={"retry-after": "0.3"}, body=b"slow down", times=2)) as unwell:
        async with connect(prometheus_url=unwell.url, deadline_seconds=40) as client:
            began = time.monotonic()
            assert "matched=0" in await asked(client, "survey_metrics")
    assert seconds(began) >= 0.6
    assert unwell.asked[0] == unwell.asked[1] == unwell.asked[2]


async def test_a_pause_beyond_the_deadline_is_not_waited_for(connect: Connect) -> None:
    with serving(Unwell(status=429, headers={"retry-after": "3600"}, body=b"slow down")) as unwell:
        async with connect(prometheus_url=unwell.url) as client:
            began = time.monotonic()
            assert "cannot answer now (429 slow down)" in (await refused(client, "survey_metrics"))[1]
    assert seconds(began) < 10
    assert len(unwell.asked) == 1


async def test_a_stall_ends_at_the_deadline(connect: Connect) -> None:
    with serving(Unwell(stall=30)) as unwell:
        async with connect(prometheus_url=unwell.url, deadline_seconds=1) as client:
            began = time.monotonic()
            assert "did not answer within 0.5 s" in (await refused(client, "survey_metrics"))[1]
    assert seconds(began) < 10


async def test_more_than_may_be_read_is_not_read(connect: Connect, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(http, "MOST_BYTES", 2**20)
    with serving(Unwell(body=b'{"status": "success", "data": [' + b" " * 2**21 + b"]}", path="series")) as unwell:
        async with connect(prometheus_url=unwell.url) as client:
            code, words = await refused(client, "survey_metrics")
    assert (code, "more than 1 MiB" in words, "name a service" in words) == ("bad_input", True, True)


async def test_nobody_there_is_told_with_the_address(connect: Connect) -> None:
    async with connect(prometheus_url="http://127.0.0.1:1", deadline_seconds=2) as client:
        assert "cannot reach http://127.0.0.1:1" in (await refused(client, "list_metrics"))[1]
        assert "FAIL prometheus: cannot reach" in await asked(client, "check_metrics")


async def test_one_backend_that_is_down_leaves_the_others_answers_and_is_named(
    connect: Connect, tmp_path: Path
) -> None:
    with serving(Unwell(times=0)) as well:
        async with connect(prometheus_url=well.url, store=tmp_path / "none") as client:
            surveyed = await asked(client, "survey_metrics")
    assert "prometheus: " in surveyed
    assert "store: NO ANSWER, " in surveyed


def test_without_a_place_the_settings_that_name_one_are_listed() -> None:
    with pytest.raises(ValueError, match="set one of MIDWATCH_STORE, MIDWATCH_PROMETHEUS_URL, MIDWATCH_GRAFANA_URL"):
        MetricsSettings()


def test_a_secret_may_be_in_a_file_and_goes_with_each_question_as_does_the_tenant(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "token").write_text(f"{SECRET}\n")
    monkeypatch.setenv("MIDWATCH_PROMETHEUS_TOKEN_FILE", str(tmp_path / "token"))
    with serving(Unwell(times=0)) as well:
        open_prometheus(MetricsSettings(prometheus_url=well.url, prometheus_tenant="shop")).sources()
    sent = {name.lower(): value for name, value in well.seen[0].items()}
    assert (sent["authorization"], sent["x-scope-orgid"]) == (f"Bearer {SECRET}", "shop")
