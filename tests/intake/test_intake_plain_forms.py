"""Intake: whatever comes in becomes alerts, or an error that names the field."""

import copy
import json
import re
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import JsonValue

from midwatch.errors import BadAlert
from midwatch.intake import alerts_from, from_sentence
from midwatch.records import Alert, Severity

NOW = datetime(2026, 11, 20, 2, 48, tzinfo=UTC)
SERVICES = ["action", "bot", "forge", "forge-cache", "gateway"]
ALERTMANAGER: dict[str, Any] = {
    "version": "4",
    "groupKey": '{}:{alertname="HighErrorRate"}',
    "truncatedAlerts": 0,
    "status": "firing",
    "receiver": "midwatch",
    "groupLabels": {"alertname": "HighErrorRate"},
    "commonLabels": {"alertname": "HighErrorRate", "severity": "page"},
    "commonAnnotations": {},
    "externalURL": "http://alertmanager.example",
    "alerts": [
        {
            "status": "firing",
            "labels": {"alertname": "HighErrorRate", "service": "gateway", "severity": "warning"},
            "annotations": {"summary": "Error rate of gateway", "description": "8.7% of requests fail"},
            "startsAt": "2026-11-20T02:47:03.001+01:00",
            "endsAt": "0001-01-01T00:00:00Z",
            "generatorURL": "http://prometheus.example/graph",
            "fingerprint": "a1b2c3",
        },
        {
            "status": "resolved",
            "labels": {"service_name": "forge"},
            "startsAt": "2026-11-20T02:40:00Z",
        },
    ],
}
PLAIN: dict[str, Any] = {"title": "gateway fails", "service": "gateway", "started_at": "2026-11-20T02:47:03Z"}


def changed(body: dict[str, Any], path: str, value: object) -> dict[str, Any]:
    """Return a copy of a body with another value (or none, for `...`) at a dotted path."""
    copied = copy.deepcopy(body)
    *way, last = [int(part) if part.isdecimal() else part for part in path.split(".")]
    place: Any = copied
    for part in way:
        place = place[part]
    place[last] = value
    if value is ...:
        del place[last]
    return copied


def take(body: JsonValue) -> list[Alert] | str:
    """Return the alerts of a body, or what was said in refusing it."""
    try:
        return alerts_from(body)
    except BadAlert as error:
        return str(error)


def test_an_alertmanager_body_becomes_one_alert_for_each_of_its_alerts() -> None:
    first, second = alerts_from(ALERTMANAGER)
    assert (first.source, first.action, first.title) == ("alertmanager", "created", "Error rate of gateway")
    assert (first.service, first.severity, first.external_id) == ("gateway", Severity.MEDIUM, "a1b2c3")
    assert first.started_at == datetime(2026, 11, 20, 1, 47, 3, 1000, UTC)
    assert (first.description, first.links) == ("8.7% of requests fail", ("http://prometheus.example/graph",))
    assert first.raw == {**ALERTMANAGER, "alerts": ALERTMANAGER["alerts"][:1]}
    assert (second.action, second.service, second.severity) == ("resolved", "forge", Severity.CRITICAL)
    assert second.title == "HighErrorRate"


def test_the_same_alert_sent_again_has_the_same_id_and_another_start_another() -> None:
    resolved = changed(ALERTMANAGER, "alerts.0.status", "resolved")
    later = changed(ALERTMANAGER, "alerts.0.startsAt", "2026-11-20T02:59:00Z")
    ids = [alerts_from(body)[0].id for body in (ALERTMANAGER, resolved, later)]
    assert ids[0] == ids[1] != ids[2]


@pytest.mark.parametrize(
    ("labels", "named"),
    [
        ({"runbook": "checkout"}, "checkout"),
        ({"runbook_url": "https://wiki.example.com/checkout"}, "https://wiki.example.com/checkout"),
        ({}, ""),
    ],
)
def test_an_alert_may_name_a_runbook(labels: dict[str, str], named: str) -> None:
    body: JsonValue = {"title": "errors", "service": "web", "started_at": "2026-11-20T02:48:00Z", "labels": {**labels}}
    assert alerts_from(body)[0].runbook == named


def test_a_plain_body_becomes_an_alert_and_a_time_without_an_offset_is_utc() -> None:
    (alert,) = alerts_from({**PLAIN, "started_at": "2026-11-20T02:47:03", "severity": "Critical", "labels": {"a": "b"}})
    assert alert.started_at == datetime(2026, 11, 20, 2, 47, 3, tzinfo=UTC)
    assert (alert.source, alert.severity, alert.labels) == ("generic", Severity.CRITICAL, {"a": "b"})


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({}, "title: it is missing; service: it is missing; started_at: it is missing"),
        ([], "body: "),
        ("gateway fails", "body: "),
        (None, "body: "),
        (changed(PLAIN, "service", ""), "service: "),
        (changed(PLAIN, "title", "t" * 401), "title: "),
        (changed(PLAIN, "started_at", "yesterday"), "started_at: "),
        (changed(PLAIN, "started_at", "0001-01-01T00:00:00Z"), "started_at: "),
        (changed(PLAIN, "started_at", "9999-12-31T23:59:59-12:00"), "started_at: "),
        (changed(PLAIN, "priority", 1), "priority: "),
        (changed(PLAIN, "labels", {"a": 1}), "labels.a: "),
        (changed(ALERTMANAGER, "version", "3"), "version: "),
        (changed(ALERTMANAGER, "alerts", []), "alerts: "),
        (changed(ALERTMANAGER, "alerts.1.startsAt", ...), "alerts.1.startsAt: it is missing"),
        (changed(ALERTMANAGER, "alerts.1.startsAt", "2999-01-01T00:00:00Z"), "alerts.1.startsAt: "),
        (changed(ALERTMANAGER, "alerts.0.status", "on fire"), "alerts.0.status: "),
        (changed(ALERTMANAGER, "truncatedAlerts", 3), "truncatedAlerts: the sender left 3 alerts out"),
        (changed(ALERTMANAGER, "alerts", [{}] * 10_001), "alerts: "),
    ],
)
def test_a_body_that_cannot_be_used_is_refused_by_the_name_of_the_field(body: JsonValue, field: str) -> None:
    with pytest.raises(BadAlert) as caught:
        alerts_from(body)
    assert field in str(caught.value)


def test_a_body_with_a_thousand_faults_is_refused_in_a_few_words() -> None:
    with pytest.raises(BadAlert) as caught:
        alerts_from(changed(ALERTMANAGER, "alerts", [{}] * 1000))
    assert len(str(caught.value)) < 1000
    assert "and 2995 more" in str(caught.value)


def test_long_texts_of_alertmanager_are_cut_to_what_an_alert_holds() -> None:
    body = changed(ALERTMANAGER, "alerts.0.annotations", {"summary": "s" * 10_000, "description": "d" * 100_000})
    alert = alerts_from(body)[0]
    assert (len(alert.title), len(alert.description)) == (400, 10_000)


ANY_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(st.characters(), max_size=10),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=10), inner, max_size=3),
    max_leaves=10,
)
TIMES = st.datetimes(timezones=st.just(UTC) | st.just(timezone(timedelta(hours=14))) | st.none()).map(str)
PLACES = [
    "version",
    "alerts",
    "alerts.0",
    "alerts.0.labels",
    "alerts.0.labels.service",
    "alerts.0.startsAt",
    "receiver",
]


@given(st.sampled_from(PLACES), ANY_JSON | TIMES | st.just("\ud800"))
@settings(max_examples=150, deadline=None)
def test_no_value_anywhere_in_a_body_makes_anything_but_alerts_or_a_clear_refusal(place: str, value: JsonValue) -> None:
    for body in (value, changed(ALERTMANAGER, place, value)):
        if isinstance(taken := take(body), str):
            assert re.match(r".+: .", taken, re.DOTALL)
            continue
        assert all(alert == Alert.model_validate(alert.model_dump()) for alert in taken)
        assert all(alert.started_at.tzinfo is UTC for alert in taken)


@given(
    st.sampled_from(["title", "service", "started_at", "description", "severity", "labels", "links"]), ANY_JSON | TIMES
)
@settings(max_examples=100, deadline=None)
def test_no_value_in_a_plain_body_makes_anything_but_an_alert_or_a_refusal_of_that_field(
    field: str, value: JsonValue
) -> None:
    taken = take({**PLAIN, field: value})
    assert field in taken if isinstance(taken, str) else json.dumps(taken[0].model_dump(mode="json"))


@pytest.mark.parametrize(
    ("sentence", "service", "minutes"),
    [
        ("Requests to the gateway fail since 2026-11-20T02:40:00Z.", "gateway", 8),
        ("Forge is slow since -5m, I think", "forge", 5),
        ("something is wrong with forge-cache", "forge-cache", 0),
        ("It's bot, not gateway!", "bot", 0),
        ("errors in forge.", "forge", 0),
    ],
)
def test_a_sentence_names_the_service_and_perhaps_the_time(sentence: str, service: str, minutes: int) -> None:
    alert = from_sentence(sentence, SERVICES, NOW)
    assert (alert.service, NOW - alert.started_at) == (service, timedelta(minutes=minutes))
    assert alert.title == sentence


@pytest.mark.parametrize(
    ("sentence", "said"),
    [
        ("everything is down", "known are: action, bot, forge, forge-cache, gateway"),
        ("the forgery department", "known are:"),
        ("", "known are:"),
        ("gateway fails since lunch", "cannot read the time 'lunch'"),
        ("gateway fails since 0001-01-01", "is no time from the year 2000"),
    ],
)
def test_a_sentence_that_names_no_known_service_or_no_time_is_refused_with_what_would_do(
    sentence: str, said: str
) -> None:
    with pytest.raises(BadAlert) as caught:
        from_sentence(sentence, SERVICES, NOW)
    assert said in str(caught.value)


def test_where_no_service_is_known_a_sentence_is_refused_in_words() -> None:
    with pytest.raises(BadAlert, match="no server knows any service yet, see midwatch doctor"):
        from_sentence("gateway fails", [], NOW)


@given(st.text())
@settings(max_examples=60, deadline=None)
def test_no_sentence_makes_anything_but_an_alert_or_a_refusal(text: str) -> None:
    try:
        alert = from_sentence(f"{text} gateway since {text}", SERVICES, NOW)
    except BadAlert:
        return
    assert alert.service in SERVICES
