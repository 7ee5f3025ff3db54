"""Messages of SNS: signed with a certificate like Amazon's, at an address like Amazon's, made here."""

import base64
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

import anyio
import pytest
from anyio.abc import SocketAttribute, SocketStream
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.x509.oid import NameOID
from tests.intake.bodies import alarm, envelope
from tests.intake.conftest import Receiver, asking

from midwatch.errors import HostError
from midwatch.intake.sns import CannotReach, Sns, fetched
from midwatch.intake.verify import Sent
from midwatch.settings.intake import IntakeSettings

TOPIC = "arn:aws:sns:eu-west-1:123456789012:alarms"
CONFIRM = "https://sns.eu-west-1.amazonaws.com/?Action=ConfirmSubscription&TopicArn={topic}&Token=abc"
ALLOWED = IntakeSettings.model_validate({"cloudwatch": {"topics": [TOPIC]}})
KEY = rsa.generate_private_key(public_exponent=65537, key_size=2048)
HASHES: dict[str, Callable[[], Any]] = {"1": hashes.SHA1, "2": hashes.SHA256}


def certificate(key: Any = KEY, *, days: int = 30) -> bytes:
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "sns.amazonaws.com")])
    ends = datetime.now(UTC) + timedelta(days=days)
    builder = x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(key.public_key())
    builder = builder.serial_number(7).not_valid_before(ends - timedelta(days=60)).not_valid_after(ends)
    return builder.sign(key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)


PEM = certificate()


class Amazon:
    """Stands for the addresses of SNS, and remembers what was asked."""

    def __init__(self, pem: bytes = PEM) -> None:
        self.pem = pem
        self.asked: list[str] = []

    async def __call__(self, url: str) -> bytes:
        self.asked.append(url)
        return self.pem


def signed(body: dict[str, Any], version: str = "2", key: rsa.RSAPrivateKey = KEY) -> dict[str, Any]:
    """Return a message with the signature that Amazon's documentation describes: names and values, line by line."""
    names = ["Message", "MessageId", "Subject", "Timestamp", "TopicArn", "Type"]
    if body["Type"] != "Notification":
        names = ["Message", "MessageId", "SubscribeURL", "Timestamp", "Token", "TopicArn", "Type"]
    text = "".join(f"{name}\n{body[name]}\n" for name in names if name in body)
    made = key.sign(text.encode(), padding.PKCS1v15(), HASHES[version]())
    return {**body, "SignatureVersion": version, "Signature": base64.b64encode(made).decode()}


def now(minutes: float = 0) -> str:
    return (datetime.now(UTC) + timedelta(minutes=minutes)).strftime("%Y-%m-%dT%H:%M:%S.000Z")


def confirmation(**more: Any) -> dict[str, Any]:
    asked = {"Token": "abc", "SubscribeURL": CONFIRM.format(topic=TOPIC), "Timestamp": now(), **more}
    return signed(envelope("Do you want it?", "SubscriptionConfirmation", **asked))


async def post(body: Any, amazon: Amazon, settings: IntakeSettings = ALLOWED) -> tuple[int, dict[str, Any], Receiver]:
    receiver = Receiver()
    async with asking(receiver, settings, loopback=False, fetch=amazon) as client:
        answer = await client.post("/v1/alerts/cloudwatch", json=body, headers={"Content-Type": "text/plain"})
    return answer.status_code, answer.json(), receiver


@pytest.mark.parametrize("version", ["1", "2"])
async def test_an_alarm_that_amazon_signed_is_taken(version: str) -> None:
    status, told, receiver = await post(signed(envelope(alarm(), Timestamp=now()), version), Amazon())
    assert (status, len(told["incidents"])) == (202, 1)
    assert receiver.kept[0].title == "checkout-5xx-p2"


async def test_a_message_without_a_subject_is_signed_without_one() -> None:
    body = envelope(alarm(), Timestamp=now())
    del body["Subject"]
    assert (await post(signed(body), Amazon()))[0] == 202


async def test_what_sns_tries_again_within_an_hour_is_taken_and_what_is_older_is_not() -> None:
    assert (await post(signed(envelope(alarm(), Timestamp=now(-59))), Amazon()))[0] == 202
    status, told, _ = await post(signed(envelope(alarm(), Timestamp=now(-70))), Amazon())
    assert (status, "too long from now" in told["error"]) == (403, True)


async def test_a_certificate_is_asked_for_once() -> None:
    amazon, receiver = Amazon(), Receiver()
    async with asking(receiver, ALLOWED, loopback=False, fetch=amazon) as client:
        for number in range(3):
            body = signed(envelope(alarm(), Timestamp=now(), MessageId=str(number)))
            assert (await client.post("/v1/alerts/cloudwatch", json=body)).status_code == 202
    assert len(amazon.asked) == 1


@pytest.mark.parametrize(
    ("more", "status", "said"),
    [
        ({"Message": '{"AlarmName": "another"}'}, 401, "not of this message"),
        ({"Signature": "AAAA"}, 401, "not of this message"),
        ({"Signature": "???"}, 400, "not base64"),
        ({"SignatureVersion": "3"}, 422, "SignatureVersion: "),
        ({"TopicArn": f"{TOPIC}-2"}, 403, "none of those allowed"),
        ({"Timestamp": "then"}, 422, "Timestamp: "),
    ],
)
async def test_a_message_that_was_changed_is_refused(more: dict[str, Any], status: int, said: str) -> None:
    answered, told, receiver = await post({**signed(envelope(alarm(), Timestamp=now())), **more}, Amazon())
    assert (answered, receiver.kept) == (status, [])
    assert said in told["error"]


@pytest.mark.parametrize(
    "url",
    [
        "http://sns.eu-west-1.amazonaws.com/a.pem",
        "https://sns.eu-west-1.amazonaws.com.example.com/a.pem",
        "https://example.com/sns.eu-west-1.amazonaws.com/a.pem",
        "https://sns.eu-west-1.amazonaws.com@example.com/a.pem",
        "https://sns.eu-west-1.amazonaws.com:8443/a.pem",
        "https://s3.amazonaws.com/bucket/a.pem",
        "https://xsns.eu-west-1.amazonaws.com/a.pem",
        "https://sns.eu.west.amazonaws.com/a.pem",
        "https://SNS.eu-west-1.amazonaws.com/a.pem",
        "https://sns.eu-west-1.amazonaws.com/a.txt",
        "https://sns.eu-west-1.amazonaws.com\\@example.com/a.pem",
        "https://sns.eu-west-1.amazonaws.com/?Action=GetEndpointAttributes&EndpointArn=arn&x=/a.pem",
        "https://sns.eu-west-1.amazonaws.com/SimpleNotificationService-1.pem?Action=GetEndpointAttributes",
        "https://sns.eu-west-1.amazonaws.com/SimpleNotificationService-1.pem/../a.pem",
        "https://sns.eu-west-1.amazonaws.com/SimpleNotification\nService-1.pem",
        "https://[::1/a.pem",
        "",
    ],
)
async def test_no_address_but_one_of_sns_is_asked_for_a_certificate(url: str) -> None:
    amazon = Amazon()
    status, told, _ = await post(signed(envelope(alarm(), Timestamp=now(), SigningCertURL=url)), amazon)
    assert (status, amazon.asked) == (403, [])
    assert "SigningCertURL" in told["error"]


async def test_china_has_its_own_addresses() -> None:
    url = "https://sns.cn-north-1.amazonaws.com.cn/SimpleNotificationService-1.pem"
    assert (await post(signed(envelope(alarm(), Timestamp=now(), SigningCertURL=url)), Amazon()))[0] == 202


@pytest.mark.parametrize(
    ("pem", "status", "said"),
    [
        (certificate(days=-1), 403, "not valid now"),
        (certificate(ec.generate_private_key(ec.SECP256R1())), 403, "no RSA key"),
        (b"<html>", 400, "its certificate is none"),
    ],
    ids=["expired", "elliptic", "no certificate"],
)
async def test_a_certificate_that_is_none_of_amazons_proves_nothing(pem: bytes, status: int, said: str) -> None:
    answered, told, _ = await post(signed(envelope(alarm(), Timestamp=now())), Amazon(pem))
    assert answered == status
    assert said in told["error"]


async def test_a_subscription_to_an_allowed_topic_is_confirmed_once() -> None:
    amazon, receiver = Amazon(), Receiver()
    body = confirmation()
    async with asking(receiver, ALLOWED, loopback=False, fetch=amazon) as client:
        answers = [await client.post("/v1/alerts/cloudwatch", json=body) for _ in range(2)]
    assert [answer.status_code for answer in answers] == [202, 202]
    assert amazon.asked[1:] == [CONFIRM.format(topic=TOPIC)]
    assert answers[0].json()["message"] == f"the subscription to {TOPIC} is confirmed"


@pytest.mark.parametrize(
    ("more", "status"),
    [
        ({"TopicArn": "arn:aws:sns:eu-west-1:999999999999:theirs"}, 403),
        ({"SubscribeURL": "https://example.com/?Action=ConfirmSubscription&TopicArn=" + TOPIC}, 422),
        ({"SubscribeURL": CONFIRM.format(topic="arn:aws:sns:eu-west-1:999999999999:theirs")}, 422),
        ({"SubscribeURL": CONFIRM.format(topic=TOPIC).replace("Confirm", "Delete")}, 422),
    ],
)
async def test_nothing_else_is_visited_for_a_confirmation(more: dict[str, Any], status: int) -> None:
    amazon = Amazon()
    answered, _, _ = await post(confirmation(**more), amazon)
    assert answered == status
    assert all(url.endswith(".pem") for url in amazon.asked)


async def test_a_confirmation_that_nobody_signed_is_not_visited_on_the_loopback_either() -> None:
    amazon = Amazon()
    async with asking(Receiver(), fetch=amazon) as client:
        answer = await client.post("/v1/alerts/cloudwatch", json=confirmation())
    assert (answer.status_code, amazon.asked) == (202, [])


async def test_the_end_of_a_subscription_is_told_and_not_taken_back() -> None:
    amazon = Amazon()
    body = envelope("over", "UnsubscribeConfirmation", Timestamp=now(), Token="a", SubscribeURL="https://sns")
    status, told, _ = await post(signed(body), amazon)
    assert (status, len(amazon.asked)) == (202, 1)
    assert "has ended" in told["message"]


async def test_where_topics_are_set_a_bare_alarm_is_not_taken_on_the_loopback_either() -> None:
    assert (await post(alarm(), Amazon()))[0] == 403
    async with asking(Receiver(), ALLOWED) as client:
        assert (await client.post("/v1/alerts/cloudwatch", json=alarm())).status_code == 403


async def test_while_sns_cannot_be_asked_the_sender_is_told_to_come_again() -> None:
    async def nobody(url: str) -> bytes:
        raise HostError(f"cannot ask {url}")

    async with asking(Receiver(), ALLOWED, loopback=False, fetch=nobody) as client:
        answer = await client.post("/v1/alerts/cloudwatch", json=signed(envelope(alarm(), Timestamp=now())))
    assert (answer.status_code, answer.headers["retry-after"]) == (503, "30")


async def test_no_more_certificates_are_kept_than_there_is_room_for() -> None:
    amazon = Amazon()
    sns = Sns((TOPIC,), amazon)
    urls = [f"https://sns.eu-west-1.amazonaws.com/SimpleNotificationService-{number}.pem" for number in range(20)]
    for url in [*urls, urls[-1], urls[0]]:
        body = signed(envelope(alarm(), Timestamp=now(), SigningCertURL=url))
        await sns.verified(Sent({}, b"", datetime.now(UTC)), body, timedelta(hours=1))
    assert amazon.asked == [*urls, urls[0]]


@asynccontextmanager
async def answering(text: bytes) -> AsyncGenerator[str]:
    """Yield the address of a server that answers each request with these bytes, or with none at all."""

    async def answer(stream: SocketStream) -> None:
        async with stream:
            await stream.receive()
            await (stream.send(text) if text else anyio.sleep(5))

    async with await anyio.create_tcp_listener(local_host="127.0.0.1") as listener, anyio.create_task_group() as group:
        group.start_soon(listener.serve, answer)
        yield f"http://127.0.0.1:{listener.extra(SocketAttribute.local_port)}/a.pem"
        group.cancel_scope.cancel()


async def test_what_lies_at_an_address_is_fetched() -> None:
    async with answering(b"HTTP/1.1 200 OK\r\ncontent-length: 3\r\n\r\npem") as url:
        assert await fetched(url) == b"pem"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (b"HTTP/1.1 302 Found\r\nlocation: http://169.254.169.254/\r\ncontent-length: 0\r\n\r\n", "answered 302"),
        (b"HTTP/1.1 200 OK\r\ncontent-length: 99999\r\n\r\n" + b"a" * 99_999, "200 with 99999 bytes"),
        (b"HTTP/1.1 404 Not Found\r\ncontent-length: 0\r\n\r\n", "answered 404"),
        (b"what?", "cannot ask 127.0.0.1: RemoteProtocolError"),
        (b"", "cannot ask 127.0.0.1: TimeoutError"),
    ],
)
async def test_what_is_not_there_is_too_large_hangs_or_leads_elsewhere_is_not_taken(
    text: bytes, said: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("midwatch.intake.sns._SECONDS", 0.2 if not text else 5)
    async with answering(text) as url:
        with pytest.raises(CannotReach, match=said):
            await fetched(url)
