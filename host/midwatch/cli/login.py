"""The command with which a person logs in at a server once, so that the host may ask it from then on."""

from functools import partial
from typing import Annotated

import typer

from midwatch.cli.app import app
from midwatch.cli.shared import run_async, settings_or_fail
from midwatch.errors import BadSettings
from midwatch.mcp_client.browser import at_a_browser
from midwatch.mcp_client.links import connect, open_links
from midwatch.mcp_client.login import NotLoggedIn
from midwatch.mcp_client.servers import server_specs
from midwatch.settings import Settings


@app.command()
def login(
    name: Annotated[str, typer.Argument(help="a server of the servers file that has `oauth`")],
    seconds: Annotated[float, typer.Option(help="how long to wait for you")] = 300.0,
) -> None:
    """Log in at a server, in a browser on this machine; the login is kept, and renewed."""
    tools = run_async(_logged_in, settings_or_fail(), name, seconds)
    typer.echo(f"logged in at {name}: it has {tools} tools")


async def _logged_in(settings: Settings, name: str, seconds: float) -> int:
    """Log in, and return how many tools there are for it; raises `BadSettings` and `NotLoggedIn`."""
    specs = server_specs(settings)
    if name not in specs or (oauth := specs[name].oauth) is None:
        known = ", ".join(each for each, spec in specs.items() if spec.oauth) or "none has"
        raise BadSettings(f"{name} has no oauth in the servers file: {known}")
    log_in = at_a_browser(oauth, lambda text: typer.echo(text, err=True))
    reach = partial(connect, log_in=log_in)
    async with open_links({name: specs[name]}, seconds, settings.data_dir / "servers", reach) as links:
        if not links[name].up:
            raise NotLoggedIn(f"{name}: {links[name].trouble}")
        return len(links[name].tools)
