"""The command that opens what an answer cites."""

from typing import Annotated

import typer

from midwatch.chat.handles import names_record, opened
from midwatch.cli.app import app
from midwatch.cli.shared import open_journal, print_json, settings_or_fail, told
from midwatch.storage.named import find_incident
from midwatch.storage.state import evidence_of


@app.command()
@told()
def show(
    handle: Annotated[str, typer.Argument(help="what a line cites: 0656d7f6/rows/1, r37, or E3 of a packet")],
    incident: Annotated[str, typer.Option(help="whose record it is; the latest when left out")] = "",
) -> None:
    """Open what an answer cites: stored bytes, a place in them, or a record."""
    with open_journal() as journal:
        kept = evidence_of(settings_or_fail(), journal)
        found = find_incident(journal, incident) if names_record(handle) else None
        print_json(opened(handle, kept, journal, found))
