"""The MCP server itself: the tools, resources and prompts put together, and served over stdio or HTTP."""

import signal
import sys
from collections.abc import Callable
from importlib.metadata import version
from typing import Any, Literal

from mcp.server import CacheHint, MCPServer
from pydantic import ValidationError

from midwatch.errors import BadSettings
from midwatch.mcp_client.servers import server_specs
from midwatch.mcp_server.acting import Acting
from midwatch.mcp_server.looking import Looking
from midwatch.mcp_server.prompts import offer_prompts
from midwatch.mcp_server.resources import offer_resources
from midwatch.mcp_server.running import Running, open_running
from midwatch.serving import listen
from midwatch.settings import Settings
from midwatch.steering.files import load_steering
from midwatch_kit.protect import only_known_names, protected
from midwatch_kit.serving import serve_until_signalled
from midwatch_kit.settings import AccessSettings, is_here

PATH = "/mcp"
_INSTRUCTIONS = """\
midwatch investigates production incidents: evidence first, every claim checked against stored bytes.
start_investigation takes a sentence that names a service, an alert's body or a snapshot; follow_investigation tells
what it notes; read_packet is what came of it. ask_investigation answers "why not X", "what changed", "what was seen
at X", "what is the plan" and the like from the records, ask_environment "what depends on X", "how is X now" without an
incident. What a person knows goes in through steer_investigation. A plan changes production only after a person
approved it as a whole: request_approval asks them, and nothing else can."""


def build(running: Running) -> MCPServer[Any]:
    """Return the server over what runs here."""
    server: MCPServer[Any] = MCPServer(
        "midwatch",
        title="midwatch",
        version=version("midwatch"),
        instructions=_INSTRUCTIONS,
        tools=[*Acting(running).tools(), *Looking(running).tools()],
        log_level="WARNING",
        cache_hints={"tools/list": CacheHint(ttl_ms=300_000, scope="public")},
    )
    offer_resources(server, running)
    offer_prompts(server, running)
    return server


async def serve(
    settings: Settings,
    transport: Literal["stdio", "streamable-http"],
    address: str,
    port: int,
    build: Callable[[Running], MCPServer[Any]] = build,
) -> None:
    """Serve until the client leaves or a signal comes; raises `BadSettings` and `BadSteering` before it starts."""
    server_specs(settings)  # what cannot be used is told now, not at the first call
    load_steering(settings.steering_dir)
    if transport == "stdio":
        signal.signal(signal.SIGINT, signal.SIG_DFL)  # Python's own handler waits for a thread that waits for stdin
        async with open_running(settings) as running:
            await build(running).run_stdio_async()
        return
    access = _access(address)
    with listen(address, port) as listening:
        async with open_running(settings) as running:
            url = f"http://{address}:{listening.getsockname()[1]}{PATH}"
            names = only_known_names(access) if is_here(address) else None  # who has a token is no page in a browser
            app = build(running).streamable_http_app(streamable_http_path=PATH, host=address, transport_security=names)
            sys.stderr.write(f"midwatch listens on {url}\n")
            await serve_until_signalled(protected(app, access), listening, settings.grace_seconds)


def _access(address: str) -> AccessSettings:
    """Return who may call; raises `BadSettings` when strangers could."""
    try:
        access = AccessSettings()
        access.refuse_strangers_at(address)
    except ValidationError as error:
        faults = [fault["msg"].removeprefix("Value error, ") for fault in error.errors(include_input=False)]
        raise BadSettings("; ".join(faults)) from None
    except ValueError as error:
        raise BadSettings(str(error)) from None
    return access
