"""Whatever is sent, in whatever shape: alerts or a clear refusal of each function, and never a 5xx of the routes."""

import copy
import json
import re
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.intake.bodies import NOW
from tests.intake.conftest import Receiver, asking
from tests.intake.examples import EXAMPLES

from midwatch.errors import BadAlert
from midwatch.intake import SOURCES
from midwatch.records import Alert
from midwatch.settings.intake import IntakeSettings, SourceSettings

EACH = 30
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


def taken(source: str, body: Any, headers: dict[str, str], chosen: SourceSettings) -> list[Alert] | str:
    """Return the alerts of a body, or what was said in refusing it."""
    try:
        return SOURCES[source].alerts(body, chosen, headers, NOW)
    except BadAlert as error:
        return str(error)


def of(source: str) -> list[dict[str, Any]]:
    return [example.body for example in EXAMPLES if example.source == source]


BY_LABEL, BY_DEFAULT = SourceSettings(service_labels=("a", "b")), SourceSettings(service="shop")
SETTINGS = st.sampled_from([SourceSettings(), BY_LABEL, BY_DEFAULT])


@pytest.mark.parametrize("source", sorted({example.source for example in EXAMPLES}))
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


ANY_BODY = st.one_of(
    st.binary(max_size=200),
    ANY_JSON.map(lambda value: json.dumps(value).encode()),
    mutated([example.body for example in EXAMPLES]).map(lambda value: json.dumps(value).encode()),
)
NAMES = [
    *("authorization", "content-type", "content-encoding", "content-length", "transfer-encoding"),
    *("x-pagerduty-signature", "x-hub-signature-256", "x-checkly-signature", "x-midwatch-token"),
    *("sentry-hook-signature", "sentry-hook-resource", "x-github-event", "x-amz-sns-message-type"),
    *("x-amzn-event-signature", "x-amzn-event-timestamp", "x-midwatch-signature", "x-midwatch-timestamp"),
    *("x-grafana-alerting-signature", "x-grafana-alerting-signature-timestamp"),
]
VALUES = [b"Bearer x", b"Basic ///", b"gzip", b"v1=00", b"sha256=", b"1795142880", b"application/json"]
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
@settings(max_examples=150, deadline=None)
async def test_no_body_and_no_header_makes_a_5xx(
    path: str, body: bytes, headers: list[tuple[bytes, bytes]], chosen: IntakeSettings
) -> None:
    async def amazon(url: str) -> bytes:
        return url.encode()

    async with asking(Receiver(), chosen, loopback=False, fetch=amazon) as client:
        answer = await client.post(path, content=body, headers=headers)
    assert answer.status_code < 500
    assert isinstance(answer.json(), dict)
