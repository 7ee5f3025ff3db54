"""Signatures: right ones, wrong ones, of two secrets at once, and too old. The right ones here were made by openssl."""

import base64
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta

import pytest
from pydantic import ValidationError

from midwatch.intake import SOURCES
from midwatch.intake.verify import Proof, Refused, Repeats, Sent, verified
from midwatch.settings.intake import IntakeSettings, SourceSettings

BODY = b'{"a": 1}'
NOW = datetime(2026, 11, 20, 3, 0, tzinfo=UTC)
AT = "1795143600"
ISO = "2026-11-20T03:00:00.000Z"
FIRST, SECOND = b"first-secret", b"second-secret"
BARE = {
    FIRST: "b0652d4a7947649cfff6f52ee9b156995a07fa3afca0579438c1a3d6653cf83e",
    SECOND: "37e7308a202db29dd18f8687ca6376793d42c7f65a38c6225dacca4e5b4b32b2",
}
TIMED = "44d0477032db74196cc26337ab605d1d9e29f230d19cf97476c9ac03259c952d"  # 1795143600:{"a": 1}
SLACK_LIKE = "8d20404b7c1c88beff8c02ccae58be76bb0747b772c1ab49da0b0a48aae8d7e2"  # v0:1795143600:{"a": 1}
AGENT = "BmvoTCVBd/Bgal1A3MP8lwm1lwzIQnJCpJkMPIY2z40="  # 2026-11-20T03:00:00.000Z:{"a": 1}, in base64
WINDOW = timedelta(minutes=5)
GRAFANA = "x-grafana-alerting-signature"


def proof(
    source: str, headers: Mapping[str, str], *secrets: bytes, body: bytes = BODY, now: datetime = NOW
) -> Proof | Refused:
    """Return how a request is proven, or why it was refused."""
    try:
        return verified(Sent(headers, body, now), secrets or (FIRST,), SOURCES[source].ways, WINDOW)
    except Refused as error:
        return error


def basic(password: str) -> str:
    return "Basic " + base64.b64encode(f"anybody:{password}".encode()).decode()


GOOD = [
    ("pagerduty", {"x-pagerduty-signature": f"v1={BARE[FIRST]}"}),
    ("pagerduty", {"x-pagerduty-signature": f"v1={BARE[SECOND]}, v1={BARE[FIRST]}"}),
    ("github", {"x-hub-signature-256": f"sha256={BARE[FIRST]}"}),
    ("sentry", {"sentry-hook-signature": BARE[FIRST]}),
    ("synthetic", {"x-checkly-signature": BARE[FIRST]}),
    ("grafana", {GRAFANA: BARE[FIRST]}),
    ("grafana", {GRAFANA: TIMED, f"{GRAFANA}-timestamp": AT}),
    ("grafana", {GRAFANA: TIMED, "x-grafana-alerting-timestamp": AT}),
    ("devops-agent", {"x-amzn-event-signature": AGENT, "x-amzn-event-timestamp": ISO}),
    ("devops-agent", {"authorization": "Bearer first-secret", "x-amzn-event-timestamp": ISO}),
    ("generic", {"x-midwatch-signature": f"v0={SLACK_LIKE}", "x-midwatch-timestamp": AT}),
    ("newrelic", {"authorization": "bearer first-secret"}),
    ("datadog", {"x-midwatch-token": "first-secret"}),
    ("eventbridge", {"authorization": basic("first-secret")}),
]


@pytest.mark.parametrize(("source", "headers"), GOOD)
def test_what_one_of_the_secrets_signed_is_proven(source: str, headers: dict[str, str]) -> None:
    assert isinstance(proof(source, headers), Proof)
    assert isinstance(proof(source, headers, SECOND, FIRST), Proof)  # while secrets are rotated, either of them will do


@pytest.mark.parametrize(("source", "headers"), GOOD)
def test_what_another_secret_signed_is_refused_and_the_header_is_named(source: str, headers: dict[str, str]) -> None:
    refused = proof(source, headers, b"no-such-secret")
    assert isinstance(refused, Refused)
    assert refused.status == 401
    assert refused.header.lower() in headers


SIGNED = [(source, headers) for source, headers in GOOD if not headers.keys() & {"authorization", "x-midwatch-token"}]


@pytest.mark.parametrize(("source", "headers"), SIGNED)
def test_a_body_that_was_changed_on_its_way_is_refused(source: str, headers: dict[str, str]) -> None:
    refused = proof(source, headers, body=BODY + b" ")
    assert isinstance(refused, Refused)
    assert "the signature fits none of the secrets" in str(refused)


TIMES = [(source, headers) for source, headers in SIGNED if any("timestamp" in name for name in headers)]


@pytest.mark.parametrize(("source", "headers"), TIMES)
@pytest.mark.parametrize("minutes", [-6, 6])
def test_a_signature_from_too_long_ago_or_from_the_future_is_refused(
    source: str, headers: dict[str, str], minutes: int
) -> None:
    refused = proof(source, headers, now=NOW + timedelta(minutes=minutes))
    assert isinstance(refused, Refused)
    assert (refused.status, "too old" in str(refused)) == (403, minutes > 0)


@pytest.mark.parametrize(("source", "headers"), TIMES)
def test_a_time_that_was_changed_on_its_way_is_refused(source: str, headers: dict[str, str]) -> None:
    later = {name: "1795143601" if "timestamp" in name else value for name, value in headers.items()}
    refused = proof(source, later)
    assert isinstance(refused, Refused)
    assert refused.status == 401


@pytest.mark.parametrize(
    ("source", "headers", "status", "said"),
    [
        ("pagerduty", {}, 401, "send one of: X-PagerDuty-Signature: v1=HEX,v1=HEX"),
        ("devops-agent", {}, 401, "x-amzn-event-signature: BASE64, Authorization: Bearer SECRET, Authorization: Basic"),
        ("pagerduty", {"x-pagerduty-signature": "v2=00"}, 400, "no signature of version v1"),
        ("pagerduty", {"x-pagerduty-signature": ""}, 400, "no signature of version v1"),
        ("github", {"x-hub-signature-256": BARE[FIRST]}, 400, "does not begin with sha256="),
        ("github", {"x-hub-signature-256": "sha256=ä\ud800"}, 401, "X-Hub-Signature-256"),
        ("github", {"authorization": "Bearer first-secret"}, 401, "X-Hub-Signature-256"),
        ("devops-agent", {"x-amzn-event-signature": AGENT}, 400, "header x-amzn-event-timestamp: it is missing"),
        ("devops-agent", {"x-amzn-event-signature": AGENT, "x-amzn-event-timestamp": "now"}, 400, "'now' is no time"),
        ("grafana", {GRAFANA: BARE[FIRST], f"{GRAFANA}-timestamp": AT}, 401, "X-Grafana-Alerting-Signature"),
        ("grafana", {GRAFANA: TIMED}, 401, "X-Grafana-Alerting-Signature"),
        ("datadog", {"authorization": "Basic ???"}, 400, "not base64"),
        ("datadog", {"authorization": basic("")}, 401, "password is none of the secrets"),
        ("datadog", {"authorization": "Bearer"}, 401, "token is none of the secrets"),
        ("datadog", {"x-midwatch-token": "ﬁrst-secret"}, 401, "token is none of the secrets"),
        ("datadog", {"authorization": "Digest a"}, 401, "nothing proves who sent this"),
    ],
)
def test_what_proves_nothing_is_refused_with_what_would(
    source: str, headers: dict[str, str], status: int, said: str
) -> None:
    refused = proof(source, headers)
    assert isinstance(refused, Refused)
    assert refused.status == status
    assert said in str(refused)
    assert "first-secret" not in str(refused)


def test_the_example_that_github_publishes_is_proven() -> None:
    signature = "sha256=757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17"
    secret = b"It's a Secret to Everybody"
    assert isinstance(proof("github", {"x-hub-signature-256": signature}, secret, body=b"Hello, World!"), Proof)


def test_what_was_answered_is_remembered_while_its_signature_could_come_again() -> None:
    repeats, signed = Repeats(), Proof("way", NOW, "signature")
    repeats.keep("grafana", signed, NOW, WINDOW, {"incidents": ["01A"]})
    assert repeats.answer_to("grafana", signed, NOW + WINDOW) == (NOW, {"incidents": ["01A"]})
    assert repeats.answer_to("grafana", signed, NOW + WINDOW + timedelta(seconds=1)) is None
    assert repeats.answer_to("generic", signed, NOW) is None
    assert repeats.answer_to("grafana", Proof("way", NOW, "another"), NOW) is None


def test_no_more_is_remembered_than_there_is_room_for() -> None:
    repeats = Repeats(most=3)
    for number in range(10):
        repeats.keep("grafana", Proof("way", NOW, str(number)), NOW, WINDOW, {})
    kept = [number for number in range(10) if repeats.answer_to("grafana", Proof("way", NOW, str(number)), NOW)]
    assert kept == [7, 8, 9]


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"pagerduty": {"secrets": ["short"]}}, "fewer than 8 characters"),
        ({"pagerduty": {"secrets": ["long-enough"], "unsigned": True}}, "leave one of them out"),
        ({"cloudwatch": {"topics": ["alarms"]}}, "'alarms' is no ARN of a topic"),
        ({"pagerduti": {}}, "Extra inputs are not permitted"),
    ],
)
def test_settings_that_cannot_be_meant_are_refused(given: dict[str, object], said: str) -> None:
    with pytest.raises(ValidationError) as caught:
        IntakeSettings.model_validate(given)
    assert said in str(caught.value)


def test_no_secret_is_shown_with_the_settings() -> None:
    assert "long-enough" not in repr(SourceSettings.model_validate({"secrets": ["long-enough"]}))
