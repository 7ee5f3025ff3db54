"""Commands about the system: the demo, the daemon, the topology, the servers' health, the records' schema."""

import json
import sys
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Annotated

import typer
from pydantic import TypeAdapter
from rich.console import Console

from midwatch.accuracy.robots import known_faults
from midwatch.cli.app import app
from midwatch.cli.output import losing
from midwatch.cli.shared import (
    Json,
    console_for,
    open_journal,
    print_json,
    print_table,
    run_async,
    settings_or_fail,
    told,
)
from midwatch.demo import Show, Shown
from midwatch.demo import demo as run_demo
from midwatch.doctor import Finding, examine
from midwatch.errors import HostError, first_of
from midwatch.host import open_host
from midwatch.mitigation.approvals import AtTheTerminal
from midwatch.reading.packet import drawn
from midwatch.records import BODIES
from midwatch.settings import Settings
from midwatch.storage.named import find_incident
from midwatch.up import up as run_up
from midwatch_kit.errors import KitError
from midwatch_kit.window import resolve_window
from midwatch_topology import Topology, to_json, to_mermaid, to_svg

_NONE = Finding(
    "servers", "connection", ok=False, detail="there is none", do="see docs/host.md: backends, servers_file"
)

_TURN_SECONDS = 0.0005
"""How long a thread of Python keeps others waiting, a tenth of the default: whoever stores alerts in PostgreSQL waits
for it some 30 times in a transaction, and would each time wait for a whole turn of whoever answers requests."""


@app.command()
def demo(
    fault: Annotated[str, typer.Option(help="what to break: see `robots faults`")] = "forge-field",
    seed: Annotated[int, typer.Option(help="moves times, instances and red herrings")] = 1,
    keep: Annotated[Path | None, typer.Option(help="folder for the journal and all files; a new one")] = None,
    as_json: Json = False,
) -> None:
    """Break a small real application and watch it being investigated, mitigated and proven healthy."""
    run_async(known_faults, [fault])
    folder = keep or Path(tempfile.mkdtemp(prefix="midwatch-demo-"))
    console = console_for(as_json=as_json)
    shown = run_async(run_demo, Show(fault, seed, folder, console, AtTheTerminal(console)))
    if as_json:
        print_json(_demo_result(shown, folder))
        return
    console.rule()
    console.print(shown.report.packet, highlight=False, markup=False, soft_wrap=True)
    console.rule()
    console.print(f"From alert to conclusion: {shown.seconds_to_conclusion:.1f} s", highlight=False)
    console.print(
        f"What had really been done: {json.dumps(shown.truth)}", highlight=False, markup=False, soft_wrap=True
    )
    console.print(f"The path from the cause to the alarm, drawn: {shown.picture}", highlight=False, soft_wrap=True)
    console.print(f"Read it again: MIDWATCH_DATA_DIR={folder}/host midwatch report", highlight=False, soft_wrap=True)


@app.command()
def up(
    address: Annotated[str | None, typer.Option(help="address to listen on", show_default="127.0.0.1")] = None,
    port: Annotated[int | None, typer.Option(help="port of the webhook", show_default="8750")] = None,
    store_port: Annotated[
        int | None, typer.Option(help="port of the store's OTLP receiver", show_default="4318")
    ] = None,
    store: Annotated[bool | None, typer.Option(help="run the embedded store", show_default="store")] = None,
) -> None:
    """Run the store, the host and its webhook; takes up what was unfinished."""
    said = {"listen_address": address, "listen_port": port, "store_port": store_port, "run_store": store}
    settings = settings_or_fail(**said)
    if settings.database_url is not None:
        sys.setswitchinterval(_TURN_SECONDS)
    run_async(run_up, settings, Console(file=losing(sys.stdout)))


@app.command()
@told()
def topology(
    incident: Annotated[str, typer.Argument(help="draw what this incident was about; now, when left out")] = "",
    form: Annotated[str, typer.Option("--format", help="mermaid, json or svg")] = "mermaid",
    start: Annotated[str, typer.Option(help="look at telemetry since")] = "-1h",
    highlight: Annotated[list[str] | None, typer.Option(help="entities of a path to mark, in order")] = None,
) -> None:
    """Draw what the application is made of: as the servers see it now, or as an incident's investigation did."""
    draw: dict[str, Callable[[Topology, Sequence[str]], str]] = {
        "json": lambda graph, _: to_json(graph, indent=2),
        "mermaid": to_mermaid,
        "svg": to_svg,
    }
    if form not in draw:
        raise typer.BadParameter(f"{form!r} is none of {', '.join(draw)}", param_hint="--format")
    if incident:
        with open_journal() as journal:
            graph, path = drawn(find_incident(journal, incident).id, journal)
    else:
        graph, path = run_async(_discover, start), ()
    typer.echo(draw[form](graph, highlight or path))


@app.command()
def doctor(as_json: Json = False) -> None:
    """Look at the settings, the database, the address, the channels and every server, and say what to do."""
    findings = run_async(_examine, settings_or_fail())
    if as_json:
        print_json([finding.__dict__ for finding in findings])
    else:
        rows = [(each.server, each.what, "ok" if each.ok else "✗", each.detail, each.do) for each in findings]
        print_table(("what", "check", "", "detail", "what to do"), rows)
    raise typer.Exit(0 if all(finding.ok for finding in findings) else 1)


@app.command()
def schema() -> None:
    """Print the JSON Schema of every record type."""
    print_json({name: TypeAdapter(shape).json_schema() for name, shape in BODIES.items()})


async def _discover(start: str) -> Topology:
    async with open_host(settings_or_fail()) as host:
        return await host.topology(resolve_window(start, "now"))


async def _examine(settings: Settings) -> list[Finding]:
    """Return all that there is to say; what keeps a host from starting keeps nobody from hearing the rest."""
    from midwatch.surroundings import surroundings  # noqa: PLC0415 - it takes long to import, and few want it

    findings = [finding async for finding in surroundings(settings)]
    if any(finding.server == "database" and not finding.ok for finding in findings):
        return [
            *findings,
            Finding("servers", "connection", ok=False, detail="not asked", do="the database comes first"),
        ]
    why = ""
    try:
        async with open_host(settings) as host:
            findings += await examine(host) or [_NONE]
    except* (HostError, KitError) as group:
        why = str(first_of(group))
    return [*findings, Finding("servers", "connection", ok=False, detail=why, do="correct it")] if why else findings


def _demo_result(shown: Shown, folder: Path) -> dict[str, object]:
    return {
        "incident": shown.incident.id,
        "conclusion": shown.conclusion.model_dump(mode="json"),
        "report": shown.report.model_dump(mode="json"),
        "seconds_to_conclusion": shown.seconds_to_conclusion,
        "truth": shown.truth,
        "folder": str(folder),
    }
