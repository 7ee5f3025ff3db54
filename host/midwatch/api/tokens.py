"""Tokens: who may do what over HTTP. Kept as hashes, printed once, found by their hash.

A token is 256 bits of chance, so a plain SHA-256 of it is enough: salts and slow hashes are there for what people
choose and others can guess, and nobody tries 2²⁵⁶ values. What is looked up is the hash, so the time that it takes
says nothing of the token. A name stays taken after its token was revoked: what was done under it stays on record.
"""

import hashlib
import hmac
import re
import secrets
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from typing import Final

import sqlalchemy as sa
from pydantic import BaseModel, Field

from midwatch.errors import HostError
from midwatch.storage.database import Database
from midwatch.storage.tables import tokens
from midwatch_kit.records import Moment
from midwatch_kit.window import rfc3339

PREFIX: Final = "mw_"
"""With which a token begins, so that whoever scans for secrets knows one."""
FIRST: Final = "first"
NAME: Final = r"^[a-z0-9][a-z0-9._-]{0,63}$"
_NAME = re.compile(NAME)
_BYTES = 32


class Scope(StrEnum):
    """What a token may be used for; `admin` is for everything, and for tokens."""

    READ = "read"
    ALERTS = "alerts"
    STEER = "steer"
    APPROVE = "approve"
    ADMIN = "admin"


class BadToken(HostError):
    """Raised when a token cannot be made or is not there; the message says why."""


class Token(BaseModel):
    """A token as it is known: never the token itself."""

    name: str
    scopes: list[Scope]
    created_at: Moment
    expires_at: Moment | None = None
    revoked_at: Moment | None = None

    def lives(self, now: datetime) -> bool:
        """Return whether it can be used."""
        return self.revoked_at is None and (self.expires_at is None or now < self.expires_at)

    def may(self, scope: Scope) -> bool:
        """Return whether it has a scope."""
        return scope in self.scopes or Scope.ADMIN in self.scopes


class NewToken(Token):
    """A token that was just made, with what is never shown again."""

    token: str = Field(description="the token itself: it is shown this once")


@dataclass(frozen=True)
class Tokens:
    """The tokens of a database."""

    database: Database

    def create(self, name: str, scopes: Iterable[Scope], expires_at: datetime | None = None) -> NewToken:
        """Make a token and return it; raises `BadToken` for a name that is taken or cannot be one."""
        made = f"{PREFIX}{secrets.token_urlsafe(_BYTES)}"
        return NewToken(**self._keep(made, name, scopes, expires_at).model_dump(), token=made)

    def adopt(self, token: str, name: str = FIRST) -> bool:
        """Let a token that somebody else made be used for everything; False when it is known already."""
        if self.known(token):
            return False
        for number in range(1, 1000):
            try:
                self._keep(token, name if number == 1 else f"{name}-{number}", [Scope.ADMIN], None)
            except BadToken:
                continue
            return True
        raise BadToken(f"there are too many tokens that begin with {name!r}")

    def revoke(self, name: str) -> Token:
        """End a token for good; raises `BadToken` when there is none of that name."""
        mine = tokens.c.name == name
        with self.database.writing() as connection:
            ended = sa.update(tokens).where(mine, tokens.c.revoked_at.is_(None))
            connection.execute(ended.values(revoked_at=rfc3339(datetime.now(UTC))))
            row = connection.execute(sa.select(tokens).where(mine)).mappings().one_or_none()
        if row is None:
            raise BadToken(f"there is no token {name[:80]!r}: `midwatch token list` says which there are")
        return _token(row)

    def every(self) -> list[Token]:
        """Return every token that was ever made, the oldest first."""
        with self.database.reading() as connection:
            rows = connection.execute(sa.select(tokens).order_by(tokens.c.created_at, tokens.c.name)).mappings().all()
        return [_token(row) for row in rows]

    def is_one_alive(self, now: datetime) -> bool:
        """Return whether there is a token that can be used."""
        return any(token.lives(now) for token in self.every())

    def known(self, token: str) -> Token | None:
        """Return what is known of a token; None when there is none such. It may have ended."""
        hashed = _hashed(token)
        with self.database.reading() as connection:
            row = connection.execute(sa.select(tokens).where(tokens.c.hash == hashed)).mappings().one_or_none()
        return _token(row) if row and hmac.compare_digest(row["hash"], hashed) else None

    def _keep(self, token: str, name: str, scopes: Iterable[Scope], expires_at: datetime | None) -> Token:
        wanted: Sequence[Scope] = sorted(set(scopes))
        if not _NAME.fullmatch(name):
            raise BadToken(
                f"{name[:80]!r} is no name of a token: lower-case letters, digits, dots and hyphens, up to 64"
            )
        if not wanted:
            raise BadToken(f"a token needs a scope: {', '.join(Scope)}")
        now = datetime.now(UTC)
        if expires_at is not None and expires_at <= now:
            raise BadToken(f"it would have expired at {rfc3339(expires_at)}: give a time to come")
        row = {
            "name": name,
            "hash": _hashed(token),
            "scopes": " ".join(wanted),
            "created_at": rfc3339(now),
            "expires_at": rfc3339(expires_at) if expires_at else None,
        }
        with self.database.writing() as connection:
            if connection.execute(sa.select(tokens.c.name).where(tokens.c.name == name)).scalar():
                raise BadToken(
                    f"{name!r} is taken, for good: what was done under it stays on record. Take another name"
                )
            connection.execute(sa.insert(tokens), row)
        return Token(name=name, scopes=[*wanted], created_at=now, expires_at=expires_at)


def _hashed(token: str) -> str:
    return hashlib.sha256(token.encode()).hexdigest()


def _token(row: sa.RowMapping) -> Token:
    told = {name: row[name] for name in ("name", "created_at", "expires_at", "revoked_at")}
    return Token(**told, scopes=[Scope(scope) for scope in row["scopes"].split()])
