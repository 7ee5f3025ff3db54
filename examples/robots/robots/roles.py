"""The roles that services have in the database, one each; what a role may do, the application's schema grants."""

import hashlib
from urllib.parse import urlsplit

import psycopg
from psycopg import sql

ROLES = ("bot", "schedule", "action")


async def create_roles(url: str) -> None:
    """Create every role in the database at its owner's URL; raises psycopg.Error when one is there already."""
    async with await psycopg.AsyncConnection.connect(url, autocommit=True, connect_timeout=2) as connection:
        for role in ROLES:
            create = sql.SQL("CREATE ROLE {} LOGIN PASSWORD {}")
            await connection.execute(create.format(sql.Identifier(role), _password(url, role)))


def url_of(url: str, role: str) -> str:
    """Return the database's URL as a role reaches it, from its owner's URL."""
    parts = urlsplit(url)
    address = parts.netloc.rpartition("@")[2]
    return parts._replace(netloc=f"{role}:{_password(url, role)}@{address}").geturl()


def _password(url: str, role: str) -> str:
    return hashlib.sha256(f"{urlsplit(url).password} {role}".encode()).hexdigest()[:24]
