"""What is Tempo's own: counts by TraceQL metrics, tenants and logins, a filter, and the limits that it sets."""

import base64
import re
import time
from collections.abc import Callable

import pytest
from tests.backends.fakes.otlp import Row
from tests.backends.fakes.tempo import FakeTempo
from tests.backends.serving import served

from midwatch_kit import BackendDown, BadInput
from midwatch_traces import answers
from midwatch_traces.backend import Search, TraceBackend

WHOLE = ("2026-11-20T02:44:00Z", "2026-11-20T02:48:00Z")
LAST = ("2026-11-20T02:47:45Z", "2026-11-20T02:48:00Z")
SECOND = 10**9
SECRET = "s3cret-of-the-team"
Connect = Callable[..., TraceBackend]

pytestmark = pytest.mark.xdist_group("trace backends")


def shifted(rows: list[Row], seconds: int) -> list[Row]:
    return [{**row, "Timestamp": row["Timestamp"] + seconds * SECOND} for row in rows]


@pytest.mark.parametrize("metrics", ["instant", "range"])
def test_failed_spans_that_a_sample_missed_are_told_by_the_count_of_all(
    metrics: str, told: list[Row], connect: Connect
) -> None:
    ships = [row for row in told if row["ServiceName"] == "ship"]
    rows = [{**row, "StatusCode": "Error"} if row is ships[3] else row for row in told]
    with served(FakeTempo(rows, metrics=metrics, v2=False).app) as (url, _):
        answer = answers.map_all(connect(tempo_url=url, traces_most=60), *WHOLE)
    assert answer.matched == len(told)
    assert f"of {len(told):,} spans" in (answer.hint or "")
    assert "counts failed spans that the sample has none of: ship (1);" in " ".join(answer.caveats)


def test_without_metrics_a_total_is_a_guess_and_the_check_says_what_to_turn_on(
    told: list[Row], connect: Connect
) -> None:
    with served(FakeTempo(told, metrics="off").app) as (url, _):
        backend = connect(tempo_url=url, traces_most=60)
        assert "of about " in (answers.map_all(backend, *WHOLE).hint or "")
        [metrics] = [check for check in backend.checks() if check.name == "tempo metrics"]
    assert metrics.ok
    assert "are off" in metrics.detail
    assert "local-blocks" in metrics.do


def test_a_trace_that_tempo_finds_and_does_not_give_is_told(told: list[Row], connect: Connect) -> None:
    lost = next(row["TraceId"] for row in reversed(told) if row["ServiceName"] == "web")
    with served(FakeTempo(told, too_large={lost}).app) as (url, _):
        answer = answers.search(connect(tempo_url=url), Search(service="web"), *LAST, 100, None)
    assert lost not in {row["trace_id"] for row in answer.rows}  # type: ignore[index, call-overload]
    assert "1 traces that tempo found are left out" in " ".join(answer.caveats)


def test_a_filter_narrows_every_question(told: list[Row], connect: Connect) -> None:
    with served(FakeTempo(told).app) as (url, _):
        backend = connect(tempo_url=url, tempo_filter='resource.service.instance.id = "pay-1"')
        found = answers.search(backend, Search(errors=True), *LAST, 100, None)
        mapped = answers.map_all(backend, *LAST)
    assert found.query.startswith('{ (resource.service.instance.id = "pay-1") && status = error }')
    assert found.matched
    instances = {entity.id for entity in mapped.fragment.entities if entity.kind == "instance"}  # type: ignore[union-attr]
    assert instances & {"instance:pay-1", "instance:pay-2", "instance:pay-3"} == {"instance:pay-1"}


def test_names_and_values_of_any_kind_are_quoted(told: list[Row], connect: Connect) -> None:
    odd = Search(operation='a "b" (c) ü', attributes={'odd "name" {}': "x\\y\n", "http.status": "500", "ok": "true"})
    with served(FakeTempo(told).app) as (url, _):
        assert answers.search(connect(tempo_url=url), odd, *LAST, 10, None).matched == 0


def test_a_malformed_filter_gets_tempos_own_words_with_the_place(told: list[Row], connect: Connect) -> None:
    with (
        served(FakeTempo(told).app) as (url, _),
        pytest.raises(BadInput, match=r"cannot use this \(400\): invalid TraceQL query: parse error at line 1, col"),
    ):
        answers.search(connect(tempo_url=url, tempo_filter="resource.env ="), Search(), *LAST, 10, None)


def test_a_window_longer_than_tempo_searches_gets_its_own_words(told: list[Row], connect: Connect) -> None:
    with (
        served(FakeTempo(told).app) as (url, _),
        pytest.raises(BadInput, match="exceeds 168h0m0s"),
    ):
        answers.search(connect(tempo_url=url), Search(), "2026-11-01T00:00:00Z", LAST[1], 10, None)


def test_more_traces_at_once_than_can_be_told_apart_are_no_sample(told: list[Row], connect: Connect) -> None:
    many = [{**told[0], "TraceId": f"{number:032x}", "ParentSpanId": ""} for number in range(1, 5_002)]
    with (
        served(FakeTempo(many).app) as (url, _),
        pytest.raises(BadInput, match=r"more than 5,000 traces in 2 seconds.*MIDWATCH_TEMPO_FILTER"),
    ):
        answers.map_all(connect(tempo_url=url), *WHOLE)


def test_a_trace_that_was_found_is_read_from_the_blocks_around_it(told: list[Row], connect: Connect) -> None:
    fake = FakeTempo(told)
    with served(fake.app) as (url, _):
        answers.search(connect(tempo_url=url), Search(errors=True), *LAST, 1, None)
    bounds = [asked for path, asked in fake.asked if path.startswith("/api/v2/traces/")]
    begin = min(row["Timestamp"] for row in told) // SECOND
    assert bounds
    assert all(begin - 1_801 < int(one["start"]) < int(one["end"]) < begin + 240 + 1_803 for one in bounds)


def test_login_and_tenant_reach_tempo_and_no_text(told: list[Row], connect: Connect) -> None:
    login = base64.b64encode(f"team:{SECRET}".encode()).decode()
    fake = FakeTempo(told, headers={"authorization": f"Basic {login}", "x-scope-orgid": "shop"})
    with served(fake.app) as (url, _):
        known = {"tempo_url": url, "tempo_username": "team", "tempo_password": SECRET}
        assert answers.search(connect(**known, tempo_tenant="shop"), Search(), *LAST, 10, None).matched
        with pytest.raises(BackendDown, match=r"refused with 401.*MIDWATCH_TEMPO_TENANT") as caught:
            answers.search(connect(**known), Search(), *LAST, 10, None)
    assert SECRET not in str(caught.value)
    assert login not in str(caught.value)


def test_the_checks_say_what_is_allowed_and_how_fresh_it_is(told: list[Row], connect: Connect) -> None:
    newest = max(row["Timestamp"] for row in told) // SECOND
    with served(FakeTempo(shifted(told, int(time.time()) - newest - 5)).app) as (url, _):
        checks = connect(tempo_url=url).checks()
    assert [check.name for check in checks] == ["tempo", "tempo search", "tempo trace", "tempo metrics", "lag"]
    assert all(check.ok for check in checks)
    assert "version 2.8.2, 4 services in the last hour" in checks[0].detail
    assert "some seconds after" in checks[1].detail
    assert re.search(rf"are on, and count {len(told):,} spans", checks[3].detail)
