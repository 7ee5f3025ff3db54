"""The application: which commands there are, in which module each is, and where all of them begin and end.

A module is imported when one of its commands is called: who looks at a packet at night need not wait for all the rest.
"""

import gc
import os
import sys
from importlib import import_module
from pathlib import Path
from typing import Annotated, Any, Final

import typer
from typer.core import TyperCommand, TyperGroup

from midwatch.cli.output import ready_streams

COMMANDS: Final[dict[str, tuple[str, str]]] = {
    "investigate": ("investigating", "Investigate one incident, once, and say what was found."),
    "report": ("incidents", "Show what an investigation found, or verify that its evidence still stands."),
    "incidents": ("incidents", "List the incidents on record, the latest last."),
    "alerts": ("triage", "List alerts with what became of them and why, the latest last."),
    "ask": ("chat", "Ask about an investigation, or about the environment; every line says what it rests on."),
    "chat": ("chat", "Hold a conversation, a line a question, until Ctrl-D; /help says what else can be typed."),
    "show": ("show", "Open what an answer cites: stored bytes, a place in them, or a record."),
    "approve": ("incidents", "Approve a plan, as a whole, by its digest."),
    "reject": ("incidents", "Reject a plan by its digest."),
    "steer": (
        "steer",
        "Tell a running or finished investigation when to look, what is noise, or which cause to test.",
    ),
    "feedback": ("cases", "Put on record what the cause really was."),
    "up": ("system", "Run the store, the host and its webhook; takes up what was unfinished."),
    "mcp": ("mcp", "Serve investigations to an MCP client: start, follow, steer, ask, read."),
    "demo": ("system", "Break a small real application and watch it being investigated, mitigated and proven healthy."),
    "topology": (
        "system",
        "Draw what the application is made of: as the servers see it now, or as an incident's investigation did.",
    ),
    "doctor": (
        "system",
        "Look at the settings, the database, the address, the channels and every server, and say what to do.",
    ),
    "login": ("login", "Log in at a server, in a browser on this machine; the login is kept, and renewed."),
    "snapshot": ("cases", "Keep all that an investigation looked at as one portable directory or file."),
    "replay": (
        "cases",
        "Investigate a snapshot again, the same way every time; asks nobody and changes nothing.",
    ),
    "diff": (
        "cases",
        "Show what changed between two conclusions on the same case; exit code 1 when something did.",
    ),
    "export": (
        "keeping",
        "Write an investigation into one file: its records, and all evidence; whatever is on record is in it.",
    ),
    "import": (
        "keeping",
        "Take an exported investigation in, once it is found whole; it can be read here, and nobody goes on with it.",
    ),
    "keep": ("keeping", "Keep an investigation whatever its age."),
    "prune": (
        "keeping",
        "Let go what is older than MIDWATCH_RETENTION__DAYS, and evidence that no record names.",
    ),
    "schema": ("system", "Print the JSON Schema of every record type."),
    "openapi": ("api", "Print the OpenAPI document of the HTTP API."),
    "alert": ("alerts", "Alerts, before there is an incident."),
    "bench": ("bench", "Measure midwatch."),
    "case": ("cases", "Incidents kept as tests: save one, check many."),
    "config": ("config", "The settings: check them, show what holds, describe them to an editor."),
    "db": ("db", "The database: which revision its tables are of, and bringing them to another."),
    "notify": ("notify", "The places where people are told."),
    "recommendations": ("recommendations", "What would have prevented incidents, and what became of it."),
    "server": ("server", "Check MCP servers, and see what may be used of them."),
    "steering": ("steering", "Files that tell midwatch what a team knows of its own systems."),
    "token": ("token", "Tokens: who may do what over HTTP."),
    "triage": ("triage", "Decide by hand what alerts are part of."),
}
"""Each command with its module in this folder, and what `midwatch --help` says of it."""
_INTERRUPTED: Final = 130


class _Commands(TyperGroup):
    """Knows every command by its line of help, and the command itself once its module is imported."""

    def __init__(self, **settings: Any) -> None:
        super().__init__(**settings)
        listed = {name: TyperCommand(name, help=said) for name, (_, said) in COMMANDS.items()}
        self.commands = {**listed, **self.commands}

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        """Import the module of the command that is called."""
        if args and args[0] in COMMANDS:
            import_module(f"midwatch.cli.{COMMANDS[args[0]][0]}")
            self.commands[args[0]] = typer.main.get_group(app).commands[args[0]]
            _collect_from_here_on()
        return super().resolve_command(ctx, args)


app = typer.Typer(
    name="midwatch",
    help="Investigates production incidents.",
    no_args_is_help=True,
    add_completion=False,
    cls=_Commands,
)


def _version(asked: bool) -> None:
    if asked:
        from importlib.metadata import version  # noqa: PLC0415 - it takes longer than all the rest

        typer.echo(f"midwatch {version('midwatch')}")
        raise typer.Exit


@app.callback()
def _before(
    config: Annotated[
        Path | None, typer.Option(help="settings file, TOML; else MIDWATCH_CONFIG, midwatch.toml")
    ] = None,
    _: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="say which version this is, and end")
    ] = False,
) -> None:
    """Investigates production incidents."""
    if config:
        os.environ["MIDWATCH_CONFIG"] = str(config)


def main() -> None:
    """Run the command line; exits with 0 when all is well, 1 with a clear line when not, 130 when interrupted."""
    ready_streams()
    try:
        app()
    except KeyboardInterrupt:
        sys.exit(_INTERRUPTED)


def _collect_from_here_on() -> None:
    """Begin to collect garbage, where `__main__` put it off."""
    if not gc.isenabled():
        gc.freeze()  # what was imported stays: no later collection need walk through it
        gc.enable()
