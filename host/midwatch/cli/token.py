"""Commands about tokens: who may do what over HTTP."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import Annotated

import typer

from midwatch.api.tokens import BadToken, Scope, Token, Tokens
from midwatch.cli.app import app
from midwatch.cli.shared import Json, open_journal, print_json, print_table
from midwatch_kit.errors import BadInput
from midwatch_kit.window import parse_time, rfc3339

token = typer.Typer(no_args_is_help=True, help="Tokens: who may do what over HTTP.")
app.add_typer(token, name="token")
_AFTER = re.compile(r"(\d+)([hdw])")
_UNITS = {"h": "hours", "d": "days", "w": "weeks"}
Name = Annotated[str, typer.Argument(help="under which things go on record, such as robin or alertmanager")]


@token.command()
def create(
    name: Name,
    scope: Annotated[list[Scope], typer.Option(help="what it may be used for; may be given several times")],
    expires: Annotated[
        str, typer.Option(help="after 12h, 30d or 8w, or at a time in RFC 3339; never when left out")
    ] = "",
    as_json: Json = False,
) -> None:
    """Make a token and print it, this once: it is kept as a hash."""
    with _tokens() as tokens:
        now = datetime.now(UTC)
        first = not tokens.every()
        made = tokens.create(name, scope, _moment(expires, now))
    if as_json:
        print_json(made.model_dump(mode="json"))
        return
    typer.echo(made.token)
    typer.echo(f"That is the token {made.name} ({', '.join(made.scopes)}); it is not shown again.", err=True)
    if first:
        typer.echo("From now on whoever asks over HTTP needs a token, on this machine too.", err=True)


@token.command("list")
def listed(as_json: Json = False) -> None:
    """List the tokens that were ever made, without the tokens themselves."""
    with _tokens() as tokens:
        known = tokens.every()
    if as_json:
        print_json([each.model_dump(mode="json") for each in known])
        return
    now = datetime.now(UTC)
    rows = [(each.name, ", ".join(each.scopes), rfc3339(each.created_at), _stands(each, now)) for each in known]
    print_table(("name", "scopes", "made", "stands"), rows)


@token.command()
def revoke(name: Name) -> None:
    """End a token: it can be used no more from this moment on."""
    with _tokens() as tokens:
        ended = tokens.revoke(name)
    typer.echo(f"{ended.name} can be used no more")


@contextmanager
def _tokens() -> Iterator[Tokens]:
    with open_journal() as journal:
        yield Tokens(journal.database)


def _moment(text: str, now: datetime) -> datetime | None:
    if not text:
        return None
    if found := _AFTER.fullmatch(text):
        return now + timedelta(**{_UNITS[found[2]]: int(found[1])})
    try:
        return parse_time(text, now)
    except BadInput as error:
        raise BadToken(f"{error}; or after 12h, 30d, 8w") from None


def _stands(each: Token, now: datetime) -> str:
    if each.revoked_at:
        return f"revoked {rfc3339(each.revoked_at)}"
    if not each.lives(now):
        return "expired"
    return f"until {rfc3339(each.expires_at)}" if each.expires_at else "for good"
