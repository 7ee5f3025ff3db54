"""Whatever is sent, in whatever shape: alerts or a clear refusal of each function, and never a 5xx of the routes.

Each check tries a few dozen examples; `MIDWATCH_TEST_EXAMPLES=10000 pytest --timeout=0` tries more.
"""

import copy
import json
import os
import re
from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Any, TypeVar

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.intake.bodies import NOW
from tests.intake.conftest import Receiver, asking
from tests.intake.examples import EXAMPLES
from tests.intake.test_intake_plain_forms import ALERTMANAGER, PLAIN

from midwatch.errors import BadAlert
from midwatch.intake import SOURCES, from_sentence
from midwatch.intake.strict_json import parsed
from midwatch.intake.verify import Refused, Sent, Way
from midwatch.records import Alert
from midwatch.settings.intake import IntakeSettings, SourceSettings

PLAIN_FORMS = {"alertmanager": ALERTMANAGER, "generic": PLAIN}
EACH = int(os.environ.get("MIDWATCH_TEST_EXAMPLES", "30"))
ANY_TEXT = st.text(st.characters(), max_size=12) | st.sampled_from(
    ["\ud800", "\x00", "1e999", "0001-01-01T00:00:00Z", "9999-12-31T23:59:59-12:00", "2026-11-20T02:48:00Z", "-1", "."]
)
ANY_NUMBER = st.integers() | st.floats() | st.sampled_from([10**300, -(2**63), 2**64, 1e308, 1795142880000])
ANY_JSON = st.recursive(
    st.none() | st.booleans() | ANY_NUMBER | ANY_TEXT,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(ANY_TEXT, inner, max_size=3),
    max_leaves=8,
)
HEADERS = st.dictionaries(
    st.sampled_from(["sentry-hook-resource", "x-github-event", "authorization"]),
    st.sampled_from(["event_alert", "metric_alert", "issue", "deployment_status", "workflow_run", "ping", ""]),
)


ResultT = TypeVar("ResultT")
NAMES = [
    *("authorization", "content-type", "content-encoding", "content-length", "transfer-encoding"),
    *("x-pagerduty-signature", "x-hub-signature-256", "x-checkly-signature", "x-midwatch-token"),
    *("sentry-hook-signature", "sentry-hook-resource", "x-github-event", "x-amz-sns-message-type"),
    *("x-amzn-event-signature", "x-amzn-event-timestamp", "x-midwatch-signature", "x-midwatch-timestamp"),
    *("x-grafana-alerting-signature", "x-grafana-alerting-signature-timestamp"),
]
VALUES = [b"Bearer x", b"Basic ///", b"gzip", b"v1=00", b"sha256=", b"1795142880", b"application/json"]


def places(body: Any, way: tuple[str | int, ...] = ()) -> Iterator[tuple[str | int, ...]]:
    """Return the ways to all values in a body, at any depth."""
    inner = body.items() if isinstance(body, dict) else enumerate(body) if isinstance(body, list) else ()
    for key, value in inner:
        yield (*way, key)
        yield from places(value, (*way, key))


@st.composite
def mutated(draw: st.DrawFn, bodies: list[dict[str, Any]]) -> Any:
    """Return a body of which up to three values were taken away, renamed or replaced by anything."""
    body: Any = copy.deepcopy(draw(st.sampled_from(bodies)))
    for _ in range(draw(st.integers(1, 3))):
        known = list(places(body))
        if not known:
            break
        *way, last = draw(st.sampled_from(known))
        place = body
        for step in way:
            place = place[step]
        if draw(st.integers(0, 5)) == 0:
            del place[last]
        else:
            place[last] = draw(ANY_JSON)
    if isinstance(body.get("Message"), str) and draw(st.booleans()):
        body["Message"] = json.dumps(draw(ANY_JSON))
    return body


def attempt(call: Callable[[], ResultT]) -> ResultT | BadAlert | Refused:
    """Return what a call returns, or the refusal that it raises."""
    try:
        return call()
    except (BadAlert, Refused) as refusal:
        return refusal


def taken(source: str, body: Any, headers: dict[str, str], chosen: SourceSettings) -> list[Alert] | str:
    """Return the alerts of a body, or what was said in refusing it."""
    try:
        return SOURCES[source].alerts(body, chosen, headers, NOW)
    except BadAlert as error:
        return str(error)


def of(source: str) -> list[dict[str, Any]]:
    return [example.body for example in EXAMPLES if example.source == source] or [PLAIN_FORMS[source]]


BY_LABEL, BY_DEFAULT = SourceSettings(service_labels=("a", "b")), SourceSettings(service="shop")
SETTINGS = st.sampled_from([SourceSettings(), BY_LABEL, BY_DEFAULT])


@pytest.mark.parametrize("source", sorted(SOURCES))
def test_whatever_a_source_sends_is_alerts_or_a_refusal_that_names_a_field(source: str) -> None:
    @given(ANY_JSON | mutated(of(source)), HEADERS, SETTINGS)
    @settings(max_examples=EACH, deadline=None)
    def check(body: Any, headers: dict[str, str], chosen: SourceSettings) -> None:
        alerts = taken(source, body, headers, chosen)
        if isinstance(alerts, str):
            assert re.match(r".+: .", alerts, re.DOTALL)
            assert len(alerts.encode()) < 10_000
            return
        for alert in alerts:
            assert alert == Alert.model_validate_json(alert.model_dump_json())
            assert alert.service
            assert all(link.startswith(("http://", "https://")) for link in alert.links)

    check()


@given(st.binary(max_size=60) | ANY_JSON.map(lambda value: json.dumps(value).encode()))
@settings(max_examples=EACH, deadline=None)
def test_bytes_are_json_that_can_be_written_again_or_a_refusal(body: bytes) -> None:
    value = attempt(lambda: parsed(body))
    if isinstance(value, BadAlert | Refused):
        assert str(value).startswith("the body is not JSON")
    else:
        assert json.loads(json.dumps(value, allow_nan=False)) == value


WORDS = st.lists(st.sampled_from(["gateway", "since", "02:40", "-15m", "now", "Gateway,", "9999999999"]) | ANY_TEXT)


@given(WORDS.map(" ".join), st.lists(st.sampled_from(["gateway", "pay+ment"]) | ANY_TEXT, max_size=3))
@settings(max_examples=EACH, deadline=None)
def test_a_sentence_is_an_alert_of_a_service_that_it_names_or_a_refusal(text: str, services: list[str]) -> None:
    alert = attempt(lambda: from_sentence(text, services, NOW))
    if isinstance(alert, BadAlert | Refused):
        assert str(alert)
    else:
        assert alert.service
        assert alert.started_at <= NOW + timedelta(days=1)


@pytest.mark.parametrize("way", sorted({way for source in SOURCES.values() for way in source.ways}, key=str))
def test_whatever_headers_say_only_a_secret_proves_anything(way: Way) -> None:
    name = next(each for each in NAMES if each in str(way.__doc__).casefold())
    time = st.sampled_from(["x-amzn-event-timestamp", "x-midwatch-timestamp", "x-grafana-alerting-signature-timestamp"])
    said = st.text(max_size=20) | st.sampled_from(VALUES).map(bytes.decode)

    @given(st.binary(max_size=20), said, time, said, st.lists(st.binary(min_size=16, max_size=20), max_size=2))
    @settings(max_examples=EACH, deadline=None)
    def check(body: bytes, value: str, stamp: str, moment: str, secrets: list[bytes]) -> None:
        proof = attempt(lambda: way(Sent({name: value, stamp: moment}, body, NOW), secrets))
        assert proof is None or (isinstance(proof, Refused) and proof.status in (400, 401, 403))

    check()


ANY_BODY = st.one_of(
    st.binary(max_size=200),
    ANY_JSON.map(lambda value: json.dumps(value).encode()),
    mutated([example.body for example in EXAMPLES]).map(lambda value: json.dumps(value).encode()),
)
ANY_HEADERS = st.lists(
    st.tuples(
        st.sampled_from(NAMES).map(str.encode),
        st.binary(max_size=12) | st.sampled_from(VALUES),
    ),
    max_size=4,
)
SECRETS = IntakeSettings.model_validate(
    {name.replace("-", "_"): {"secrets": ["a-secret-of-it"]} for name in SOURCES if name != "cloudwatch"}
    | {"cloudwatch": {"topics": ["arn:aws:sns:eu-west-1:123456789012:alarms"]}}
)


@given(
    st.sampled_from([*(f"/v1/alerts/{name}" for name in SOURCES), "/alerts", "/v1/alerts/%ff%f0"]),
    ANY_BODY,
    ANY_HEADERS,
    st.sampled_from([SECRETS, IntakeSettings(unsigned=True)]),
)
@settings(max_examples=5 * EACH, deadline=None)
async def test_no_body_and_no_header_makes_a_5xx(
    path: str, body: bytes, headers: list[tuple[bytes, bytes]], chosen: IntakeSettings
) -> None:
    async def amazon(url: str) -> bytes:
        return url.encode()

    async with asking(Receiver(), chosen, loopback=False, fetch=amazon) as client:
        answer = await client.post(path, content=body, headers=headers)
    assert answer.status_code < 500
    assert isinstance(answer.json(), dict)
