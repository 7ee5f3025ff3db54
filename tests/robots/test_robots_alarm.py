import json
from datetime import datetime

from hypothesis import given
from hypothesis import strategies as st

from robots.alarm import (
    RULES,
    Alarms,
    Changed,
    Rule,
    Standing,
    error_share,
    p95,
    refused_share,
    step,
    webhook_payload,
)
from robots.events import emit
from robots.faults import FAULTS
from robots.load import NO_ANSWER, Load, Outcome
from robots.record import Recorder, http_client

ERRORS = RULES[0]


def outcomes(*statuses: int) -> list[Outcome]:
    return [Outcome(100.0 + number / 100, 0.02, status) for number, status in enumerate(statuses)]


def alarms(load: Load, *rules: Rule) -> Alarms:
    def note(text: str) -> None:
        raise AssertionError(text)

    return Alarms(load, rules, Recorder("http://127.0.0.1:9", http_client(), note), "", emit, note)


def test_only_what_the_gateway_failed_counts_as_an_error() -> None:
    assert error_share(outcomes(200, 202, 404, 422, 500, 502, NO_ANSWER, 200)) == 3 / 8


def test_the_tight_alarm_counts_customers_mistakes_too() -> None:
    assert refused_share(outcomes(200, 404, 500, NO_ANSWER)) == 3 / 4


@given(st.lists(st.floats(0, 10), min_size=1, max_size=50))
def test_p95_is_a_latency_that_at_least_95_percent_stay_within(latencies: list[float]) -> None:
    found = p95([Outcome(0.0, seconds, 200) for seconds in latencies])
    assert found in latencies
    assert sum(seconds <= found for seconds in latencies) >= 0.95 * len(latencies)
    assert sum(seconds < found for seconds in latencies) < 0.95 * len(latencies)


@given(st.lists(st.booleans(), max_size=30))
def test_a_state_changes_only_when_two_looks_in_a_row_agree(looks: list[bool]) -> None:
    standing, before = Standing(), None
    for at, above in enumerate(looks):
        after = step(standing, above, float(at))
        if after.firing != standing.firing:
            assert above == before == after.firing
            assert after.since == at
        standing, before = after, above


def test_an_alarm_fires_on_the_second_bad_look_and_resolves_when_the_window_has_slid_past() -> None:
    load = Load("http://127.0.0.1:9", 20.0, seed=1)
    load.outcomes.extend(outcomes(*[200] * 30, *[502] * 10))
    watched = alarms(load, ERRORS)
    assert watched.look(101.0) == []
    (fired,) = watched.look(101.5)
    assert (fired.value, fired.requests, fired.standing.firing) == (0.25, 40, True)
    load.outcomes.extend(Outcome(106.0 + number / 100, 0.02, 200) for number in range(40))
    assert watched.look(107.0) == []
    (resolved,) = watched.look(107.5)
    assert (resolved.value, resolved.standing.firing, resolved.began) == (0.0, False, 101.5)


def test_a_handful_of_requests_says_nothing() -> None:
    load = Load("http://127.0.0.1:9", 20.0, seed=1)
    load.outcomes.extend(outcomes(*[502] * 19))
    watched = alarms(load, ERRORS)
    assert [watched.look(at) for at in (101.0, 101.5, 102.0)] == [[], [], []]


def test_three_refused_requests_fire_the_tight_alarm_and_none_of_the_others() -> None:
    load = Load("http://127.0.0.1:9", 20.0, seed=1)
    load.outcomes.extend(outcomes(*[200] * 97, 404, 404, 404))
    tight, usual = alarms(load, *FAULTS["clean"].rules), alarms(load, *RULES)
    tight.look(102.0)
    assert [changed.rule.name for changed in tight.look(102.5)] == ["GatewayErrorRate"]
    assert [usual.look(102.0), usual.look(102.5)] == [[], []]


def test_the_webhook_gets_one_alert_that_keeps_its_fingerprint_and_start() -> None:
    fired = Changed(ERRORS, Standing(True, 1_700_000_000.0), 0.3, 100, 1_700_000_000.0)
    resolved = Changed(ERRORS, Standing(False, 1_700_000_060.0), 0.0, 100, 1_700_000_000.0)
    first, second = (webhook_payload(changed, "http://127.0.0.1:1") for changed in (fired, resolved))
    assert (first["version"], first["status"], second["status"]) == ("4", "firing", "resolved")
    one, other = (json.loads(json.dumps(payload))["alerts"][0] for payload in (first, second))
    assert one["fingerprint"] == other["fingerprint"]
    assert one["startsAt"] == other["startsAt"] == "2023-11-14T22:13:20.000Z"
    assert one["endsAt"] == "0001-01-01T00:00:00Z"
    assert datetime.fromisoformat(other["endsAt"]) > datetime.fromisoformat(other["startsAt"])
