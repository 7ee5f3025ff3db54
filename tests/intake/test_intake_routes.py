"""Intake over HTTP: what is answered to whom, and that nothing but the host's own troubles is a 5xx."""

import base64
import gzip
import hashlib
import hmac
import json
import re
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import urlencode

import anyio
import httpx2
import pytest
from tests.intake.bodies import DATADOG, DEVOPS_AGENT, GITHUB_DEPLOYMENT, GRAFANA, pagerduty
from tests.intake.conftest import Receiver, asking

from midwatch.intake import SOURCES
from midwatch.settings.intake import IntakeSettings

PLAIN = {"title": "gateway fails", "service": "gateway", "started_at": "2026-11-20T02:47:03Z"}
SECRET = "the-secret-of-this-source"
SIGNED = IntakeSettings.model_validate({
    name.replace("-", "_"): {"secrets": ["an-older-secret", SECRET]} for name in SOURCES if name != "cloudwatch"
})  # fmt: skip


def agent(body: bytes, at: datetime, secret: str = SECRET) -> dict[str, str]:
    """Return the headers of a sender of the DevOps Agent, made as its documentation says."""
    time = at.strftime("%Y-%m-%dT%H:%M:%S.000Z")
    made = hmac.new(secret.encode(), f"{time}:".encode() + body, hashlib.sha256).digest()
    return {"x-amzn-event-timestamp": time, "x-amzn-event-signature": base64.b64encode(made).decode()}


def said(answer: httpx2.Response) -> str:
    return str(answer.json()["error"])


async def test_what_was_taken_is_answered_with_its_incident_and_what_became_of_each_alert() -> None:
    receiver = Receiver()
    async with asking(receiver) as client:
        answer = await client.post("/v1/alerts/pagerduty", json=pagerduty())
    (kept,) = receiver.kept
    assert answer.status_code == 202
    assert answer.json()["incidents"] == [f"01{kept.id[:6]}"]
    (told,) = answer.json()["alerts"]
    assert (told["alert"], told["external_id"], told["became"]) == (kept.id, "PSHOP01", "new")


async def test_a_sender_of_the_devops_agent_changes_nothing_but_the_url() -> None:
    receiver, body = Receiver(), json.dumps(DEVOPS_AGENT, indent=1).encode()
    headers = {"Content-Type": "application/json", **agent(body, datetime.now(UTC))}
    async with asking(receiver, SIGNED, loopback=False) as client:
        answer = await client.post("/v1/alerts/devops-agent", content=body, headers=headers)
    assert answer.status_code == 200  # that is what its senders look for
    assert answer.json()["message"] == "webhook received"
    assert [alert.external_id for alert in receiver.kept] == ["incident-417"]


async def test_a_signature_that_comes_again_says_what_it_repeats_and_does_nothing() -> None:
    receiver, body = Receiver(), json.dumps(DEVOPS_AGENT).encode()
    headers = agent(body, datetime.now(UTC))
    async with asking(receiver, SIGNED, loopback=False) as client:
        first = await client.post("/v1/alerts/devops-agent", content=body, headers=headers)
        again = await client.post("/v1/alerts/devops-agent", content=body, headers=headers)
    assert again.status_code == 200
    assert again.json()["incidents"] == first.json()["incidents"]
    assert [each.json()["alerts"][0]["became"] for each in (first, again)] == ["new", "repeat"]
    assert "the same signature was taken at" in again.json()["repeats"]
    assert again.json()["alerts"][0]["first_received_at"] in again.json()["repeats"]
    assert len(receiver.kept) == 1


async def test_a_signature_that_was_not_answered_for_is_taken_when_it_comes_again() -> None:
    receiver, body = Receiver(fails=True), json.dumps(DEVOPS_AGENT).encode()
    headers = agent(body, datetime.now(UTC))
    async with asking(receiver, SIGNED, loopback=False) as client:
        failed = await client.post("/v1/alerts/devops-agent", content=body, headers=headers)
        receiver.fails = False
        taken = await client.post("/v1/alerts/devops-agent", content=body, headers=headers)
    assert (failed.status_code, failed.headers["retry-after"]) == (503, "5")
    assert (taken.status_code, taken.json()["alerts"][0]["became"]) == (200, "new")


async def test_without_a_time_in_the_signature_the_receiver_says_what_is_a_repeat() -> None:
    receiver, body = Receiver(), json.dumps(GITHUB_DEPLOYMENT).encode()
    made = hmac.new(SECRET.encode(), body, hashlib.sha256).hexdigest()
    headers = {"X-Hub-Signature-256": f"sha256={made}", "X-GitHub-Event": "deployment_status"}
    async with asking(receiver, SIGNED, loopback=False) as client:
        answers = [await client.post("/v1/alerts/github", content=body, headers=headers) for _ in range(2)]
    assert [answer.status_code for answer in answers] == [202, 202]
    assert [answer.json()["alerts"][0]["became"] for answer in answers] == ["new", "repeat"]


async def test_a_form_with_json_in_it_is_taken_as_github_signs_it() -> None:
    receiver, body = Receiver(), urlencode({"payload": json.dumps(GITHUB_DEPLOYMENT)}).encode()
    made = hmac.new(SECRET.encode(), body, hashlib.sha256).hexdigest()
    headers = {"X-Hub-Signature-256": f"sha256={made}", "X-GitHub-Event": "deployment_status"}
    headers["Content-Type"] = "application/x-www-form-urlencoded"
    async with asking(receiver, SIGNED, loopback=False) as client:
        answer = await client.post("/v1/alerts/github", content=body, headers=headers)
    assert (answer.status_code, [alert.service for alert in receiver.kept]) == (202, ["gateway"])


@pytest.mark.parametrize(
    ("name", "body", "headers", "what"),
    [
        ("pagerduty", pagerduty("service.updated", type="service"), {}, "service.updated"),
        ("github", {"zen": "Design for failure."}, {"X-GitHub-Event": "ping"}, "ping"),
        ("sentry", {"action": "created", "data": {}}, {"Sentry-Hook-Resource": "comment"}, "comment"),
    ],
)
async def test_what_is_no_alert_is_taken_and_answered_with_what_it_tells_of(
    name: str, body: Any, headers: dict[str, str], what: str
) -> None:
    receiver = Receiver()
    async with asking(receiver) as client:
        answer = await client.post(f"/v1/alerts/{name}", json=body, headers=headers)
    assert (answer.status_code, answer.json()["incidents"], receiver.kept) == (202, [], [])
    assert answer.json()["message"] == f"nothing in it is an alert: it tells of '{what}'"


async def test_a_stale_or_wrong_signature_is_refused_in_words_without_the_secret() -> None:
    receiver, body = Receiver(), json.dumps(DEVOPS_AGENT).encode()
    stale = agent(body, datetime.now(UTC) - timedelta(minutes=6))
    wrong = agent(body, datetime.now(UTC), "a-wrong-secret")
    async with asking(receiver, SIGNED) as client:
        answers = [await client.post("/v1/alerts/devops-agent", content=body, headers=each) for each in (stale, wrong)]
    assert [answer.status_code for answer in answers] == [403, 401]
    assert re.match("header x-amzn-event-timestamp: it was signed at .* which is too old", said(answers[0]))
    assert "x-amzn-event-signature" in said(answers[1])
    assert SECRET not in answers[0].text + answers[1].text
    assert receiver.kept == []


@pytest.mark.parametrize("name", SOURCES)
async def test_a_host_that_listens_to_other_machines_takes_nothing_unsigned_unless_it_is_told_to(name: str) -> None:
    told = IntakeSettings.model_validate({name.replace("-", "_"): {"unsigned": True}})
    async with asking(Receiver(), loopback=False) as client:
        refused = await client.post(f"/v1/alerts/{name}", json={})
    async with asking(Receiver(), told, loopback=False) as client:
        taken = await client.post(f"/v1/alerts/{name}", json={})
    assert refused.status_code == 403
    assert f"MIDWATCH_INTAKE__{name.replace('-', '_').upper()}__" in said(refused)
    assert taken.status_code == 422


async def test_a_source_with_secrets_takes_nothing_unsigned_on_the_loopback_either() -> None:
    async with asking(Receiver(), SIGNED) as client:
        assert (await client.post("/v1/alerts/grafana", json=GRAFANA)).status_code == 401
        assert (await client.post("/alerts", json=PLAIN)).status_code == 401


async def test_both_plain_forms_are_taken_at_the_plain_path() -> None:
    receiver = Receiver()
    firing = {"status": "firing", "labels": {"service": "forge"}, "startsAt": "2026-11-20T02:47:03Z"}
    async with asking(receiver) as client:
        for body in (PLAIN, {"version": "4", "alerts": [firing]}):
            assert (await client.post("/alerts", json=body)).status_code == 202
    assert [alert.source for alert in receiver.kept] == ["generic", "alertmanager"]


async def test_of_a_group_those_that_can_be_used_are_taken_and_the_others_are_told() -> None:
    nameless = {**GRAFANA["alerts"][0], "startsAt": "soon"}
    receiver = Receiver()
    async with asking(receiver) as client:
        taken = await client.post("/v1/alerts/grafana", json={**GRAFANA, "alerts": [nameless, GRAFANA["alerts"][0]]})
        refused = await client.post("/v1/alerts/grafana", json={**GRAFANA, "alerts": [nameless, nameless]})
    assert (taken.status_code, refused.status_code) == (202, 422)
    assert [alert.service for alert in receiver.kept] == ["search"]
    assert taken.json()["refused"].startswith("alerts.0.startsAt: must be a time")
    assert "alerts.1.startsAt: must be a time" in said(refused)


async def test_a_source_that_is_not_there_is_answered_with_those_that_are() -> None:
    async with asking(Receiver()) as client:
        answer = await client.post("/v1/alerts/nagios%0d%0a", json={})
    assert answer.status_code == 404
    assert "pagerduty, sentry, servicenow" in said(answer)


@pytest.mark.parametrize(
    ("content", "status", "words"),
    [
        (b"", 422, "not JSON: it is empty"),
        (b"gateway fails", 422, "not JSON"),
        (b"\xff\xfe", 422, "not UTF-8"),
        ("{}".encode("utf-16"), 422, "not UTF-8"),
        (b"[" * 200_000, 422, "nested too deeply"),
        (b'{"title": NaN}', 422, "NaN is no number that JSON has"),
        (b'{"title": 1e999}', 422, "too large a number"),
        (b'{"title": ' + b"9" * 5000 + b"}", 422, "not JSON"),
        (b'{"title": "a", "title": "b"}', 422, "the name 'title' stands twice"),
        (b'{"title": "\\ud800"}', 422, "title: "),
        (b'{"\\ud800": 1}', 422, ": "),
        (b'{"title": "a\\u0000"}', 422, "service: it is missing"),
        (b"[]", 422, "body: "),
        (b" " * 2**21, 413, "more than 1048576 bytes"),
    ],
)
async def test_no_body_makes_more_than_a_refusal(content: bytes, status: int, words: str) -> None:
    async with asking(Receiver()) as client:
        for path in ("/alerts", *(f"/v1/alerts/{name}" for name in ("generic", "cloudwatch"))):
            answer = await client.post(path, content=content)
            assert answer.status_code == status
            assert words in said(answer) or path.endswith("cloudwatch")


@pytest.mark.parametrize(
    ("headers", "content", "status", "words"),
    [
        ({"content-type": "application/xml"}, b"<a/>", 415, "application/xml is not taken: send application/json"),
        ({"content-type": "multipart/form-data; boundary=a"}, b"--a", 415, "multipart/form-data"),
        ({"content-type": "application/x-www-form-urlencoded"}, b"title=%7B%7D", 415, "a form is not taken"),
        ({"content-encoding": "br"}, b"{}", 415, "content encoding br is not taken"),
        ({"content-encoding": "gzip"}, b"{}", 400, "the body is not gzip"),
        ({"content-encoding": "gzip"}, gzip.compress(b"{}", mtime=0)[:-4], 400, "ends too early"),
        ({"content-encoding": "gzip"}, gzip.compress(b" " * 2**24, mtime=0), 413, "more than 1048576 bytes"),
        ({"content-encoding": "gzip"}, gzip.compress(b"", mtime=0) * 50, 413, "more than 16 members"),
        ({"content-length": "99999999"}, b"{}", 413, "more than 1048576 bytes"),
        ({"content-length": "²"}, b"{}", 422, "title: it is missing"),
    ],
)
async def test_what_is_packed_or_named_otherwise_is_refused(
    headers: dict[str, str], content: bytes, status: int, words: str
) -> None:
    async def chunks() -> AsyncIterator[bytes]:
        yield content

    encoded = {key.encode(): value.encode() for key, value in headers.items()}
    async with asking(Receiver()) as client:
        answer = await client.post("/v1/alerts/generic", content=chunks(), headers=list(encoded.items()))
    assert answer.status_code == status
    assert words in said(answer)


async def test_a_body_in_gzip_is_taken_in_chunks_and_without_its_length() -> None:
    text = json.dumps(PLAIN).encode()
    packed = gzip.compress(text[:40]) + gzip.compress(text[40:])

    async def chunks() -> AsyncIterator[bytes]:
        for start in range(0, len(packed), 7):
            yield packed[start : start + 7]

    async with asking(Receiver()) as client:
        answer = await client.post("/alerts", content=chunks(), headers={"Content-Encoding": "gzip"})
    assert answer.status_code == 202


async def test_a_body_in_chunks_is_not_read_on_when_it_is_too_large() -> None:
    read = 0

    async def chunks() -> AsyncIterator[bytes]:
        nonlocal read
        for _ in range(1000):
            read += 2**16
            yield b" " * 2**16

    async with asking(Receiver()) as client:
        answer = await client.post("/alerts", content=chunks())
    assert (answer.status_code, "content-length" in answer.request.headers) == (413, False)
    assert read < 2**21


async def test_a_body_that_does_not_come_is_not_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    async def chunks() -> AsyncIterator[bytes]:
        yield b"{"
        await anyio.sleep(5)

    monkeypatch.setattr("midwatch.intake.body._SECONDS", 0.05)
    async with asking(Receiver()) as client:
        answer = await client.post("/alerts", content=chunks())
    assert (answer.status_code, said(answer)) == (408, "the body did not come within 0.05 s")


async def test_who_sends_more_than_a_source_may_is_told_when_to_come_again() -> None:
    settings = IntakeSettings.model_validate({"datadog": {"per_second": 0.25, "burst": 3}})
    async with asking(Receiver(), settings) as client:
        answers = [await client.post("/v1/alerts/datadog", json=DATADOG) for _ in range(4)]
        other = await client.post("/v1/alerts/grafana", json=GRAFANA)
    assert [answer.status_code for answer in answers] == [202, 202, 202, 429]
    assert answers[-1].headers["retry-after"] == "4"
    assert other.status_code == 202


async def test_no_more_requests_wait_than_there_is_room_for() -> None:
    go, waits = anyio.Event(), anyio.Event()
    taken: list[int] = []

    class Slow(Receiver):
        async def __call__(self, alerts: Any) -> Any:
            waits.set()
            await go.wait()
            return await super().__call__(alerts)

    async with asking(Slow(), IntakeSettings(waiting=1)) as client, anyio.create_task_group() as senders:

        async def send() -> None:
            taken.append((await client.post("/alerts", json=PLAIN)).status_code)

        senders.start_soon(send)
        await waits.wait()
        busy = await client.post("/alerts", json=PLAIN)
        go.set()
    assert (busy.status_code, busy.headers["retry-after"], taken) == (429, "1", [202])


@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE"])
async def test_alerts_are_only_posted(method: str) -> None:
    async with asking(Receiver()) as client:
        assert (await client.request(method, "/v1/alerts/grafana")).status_code == 405
