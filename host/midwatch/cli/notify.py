"""Commands about the places where people are told."""

from typing import Annotated

import typer

from midwatch.channels.letters import Undelivered
from midwatch.channels.opening import check_channels, send_test
from midwatch.cli.app import app
from midwatch.cli.shared import Json, fail, print_json, print_table, run_async, settings_or_fail, told

notify = typer.Typer(help="The places where people are told.", no_args_is_help=True)
app.add_typer(notify, name="notify")


@notify.command("test")
@told()
def try_out(channel: Annotated[str, typer.Argument(help="its name in the settings")]) -> None:
    """Send a test message to one place, and say what came of it."""
    settings = settings_or_fail().channels
    if channel not in settings:
        fail(f"there is no channel {channel!r} in the settings; there are: {', '.join(settings) or 'none'}")
    try:
        typer.echo(f"{channel}: {run_async(send_test, channel, settings[channel])}")
    except Undelivered as error:
        fail(f"{channel}: {error}")
    except TimeoutError:
        fail(f"{channel}: no answer within {2 * settings[channel].seconds:g} s")


@notify.command("check")
@told()
def check(as_json: Json = False) -> None:
    """Ask every place whether it can be told, without saying anything to anybody."""
    found = run_async(check_channels, settings_or_fail().channels)
    if as_json:
        print_json([each.__dict__ for each in found])
    else:
        rows = [(each.channel, "ok" if each.ok else "✗", each.detail, each.do) for each in found]
        print_table(("channel", "", "detail", "what to do"), rows)
    raise typer.Exit(0 if all(each.ok for each in found) else 1)


@notify.command("schema")
def schema() -> None:
    """Print the JSON Schema of the events that webhooks are sent."""
    from midwatch.channels.webhook import Event  # noqa: PLC0415 - with it come clients that no other command needs

    print_json(Event.model_json_schema())
