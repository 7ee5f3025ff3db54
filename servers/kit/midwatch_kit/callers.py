"""Who calls over HTTP: a static token, or JSON Web Tokens of an OAuth 2.1 authorization server, verified by its keys.

Only for serving; what a server asks its backends with is never the caller's token. Import this module where callers
must show a token, not before.
"""

import json
import logging
import secrets
import time
from collections.abc import Mapping, Sequence
from typing import Any, Final

import anyio
import jwt
from anyio import CapacityLimiter
from mcp.client.auth.utils import build_oauth_authorization_server_metadata_discovery_urls
from mcp.server.auth.provider import AccessToken, TokenVerifier
from pydantic import SecretStr

from midwatch_kit.caller_settings import Caller, NamedCaller
from midwatch_kit.errors import BackendDown
from midwatch_kit.http import Http
from midwatch_kit.settings import AccessSettings

log = logging.getLogger("midwatch.callers")

ALGORITHMS: Final = ("RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA")
"""Signatures with a public key: with a shared one, whoever may verify a token could make one."""
LEEWAY_SECONDS: Final = 30
_ISSUER_SECONDS: Final = 5.0
_PAUSE_SECONDS: Final = 5.0


class IssuerUnreachable(BackendDown):
    """Raised when the issuer's keys cannot be had, so that nobody knows whether a token is good."""


class StaticToken(TokenVerifier):
    """One token that every caller shares, with all scopes that are asked for."""

    def __init__(self, token: SecretStr, scopes: Sequence[str] = ()) -> None:
        self._token, self._scopes = token.get_secret_value().encode(), [*scopes]

    async def verify_token(self, token: str) -> AccessToken | None:
        """Return the caller, compared in constant time; None for another token."""
        same = secrets.compare_digest(token.encode(), self._token)
        return AccessToken(token=token, client_id="token", scopes=self._scopes) if same else None


class TokensOfNames(TokenVerifier):
    """Tokens of callers who are named one by one, with all scopes that are asked for."""

    def __init__(self, named: Sequence[Caller], scopes: Sequence[str] = ()) -> None:
        self._tokens = [(each.name, each.token.get_secret_value().encode()) for each in named if each.token]
        self._scopes = [*scopes]

    async def verify_token(self, token: str) -> AccessToken | None:
        """Return the caller, compared with each token in constant time; None for another token."""
        sent = token.encode()
        same = [name for name, theirs in self._tokens if secrets.compare_digest(sent, theirs)]
        return NamedCaller(token=token, client_id=same[0], scopes=self._scopes) if same else None


class IssuedTokens(TokenVerifier):
    """Tokens of one issuer for one audience; signature, issuer, audience and times are checked, scopes are told."""

    def __init__(self, issuer: str, audience: str, jwks_url: str | None = None) -> None:
        self._issuer, self._audience, self._jwks_url = issuer, audience, jwks_url
        self._keys: jwt.PyJWKClient | None = None
        self._pause_until = 0.0
        self._one_at_a_time: CapacityLimiter | None = None

    async def verify_token(self, token: str) -> AccessToken | None:
        """Return who a token was issued to; None, and why in the log, for one that is no good here.

        Raises `IssuerUnreachable`.
        """
        limiter = self._one_at_a_time = self._one_at_a_time or CapacityLimiter(1)
        try:
            if self._claimed_issuer(token) != self._issuer:
                raise jwt.InvalidIssuerError("it is of another issuer")
            claims = await anyio.to_thread.run_sync(self._verified, token, limiter=limiter)
        except jwt.PyJWTError as error:
            log.warning("a token was refused: %r", str(error))
            return None
        return _caller(token, claims)

    def _claimed_issuer(self, token: str) -> object:
        """What an unverified token says: who sends rubbish must not make this server ask the issuer for keys."""
        unverified = jwt.decode_complete(token, options={"verify_signature": False})
        if unverified["header"].get("alg") not in ALGORITHMS:
            raise jwt.InvalidAlgorithmError("it is not signed with a public key's algorithm")
        return unverified["payload"].get("iss")

    def _verified(self, token: str) -> Mapping[str, Any]:
        claims: dict[str, Any] = jwt.decode(
            token,
            self._key_of(token),
            algorithms=ALGORITHMS,
            audience=self._audience,
            issuer=self._issuer,
            leeway=LEEWAY_SECONDS,
            options={"require": ["exp", "iss", "aud"]},
        )
        return claims

    def _key_of(self, token: str) -> jwt.PyJWK:
        if time.monotonic() < self._pause_until:
            raise IssuerUnreachable(f"{self._issuer} could not be reached a moment ago: try again soon")
        try:
            self._keys = self._keys or jwt.PyJWKClient(self._jwks_url or self._discovered(), timeout=_ISSUER_SECONDS)
            return self._keys.get_signing_key_from_jwt(token)
        except (jwt.PyJWKClientConnectionError, BackendDown, OSError, ValueError) as error:
            self._pause_until = time.monotonic() + _PAUSE_SECONDS
            log.warning("no keys to verify tokens with: %s", error)
            raise IssuerUnreachable(f"the keys of {self._issuer} cannot be had: try again soon") from None

    def _discovered(self) -> str:
        """Where the issuer's metadata (RFC 8414, or OpenID Connect's) says that its keys are."""
        for url in build_oauth_authorization_server_metadata_discovery_urls(self._issuer, self._issuer):
            answer = Http(url, seconds=_ISSUER_SECONDS, attempts=1).get("")
            if answer.status != 200:
                continue
            metadata = json.loads(answer.body)
            if isinstance(metadata, dict) and metadata.get("issuer") == self._issuer and "jwks_uri" in metadata:
                return str(metadata["jwks_uri"])
        raise BackendDown(
            f"{self._issuer} has no metadata that names itself as issuer and its jwks_uri: "
            "compare MIDWATCH_OAUTH_ISSUER letter by letter, or set MIDWATCH_OAUTH_JWKS_URL"
        )


class EitherToken(TokenVerifier):
    """The first verifier that knows a token is believed."""

    def __init__(self, *verifiers: TokenVerifier) -> None:
        self._verifiers = verifiers

    async def verify_token(self, token: str) -> AccessToken | None:
        """Return the caller; None when no verifier knows the token."""
        for verifier in self._verifiers:
            if caller := await verifier.verify_token(token):
                return caller
        return None


def verifier_of(access: AccessSettings, named: Sequence[Caller] = ()) -> TokenVerifier | None:
    """Return what verifies tokens as the settings and the `named` say; None when callers need none."""
    verifiers: list[TokenVerifier] = [StaticToken(access.token, access.oauth_scopes)] if access.token else []
    if named:
        verifiers.append(TokensOfNames(named, access.oauth_scopes))
    if access.oauth_issuer and access.public_url:
        audience = access.oauth_audience or access.public_url
        verifiers.append(IssuedTokens(access.oauth_issuer, audience, access.oauth_jwks_url))
    return EitherToken(*verifiers) if verifiers else None


def _caller(token: str, claims: Mapping[str, Any]) -> AccessToken:
    """Return a verified token's bearer; names of claims are those of RFC 9068, or what Okta and Entra ID say for it."""
    scopes = claims.get("scope", claims.get("scp", ""))
    client = claims.get("client_id") or claims.get("azp") or claims.get("sub") or "unnamed"
    return AccessToken(
        token=token,
        client_id=str(client),
        scopes=scopes.split() if isinstance(scopes, str) else [str(scope) for scope in scopes],
        expires_at=int(claims["exp"]) + LEEWAY_SECONDS,
        subject=str(claims["sub"]) if "sub" in claims else None,
        claims=dict(claims),
    )
