"""Logins at servers that want a person behind the host: OAuth 2.1 with PKCE, by the SDK's own client.

A person logs in once (`midwatch login NAME`); from then on the tokens are kept, and renewed with their refresh token. A
host that runs opens no browser: without a login that holds, the server is a gap that says what to do.
"""

import os
import time
from collections.abc import Awaitable, Callable
from contextlib import suppress
from pathlib import Path
from typing import TypeAlias

import httpx2
from mcp.client.auth import OAuthClientProvider
from mcp.shared.auth import (
    AuthorizationCodeResult,
    OAuthClientInformationFull,
    OAuthClientMetadata,
    OAuthMetadata,
    OAuthToken,
)
from pydantic import AnyUrl, BaseModel, ValidationError

from midwatch.errors import HostError
from midwatch.settings import OAuth

LogIn: TypeAlias = Callable[[str], Awaitable[AuthorizationCodeResult]]
"""Takes a person to an authorization server's page, and returns what comes back from it."""


class NotLoggedIn(HostError):
    """Raised when a server wants a login that the host does not have."""


class _Kept(BaseModel):
    """What is kept of a login; `expires_at` is seconds since 1970."""

    tokens: OAuthToken | None = None
    expires_at: float | None = None
    client: OAuthClientInformationFull | None = None
    metadata: OAuthMetadata | None = None


class Logins:
    """One server's login in a file that only its owner can read; the SDK's storage of tokens."""

    def __init__(self, path: Path, oauth: OAuth) -> None:
        self._path, self._oauth = path, oauth
        self.provider: OAuthClientProvider | None = None
        self.kept = self._read()

    async def get_tokens(self) -> OAuthToken | None:
        """Return the tokens that are kept."""
        return self.kept.tokens

    async def set_tokens(self, tokens: OAuthToken) -> None:
        """Keep tokens, with when they expire and where they can be renewed: the next process knows neither."""
        expires_at = None if tokens.expires_in is None else time.time() + tokens.expires_in
        metadata = self.provider.context.oauth_metadata if self.provider else None
        self._write(self.kept.model_copy(update={"tokens": tokens, "expires_at": expires_at, "metadata": metadata}))

    async def get_client_info(self) -> OAuthClientInformationFull | None:
        """Return as whom the host is registered: by the settings, or as it registered itself."""
        if self._oauth.client_id is None:
            return self.kept.client
        secret = self._oauth.client_secret
        return OAuthClientInformationFull(
            client_id=self._oauth.client_id,
            client_secret=secret.get_secret_value() if secret else None,
            redirect_uris=[redirect_uri(self._oauth)],
            token_endpoint_auth_method="client_secret_basic" if secret else "none",
        )

    async def set_client_info(self, client_info: OAuthClientInformationFull) -> None:
        """Keep as whom the host registered itself."""
        self._write(self.kept.model_copy(update={"client": client_info}))

    def _read(self) -> _Kept:
        try:
            return _Kept.model_validate_json(self._path.read_bytes())
        except (OSError, ValidationError):  # none yet, or of another version: a person logs in again
            return _Kept()

    def _write(self, kept: _Kept) -> None:
        self.kept = kept
        self._path.parent.mkdir(parents=True, exist_ok=True)
        written = self._path.with_suffix(".new")
        with suppress(FileNotFoundError):
            written.unlink()
        with os.fdopen(os.open(written, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
            file.write(kept.model_dump_json(exclude_none=True).encode())
        written.replace(self._path)


def authorization(url: str, oauth: OAuth, path: Path, log_in: LogIn | None = None) -> httpx2.Auth:
    """Return what authorizes requests to a server by the login that is kept in `path`, or by a new one.

    Without `log_in` nobody is there to log in: requests that need it then raise `NotLoggedIn`.
    """
    kept = Logins(path, oauth)
    address: list[str] = []

    async def redirect(to: str) -> None:
        address[:] = [to]

    async def come_back() -> AuthorizationCodeResult:
        if log_in is None:
            raise NotLoggedIn(f"it wants a person to log in: run midwatch login {path.name.partition('.')[0]}")
        return await log_in(address[0])

    kept.provider = OAuthClientProvider(
        server_url=url,
        client_metadata=OAuthClientMetadata(
            client_name="midwatch",
            redirect_uris=[redirect_uri(oauth)],
            grant_types=["authorization_code", "refresh_token"],
        ),
        storage=kept,
        redirect_handler=redirect,
        callback_handler=come_back,
        client_metadata_url=oauth.client_metadata_url,
    )
    context = kept.provider.context
    context.oauth_metadata, context.token_expiry_time = kept.kept.metadata, kept.kept.expires_at
    return kept.provider


def redirect_uri(oauth: OAuth) -> AnyUrl:
    """Return where the authorization server sends the person back to."""
    return AnyUrl(f"http://127.0.0.1:{oauth.redirect_port}/callback")
