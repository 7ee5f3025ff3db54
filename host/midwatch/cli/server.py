"""Commands about servers: does one keep the evidence contract, and what may be used of those that are set up."""

import os
import re
import shlex
from collections.abc import Sequence
from dataclasses import asdict
from typing import Annotated
from urllib.parse import urlsplit

import anyio
import typer

from midwatch.cli.app import app
from midwatch.cli.shared import Json, print_json, print_table, run_async, settings_or_fail, told
from midwatch.conformance import Plan, Report, check_server
from midwatch.errors import HostError, Unreachable
from midwatch.host import open_host
from midwatch.mcp_client.trust import Standing
from midwatch.settings import ServerSpec
from midwatch_kit.window import resolve_baseline, resolve_window

server = typer.Typer(help="Check MCP servers, and see what may be used of them.", no_args_is_help=True)
app.add_typer(server, name="server")

_SECRET = re.compile(r"key|token|secret|password|credential|auth", re.IGNORECASE)
_UNREACHED = 2


@server.command()
@told()
def check(
    target: Annotated[list[str], typer.Argument(help="a URL, or a command; put -- before a command with flags")],
    token_env: Annotated[str, typer.Option(help="environment variable with a bearer token for a URL")] = "",
    env: Annotated[list[str] | None, typer.Option(help="NAME or NAME=VALUE, to hand to a command")] = None,
    start: Annotated[str, typer.Option(help="begin of a window that has data")] = "-1h",
    end: Annotated[str, typer.Option(help="end of that window")] = "now",
    argument: Annotated[list[str] | None, typer.Option(help="NAME=VALUE, for tools that cannot do without")] = None,
    seconds: Annotated[float, typer.Option(help="time for one call")] = 20.0,
    as_json: Json = False,
) -> None:
    """Check a server against the evidence contract: 0 when it keeps it, 1 when not, 2 when it can't be reached."""
    handed = _handed(env or [])
    token = _from_environment(token_env) if token_env else ""
    window = resolve_window(start, end)
    plan = Plan(
        window,
        resolve_baseline(window, None, None),
        call_seconds=seconds,
        connect_seconds=settings_or_fail().connect_seconds,
        arguments=dict(_pair(each) for each in argument or []),
        secrets=_secrets(target, token, handed),
    )
    try:
        report = anyio.run(check_server, _spec(target, token, handed), plan)
    except Unreachable as error:
        _say_unreached(str(error), as_json=as_json)
        raise typer.Exit(_UNREACHED) from None
    _say(report, as_json=as_json)
    raise typer.Exit(0 if report.kept else 1)


@server.command()
@told()
def tools(as_json: Json = False) -> None:
    """List every tool of the servers that are set up, and what it may be used for."""
    found = run_async(_standings)
    if as_json:
        print_json([asdict(each) for each in found])
        return
    rows = [
        (each.server, each.tool, each.use, f"{each.tool}@{each.pin}" if each.pin else "", each.why) for each in found
    ]
    print_table(("server", "tool", "used as", "as it is now", "why not"), rows)


async def _standings() -> list[Standing]:
    async with open_host(settings_or_fail()) as host:
        return host.eyes.standings()


def _spec(target: Sequence[str], token: str, handed: dict[str, str]) -> ServerSpec:
    if len(target) == 1 and target[0].startswith(("http://", "https://")):
        return ServerSpec(url=target[0], headers={"Authorization": f"Bearer {token}"} if token else {})
    words = shlex.split(target[0]) if len(target) == 1 else list(target)
    if not words:
        raise HostError("name a URL or a command")
    return ServerSpec(command=words[0], args=words[1:], env=handed)


def _secrets(target: Sequence[str], token: str, handed: dict[str, str]) -> list[str]:
    """Return what must neither be printed nor be told by the server: what looks like a secret among its settings."""
    in_urls = [urlsplit(word).password or "" for word in target if "://" in word]
    return [s for s in (token, *in_urls, *(v for name, v in handed.items() if _SECRET.search(name))) if len(s) > 3]


def _handed(names: Sequence[str]) -> dict[str, str]:
    """Return the variables to hand to a command; a name alone takes its value from our own environment."""
    return dict(_pair(each) if "=" in each else (each, _from_environment(each)) for each in names)


def _pair(text: str) -> tuple[str, str]:
    name, equals, value = text.partition("=")
    if not (name and equals):
        raise HostError(f"{name!r} is not NAME=VALUE")
    return name, value


def _from_environment(name: str) -> str:
    if not (value := os.environ.get(name)):
        raise HostError(f"the environment variable {name} is not set")
    return value


def _say(report: Report, *, as_json: bool) -> None:
    if as_json:
        print_json(report.as_json())
        return
    for verdict in report.verdicts:
        typer.echo(str(verdict))
    typer.echo(f"\n{report.target} {'keeps the contract' if report.kept else 'does not keep the contract'}")
    if report.pins:
        typer.echo(
            "To let midwatch ask it, as it is now: " + '"allow": [' + ", ".join(f'"{p}"' for p in report.pins) + "]"
        )


def _say_unreached(why: str, *, as_json: bool) -> None:
    if as_json:
        print_json({"reached": False, "why": why})
    else:
        typer.echo(f"midwatch: cannot reach {why}", err=True)
