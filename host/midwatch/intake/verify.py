"""Who sent it: one small function for each way in which senders prove that.

Each returns None when its header is not there, a `Proof` when one of the secrets fits, and raises `Refused` otherwise.
Nothing here tells a secret, or what a signature should have been. SNS, which signs with certificates, is in `sns.py`.
"""

import base64
import binascii
import hashlib
import hmac
from collections import OrderedDict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Literal

from midwatch.errors import HostError

Secrets = Sequence[bytes]
_MOST_SIGNATURES = 32
_GRAFANA_TIMES = ("X-Grafana-Alerting-Signature-Timestamp", "X-Grafana-Alerting-Timestamp")
"""The header with the time has no name of its own: Grafana's documentation uses one of these."""


class Refused(HostError):
    """Raised when a request does not prove who sent it; `status` is HTTP's for that."""

    def __init__(self, status: Literal[400, 401, 403], header: str, why: str) -> None:
        super().__init__(f"header {header}: {why}")
        self.status = status
        self.header = header


@dataclass(frozen=True)
class Sent:
    """A request as it came: headers with names in lower case, and the body's bytes, unpacked."""

    headers: Mapping[str, str]
    body: bytes
    now: datetime


@dataclass(frozen=True)
class Proof:
    """By which way a request was proven; `signed_at`, where that is told, and `signature` where it holds a time."""

    way: str
    signed_at: datetime | None = None
    signature: str = ""
    time_header: str = ""


Way = Callable[[Sent, Secrets], Proof | None]


def bearer(sent: Sent, secrets: Secrets) -> Proof | None:
    """`Authorization: Bearer SECRET` (RFC 6750)."""
    kind, _, token = sent.headers.get("authorization", "").partition(" ")
    if kind.lower() != "bearer":
        return None
    return _token(token.strip(), secrets, "bearer", "Authorization")


def shared(sent: Sent, secrets: Secrets) -> Proof | None:
    """`X-Midwatch-Token: SECRET`, for senders that keep Authorization to themselves."""
    token = sent.headers.get("x-midwatch-token")
    return None if token is None else _token(token.strip(), secrets, "token", "X-Midwatch-Token")


def basic(sent: Sent, secrets: Secrets) -> Proof | None:
    """`Authorization: Basic …` (RFC 7617) with the secret as the password; the user's name may be any."""
    kind, _, token = sent.headers.get("authorization", "").partition(" ")
    if kind.lower() != "basic":
        return None
    try:
        _, _, password = base64.b64decode(token.strip(), validate=True).partition(b":")
    except (ValueError, binascii.Error):
        raise Refused(400, "Authorization", "what follows Basic is not base64") from None
    if not _one_of(password, secrets):
        raise Refused(401, "Authorization", "the password is none of the secrets of this source")
    return Proof("basic")


def pagerduty(sent: Sent, secrets: Secrets) -> Proof | None:
    """`X-PagerDuty-Signature: v1=HEX,v1=HEX`: one for each secret while PagerDuty rotates them."""
    said = sent.headers.get("x-pagerduty-signature")
    if said is None:
        return None
    signatures = [each.strip().removeprefix("v1=") for each in said.split(",") if each.strip().startswith("v1=")]
    if not signatures:
        raise Refused(400, "X-PagerDuty-Signature", "it has no signature of version v1")
    _fits(signatures[:_MOST_SIGNATURES], [_hex(secret, sent.body) for secret in secrets], "X-PagerDuty-Signature")
    return Proof("pagerduty")


def github(sent: Sent, secrets: Secrets) -> Proof | None:
    """`X-Hub-Signature-256: sha256=HEX`."""
    said = sent.headers.get("x-hub-signature-256")
    if said is None:
        return None
    if not said.startswith("sha256="):
        raise Refused(400, "X-Hub-Signature-256", "it does not begin with sha256=")
    _fits([said.removeprefix("sha256=")], [_hex(secret, sent.body) for secret in secrets], "X-Hub-Signature-256")
    return Proof("github")


def sentry(sent: Sent, secrets: Secrets) -> Proof | None:
    """`Sentry-Hook-Signature: HEX`; its `Sentry-Hook-Timestamp` is not signed, so nothing rests on it."""
    return _plain(sent, secrets, "Sentry-Hook-Signature")


def checkly(sent: Sent, secrets: Secrets) -> Proof | None:
    """`X-Checkly-Signature: HEX`."""
    return _plain(sent, secrets, "X-Checkly-Signature")


def grafana(sent: Sent, secrets: Secrets) -> Proof | None:
    """`X-Grafana-Alerting-Signature: HEX` over the body, or over `TIME:BODY` where Grafana is set to send the time."""
    name = "X-Grafana-Alerting-Signature"
    timed = next((each for each in _GRAFANA_TIMES if each.lower() in sent.headers), None)
    if timed is None:
        return _plain(sent, secrets, name)
    return _timed(sent, secrets, name, timed, lambda secret, time: _hex(secret, time + b":" + sent.body))


def devops_agent(sent: Sent, secrets: Secrets) -> Proof | None:
    """`x-amzn-event-signature: BASE64` over `TIME:BODY`, with `x-amzn-event-timestamp: TIME`."""
    return _timed(
        sent,
        secrets,
        "x-amzn-event-signature",
        "x-amzn-event-timestamp",
        lambda secret, time: base64.b64encode(_mac(secret, time + b":" + sent.body)),
    )


def midwatch(sent: Sent, secrets: Secrets) -> Proof | None:
    """`X-Midwatch-Signature: v0=HEX` over `v0:TIME:BODY`, with `X-Midwatch-Timestamp: TIME`: Slack's way."""
    return _timed(
        sent,
        secrets,
        "X-Midwatch-Signature",
        "X-Midwatch-Timestamp",
        lambda secret, time: b"v0=" + _hex(secret, b"v0:" + time + b":" + sent.body),
    )


def verified(sent: Sent, secrets: Secrets, ways: Iterable[Way], window: timedelta) -> Proof:
    """Return how a request is proven, by the first of the ways whose header it has; raises `Refused`."""
    for way in ways:
        proof = way(sent, secrets)
        if proof is None:
            continue
        if proof.signed_at and abs(sent.now - proof.signed_at) > window:
            when = "old" if proof.signed_at < sent.now else "far ahead"
            raise Refused(
                403, proof.time_header, f"it was signed at {proof.signed_at.isoformat()}, which is too {when}"
            )
        return proof
    names = ", ".join(filter(None, ((way.__doc__ or "").split("`")[1] for way in ways)))
    raise Refused(401, "Authorization", f"nothing proves who sent this; send one of: {names}")


class Repeats:
    """Remembers what was answered to each signature while it could be sent again; bounded, the oldest goes first."""

    def __init__(self, most: int = 10_000) -> None:
        self._most = most
        self._answers: OrderedDict[str, tuple[datetime, datetime, object]] = OrderedDict()

    def answer_to(self, source: str, proof: Proof, now: datetime) -> tuple[datetime, object] | None:
        """Return when the same was taken, and what was answered; None when it is new, or its time is over."""
        found = self._answers.get(self._key(source, proof)) if proof.signature else None
        return (found[1], found[2]) if found and found[0] >= now else None

    def keep(self, source: str, proof: Proof, now: datetime, window: timedelta, answer: object) -> None:
        """Remember an answer until its signature is too old to be taken."""
        if not proof.signature or proof.signed_at is None:
            return
        self._answers[self._key(source, proof)] = (proof.signed_at + window, now, answer)
        while len(self._answers) > self._most or (self._answers and next(iter(self._answers.values()))[0] < now):
            self._answers.popitem(last=False)

    @staticmethod
    def _key(source: str, proof: Proof) -> str:
        return hashlib.sha256(f"{source}|{proof.way}|{proof.signature}".encode()).hexdigest()


def _plain(sent: Sent, secrets: Secrets, header: str) -> Proof | None:
    said = sent.headers.get(header.lower())
    if said is None:
        return None
    _fits([said.strip()], [_hex(secret, sent.body) for secret in secrets], header)
    return Proof(header.lower())


def _timed(
    sent: Sent, secrets: Secrets, header: str, time_header: str, sign: Callable[[bytes, bytes], bytes]
) -> Proof | None:
    said, time = sent.headers.get(header.lower()), sent.headers.get(time_header.lower(), "").strip()
    if said is None:
        return None
    if not time:
        raise Refused(400, time_header, f"it is missing, and {header} covers it")
    signed_at = _moment(time, time_header)
    signature = said.strip()
    _fits([signature], [sign(secret, time.encode("utf-8", "replace")) for secret in secrets], header)
    return Proof(header.lower(), signed_at, signature, time_header)


def _moment(text: str, header: str) -> datetime:
    """Return the time in a header: Unix time in seconds or milliseconds, or RFC 3339."""
    try:
        if text.isascii() and text.isdecimal() and len(text) < 15:
            return datetime.fromtimestamp(int(text) / (1000 if len(text) > 11 else 1), UTC)
        moment = datetime.fromisoformat(text)
        return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).astimezone(UTC)
    except (ValueError, OverflowError, OSError):
        raise Refused(400, header, f"{text[:60]!r} is no time: write Unix time or RFC 3339") from None


def _token(token: str, secrets: Secrets, way: str, header: str) -> Proof:
    if not _one_of(token.encode("utf-8", "replace"), secrets):
        raise Refused(401, header, "the token is none of the secrets of this source")
    return Proof(way)


def _fits(said: Sequence[str], right: Sequence[bytes], header: str) -> None:
    """Raise unless one of the signatures is one of the right ones; all are compared, so that time tells nothing."""
    if not sum(_one_of(each.encode("utf-8", "replace"), right) for each in said):
        raise Refused(401, header, "the signature fits none of the secrets of this source, over the body as it came")


def _one_of(given: bytes, known: Sequence[bytes]) -> bool:
    return sum(hmac.compare_digest(given, each) for each in known) > 0


def _mac(secret: bytes, text: bytes) -> bytes:
    return hmac.new(secret, text, hashlib.sha256).digest()


def _hex(secret: bytes, text: bytes) -> bytes:
    return _mac(secret, text).hex().encode()
