"""Signed tokens that say who a customer of a third party is, and until when: `<claims>.<signature>`.

The claims are JSON in URL-safe base64, the signature is HMAC-SHA256 (RFC 2104) over them, in hexadecimal. Less than a
JSON Web Token on purpose: one algorithm, and nothing to negotiate.
"""

import base64
import hashlib
import hmac
import json
from dataclasses import dataclass
from datetime import UTC, datetime

from robots.events import rfc3339


class TokenRefused(Exception):
    """Raised for a token that doesn't open the door; its text says why."""


@dataclass(frozen=True)
class Claims:
    """Who the bearer is, and the Unix second from which on the token is worth nothing."""

    customer: str
    expires: float


def issue(key: str, claims: Claims) -> str:
    """Return a signed token."""
    document = json.dumps({"sub": claims.customer, "exp": claims.expires})
    packed = base64.urlsafe_b64encode(document.encode()).decode()
    return f"{packed}.{_signature(key, packed)}"


def check(key: str, token: str, at: float) -> Claims:
    """Return what a token says; raises TokenRefused for one that wasn't signed by the key or is out of date."""
    packed, _, signature = token.partition(".")
    if not hmac.compare_digest(signature.encode(), _signature(key, packed).encode()):
        raise TokenRefused("token is missing or wasn't issued here")
    document = json.loads(base64.urlsafe_b64decode(packed))
    claims = Claims(str(document["sub"]), float(document["exp"]))
    if claims.expires <= at:
        raise TokenRefused(
            f"token of {claims.customer} expired at {rfc3339(datetime.fromtimestamp(claims.expires, UTC))}"
        )
    return claims


def _signature(key: str, packed: str) -> str:
    return hmac.new(key.encode(), packed.encode(), hashlib.sha256).hexdigest()
