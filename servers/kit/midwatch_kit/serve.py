"""From settings to a running server: the command line, both transports, signals, and exit codes that mean something.

0: the client left, or over HTTP a signal came. 1: the server could not start, or could not go on. 2: a setting cannot
be used. Both come with one clear line on stderr. On stdio a signal ends the process at once: a server keeps nothing
that a signal could tear. Over HTTP calls under way get their answer first.
"""

import functools
import gc
import os
import signal
import socket
import sys
from collections.abc import Callable
from typing import NoReturn, TypeVar

import anyio
from pydantic import ValidationError
from pydantic_core import ErrorDetails
from pydantic_settings import SettingsError

from midwatch_kit.errors import KitError, without_login
from midwatch_kit.server import EvidenceServer
from midwatch_kit.settings import ServerSettings

SettingsT = TypeVar("SettingsT", bound=ServerSettings)

PATH = "/mcp"
GRACE_SECONDS = 5
"""How long calls under way may take to end when a signal comes, over HTTP."""


def run(build: Callable[[SettingsT], EvidenceServer], settings_class: type[SettingsT]) -> None:
    """Read settings from the environment and the command line and serve until the client leaves or a signal comes."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)  # Python's own handler waits for a thread that waits for stdin
    try:
        settings = settings_class(_cli_parse_args=True)
        server = build(settings)
    except ValidationError as error:
        _leave(2, "These settings cannot be used:", *map(_fault, error.errors()))
    except (SettingsError, KitError) as error:
        _leave(2, f"These settings cannot be used: {error}")
    if settings.transport == "stdio":
        _collect_from_here_on()
        server.build().run("stdio")
        sys.stdout.flush()
        os._exit(0)  # a query that nobody waits for any more may still run in its thread
    else:
        _serve_http(server, build, settings)


def _serve_http(server: EvidenceServer, build: Callable[[SettingsT], EvidenceServer], settings: SettingsT) -> None:
    from midwatch_kit.access import guarded_app  # noqa: PLC0415 - a start on stdio need not wait for it
    from midwatch_kit.serving import serve_until_signalled  # noqa: PLC0415 - nor for this

    try:
        app = guarded_app(server, build, settings, PATH)
        listening = _listen(settings.host, settings.port)
    except KitError as error:
        _leave(2, f"These settings cannot be used: {error}")
    except OSError as error:
        at = f"{settings.host} port {settings.port}"
        _leave(1, f"{server.name} cannot listen on {at}: {error.strerror}; choose another")
    host, port = listening.getsockname()[:2]
    _collect_from_here_on()
    sys.stderr.write(f"{server.name} listens on http://{f'[{host}]' if ':' in host else host}:{port}{PATH}\n")
    serve = functools.partial(serve_until_signalled, log_level=settings.log_level.lower())
    anyio.run(serve, app, listening, GRACE_SECONDS)
    sys.stderr.flush()
    os._exit(0)  # a query that nobody waits for any more may still run in its thread


def _collect_from_here_on() -> None:
    gc.freeze()  # what was imported stays: no later collection need walk through it
    gc.enable()


def _listen(host: str, port: int) -> socket.socket:
    family, kind, protocol, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
    listening = socket.socket(family, kind, protocol)
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listening.bind(address)
    listening.listen()
    return listening


def _fault(fault: ErrorDetails) -> str:
    where, message, given = ".".join(map(str, fault["loc"])), fault["msg"].removeprefix("Value error, "), fault["input"]
    if not where:  # the settings as a whole are at fault, and among them may be a secret
        return f"  {message}"
    named = f" (got {without_login(str(given))!r})" if isinstance(given, str | int | float) else ""
    return f"  {where}: {message}{named}"


def _leave(code: int, *lines: str) -> NoReturn:
    sys.stderr.write("\n".join(lines) + "\n")
    sys.stderr.flush()
    os._exit(code)  # at an orderly end DuckDB's bindings would tell of their leaks after the one line that matters
