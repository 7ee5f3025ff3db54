"""Messages of Amazon SNS: signed with a certificate that lies at an address of SNS itself.

docs.aws.amazon.com/sns/latest/dg/sns-verify-signature-of-message.html. Only an address of SNS is ever asked: for the
certificate, and, of topics that the settings allow, to confirm a subscription.
"""

import base64
import binascii
import re
from collections import OrderedDict
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from typing import Literal
from urllib.parse import parse_qs, urlsplit

import anyio
import httpx2
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from cryptography.x509 import load_pem_x509_certificate
from pydantic import Field, JsonValue

from midwatch.errors import BadAlert, HostError
from midwatch.intake.parts import Shape, validated
from midwatch.intake.verify import Proof, Refused, Sent

Fetch = Callable[[str], Awaitable[bytes]]
_HOST = re.compile(r"sns\.[a-z0-9-]{2,40}\.amazonaws\.com(\.cn)?")
_CERTIFICATE = re.compile(r"/SimpleNotificationService(-[0-9A-Za-z]+)?\.pem")
"""Nothing else under SNS's names is a certificate of its own: some of what it answers holds what others wrote."""
_SECONDS = 5.0
_MOST_BYTES = 64 * 1024
_MOST_CERTIFICATES = 16
_KEPT = timedelta(hours=24)
_SIGNED = {
    "Notification": ("Message", "MessageId", "Subject", "Timestamp", "TopicArn", "Type"),
    "SubscriptionConfirmation": ("Message", "MessageId", "SubscribeURL", "Timestamp", "Token", "TopicArn", "Type"),
}
_SIGNED["UnsubscribeConfirmation"] = _SIGNED["SubscriptionConfirmation"]


class CannotReach(HostError):
    """Raised when SNS itself cannot be asked; whoever sent may send again."""


class Message(Shape):
    """An envelope, with what its signature covers."""

    type: Literal["Notification", "SubscriptionConfirmation", "UnsubscribeConfirmation"] = Field(alias="Type")
    message: str = Field(alias="Message")
    message_id: str = Field(alias="MessageId")
    subject: str | None = Field(None, alias="Subject")
    timestamp: datetime = Field(alias="Timestamp")
    topic: str = Field(alias="TopicArn")
    version: Literal["1", "2"] = Field(alias="SignatureVersion")
    signature: str = Field(alias="Signature")
    certificate: str = Field(alias="SigningCertURL")
    subscribe: str = Field("", alias="SubscribeURL")
    token: str = Field("", alias="Token")


async def fetched(url: str) -> bytes:
    """Return what lies at an address of SNS, without following it elsewhere; raises `CannotReach`."""
    try:
        with anyio.fail_after(_SECONDS):
            async with httpx2.AsyncClient(follow_redirects=False) as client, client.stream("GET", url) as answer:
                content = b""
                async for chunk in answer.aiter_bytes():
                    content += chunk
                    if len(content) > _MOST_BYTES:
                        break
    except (httpx2.HTTPError, httpx2.InvalidURL, TimeoutError) as error:
        raise CannotReach(f"cannot ask {urlsplit(url).hostname}: {type(error).__name__}") from None
    if answer.status_code != 200 or len(content) > _MOST_BYTES:
        raise CannotReach(f"{urlsplit(url).hostname} answered {answer.status_code} with {len(content)} bytes")
    return content


class Sns:
    """Verifies messages of allowed topics and confirms their subscriptions; keeps certificates for a day."""

    def __init__(self, topics: tuple[str, ...], fetch: Fetch = fetched) -> None:
        self._topics = topics
        self._fetch = fetch
        self._certificates: OrderedDict[str, tuple[datetime, bytes]] = OrderedDict()

    async def verified(self, sent: Sent, body: JsonValue, window: timedelta) -> Proof:
        """Return how a message is proven; raises `Refused`, `BadAlert` and `CannotReach`."""
        message = validated(Message, body)
        if message.topic not in self._topics:
            raise Refused(403, "x-amz-sns-topic-arn", f"the topic {message.topic[:200]!r} is none of those allowed")
        if not _is_certificate(message.certificate):
            lies = "https://sns.REGION.amazonaws.com/SimpleNotificationService-….pem"
            raise Refused(403, "SigningCertURL", f"the certificate must lie at {lies}")
        signed_at = message.timestamp if message.timestamp.tzinfo else message.timestamp.replace(tzinfo=UTC)
        await self._check(message, body, sent.now)
        if abs(sent.now - signed_at) > window:
            raise Refused(403, "Timestamp", f"it was signed at {signed_at.isoformat()}, which is too long from now")
        return Proof("sns", signed_at, f"{message.message_id}:{message.signature}")

    async def confirm(self, body: JsonValue) -> str:
        """Confirm the subscription that a verified message asks for; returns what came of it, for people."""
        message = validated(Message, body)
        if message.type == "UnsubscribeConfirmation":
            return f"the subscription to {message.topic} has ended; SubscribeURL in the message takes it back"
        asked = parse_qs(urlsplit(message.subscribe).query)
        right = asked.get("TopicArn") == [message.topic] and asked.get("Action") == ["ConfirmSubscription"]
        if not _is_of_sns(message.subscribe) or not right:
            raise BadAlert(
                "SubscribeURL: it confirms no subscription to this topic at https://sns.REGION.amazonaws.com"
            )
        await self._fetch(message.subscribe)
        return f"the subscription to {message.topic} is confirmed"

    async def _check(self, message: Message, body: JsonValue, now: datetime) -> None:
        """Raise unless the certificate's key made the signature."""
        try:
            signature = base64.b64decode(message.signature, validate=True)
            certificate = load_pem_x509_certificate(await self._certificate(message.certificate, now))
            key = certificate.public_key()
        except (ValueError, binascii.Error):
            raise Refused(400, "Signature", "it is not base64, or its certificate is none") from None
        if not isinstance(key, rsa.RSAPublicKey):
            raise Refused(403, "SigningCertURL", "the certificate is of no RSA key, which SNS has")
        if not certificate.not_valid_before_utc <= now <= certificate.not_valid_after_utc:
            raise Refused(403, "SigningCertURL", "the certificate is not valid now")
        way = hashes.SHA1() if message.version == "1" else hashes.SHA256()  # noqa: S303 - version 1 is SHA-1
        try:
            key.verify(signature, _signed(message.type, body), padding.PKCS1v15(), way)
        except InvalidSignature:
            raise Refused(401, "Signature", "the signature is not of this message with Amazon's certificate") from None

    async def _certificate(self, url: str, now: datetime) -> bytes:
        known = self._certificates.get(url)
        if known and now - known[0] < _KEPT:
            return known[1]
        pem = await self._fetch(url)
        self._certificates[url] = (now, pem)
        while len(self._certificates) > _MOST_CERTIFICATES:
            self._certificates.popitem(last=False)
        return pem


def is_envelope(body: JsonValue) -> bool:
    """Whether a body is a message that SNS signs."""
    return isinstance(body, dict) and "SigningCertURL" in body and "Type" in body


def _is_certificate(url: str) -> bool:
    if not _is_of_sns(url):
        return False
    parts = urlsplit(url)
    return _CERTIFICATE.fullmatch(parts.path) is not None and url.endswith(parts.path)


def _is_of_sns(url: str) -> bool:
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        return False
    return parts.scheme == "https" and port is None and _HOST.fullmatch(parts.netloc) is not None


def _signed(kind: str, body: JsonValue) -> bytes:
    """Return the text that is signed: names and values by turns, each with a newline; without what is not there."""
    fields = body if isinstance(body, dict) else {}
    parts = [f"{name}\n{fields[name]}\n" for name in _SIGNED[kind] if fields.get(name) is not None]
    return "".join(parts).encode("utf-8", "replace")
