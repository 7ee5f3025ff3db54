"""Commands about alerts: what a sender's body would become."""

import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer

from midwatch.cli.app import app
from midwatch.cli.shared import fail, print_json, settings_or_fail, told
from midwatch.intake import SOURCES
from midwatch.intake.strict_json import parsed
from midwatch.settings.intake import IntakeSettings

alert_app = typer.Typer(help="Alerts, before there is an incident.", no_args_is_help=True)
app.add_typer(alert_app, name="alert")


@alert_app.command("test")
@told()
def dry_run(
    source: Annotated[str, typer.Argument(help=f"one of {', '.join(SOURCES)}")],
    body: Annotated[Path | None, typer.Argument(help="a file with the body; standard input, when left out")] = None,
    header: Annotated[list[str] | None, typer.Option(help="such as 'X-GitHub-Event: ping'; may be repeated")] = None,
) -> None:
    """Show the alerts that a body would become; verifies no signature, stores nothing, opens no incident."""
    if source not in SOURCES:
        fail(f"there is no source {source!r}; there are: {', '.join(SOURCES)}")
    try:
        content = body.read_bytes() if body else sys.stdin.buffer.read()
    except OSError as error:
        fail(f"cannot read {body}: {error.strerror}")
    pairs = (each.partition(":") for each in header or ())
    headers = {name.strip().lower(): value.strip() for name, _, value in pairs}
    one = SOURCES[source]
    chosen = one.settings(settings_or_fail().intake or IntakeSettings())
    alerts = one.alerts(parsed(content), chosen, headers, datetime.now(UTC))
    print_json([alert.model_dump(mode="json", exclude={"raw"}) for alert in alerts])
