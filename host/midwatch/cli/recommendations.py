"""Commands about recommendations: list them, hand one out to a coding agent, say what became of it."""

from datetime import UTC, datetime
from typing import Annotated

import typer

from midwatch.cli.app import app
from midwatch.cli.shared import Json, open_journal, print_json
from midwatch.reading.handout import handout
from midwatch.reading.recommendations import decide, find, in_short, standing
from midwatch.reading.recommendations import told as in_lines
from midwatch.records.recommendation import Standing

recommendations = typer.Typer(help="What would have prevented incidents, and what became of it.")
app.add_typer(recommendations, name="recommendations", invoke_without_command=True)

Name = Annotated[str, typer.Argument(help="its id, or the beginning of it")]
By = Annotated[str, typer.Option(help="who says so")]
Reason = Annotated[str, typer.Option(help="why, for the record")]


@recommendations.callback()
def listed(context: typer.Context, as_json: Json = False) -> None:
    """List the recommendations, those first that would have prevented most."""
    if context.invoked_subcommand:
        return
    with open_journal() as journal:
        known = standing(journal, datetime.now(UTC))
    if as_json:
        print_json([each.model_dump(mode="json") for each in known])
        return
    for each in known:
        typer.echo(in_short(each))


@recommendations.command()
def show(recommendation: Name, as_json: Json = False) -> None:
    """Show one recommendation: what it would have prevented, what to do, what was said of it."""
    with open_journal() as journal:
        found = find(journal, recommendation, datetime.now(UTC))
    if as_json:
        print_json(found.model_dump(mode="json"))
        return
    for line in in_lines(found):
        typer.echo(line)


@recommendations.command()
def spec(recommendation: Name) -> None:
    """Print what a coding agent needs to make the fix, as markdown."""
    with open_journal() as journal:
        typer.echo(handout(find(journal, recommendation, datetime.now(UTC)), journal))


@recommendations.command()
def accept(recommendation: Name, by: By = "a person", reason: Reason = "") -> None:
    """Say that it will be done."""
    _decide(recommendation, "accepted", by, reason)


@recommendations.command()
def reject(recommendation: Name, by: By = "a person", reason: Reason = "") -> None:
    """Say that it will not be done; give the reason."""
    _decide(recommendation, "rejected", by, reason)


@recommendations.command()
def implemented(recommendation: Name, by: By = "a person", reason: Reason = "") -> None:
    """Say that it is done; should an incident come again that it would have prevented, it is proposed again."""
    _decide(recommendation, "implemented", by, reason)


def _decide(recommendation: str, status: Standing, by: str, reason: str) -> None:
    with open_journal() as journal:
        found = decide(journal, recommendation, status, by=by, reason=reason)
    typer.echo(f"{found.status} by {found.said_by}: {found.id} {found.title}")
