"""The command line: what a person types, and what they read. Everything is a reading of the journal or a call of
something else; `--json` prints the same for programs."""

import json
import sys
import tempfile
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, NoReturn, TypeVar

import anyio
import typer
from pydantic import TypeAdapter, ValidationError
from rich.console import Console
from rich.table import Table

from midwatch.approvals import AtTheTerminal, decide_by_name
from midwatch.audit import audit
from midwatch.demo import Show, Shown
from midwatch.demo import demo as run_demo
from midwatch.doctor import Finding, examine
from midwatch.errors import BadAlert, HostError, UnknownIncident
from midwatch.host import Host, open_host
from midwatch.intake import alerts_from, from_sentence
from midwatch.investigation import current
from midwatch.journal import Journal
from midwatch.live import LiveView
from midwatch.packet import drawn, packet
from midwatch.records import BODIES, Alert, Incident
from midwatch.settings import Settings
from midwatch.up import up as run_up
from midwatch_kit.errors import KitError
from midwatch_kit.evidence import EvidenceStore
from midwatch_kit.window import parse_time, resolve_window
from midwatch_topology import Topology, UnknownEntity, to_json, to_mermaid, to_svg


@contextmanager
def _told() -> Iterator[None]:
    """Turn the errors that are for people into one line and exit code 1, however deep in a group they are."""
    said = ""
    try:
        yield
    except* (HostError, KitError, UnknownEntity) as group:
        said = str(_first(group))
    if said:
        _fail(said)


app = typer.Typer(
    name="midwatch", help="Investigates production incidents.", no_args_is_help=True, add_completion=False
)
ResultT = TypeVar("ResultT")
Json = Annotated[bool, typer.Option("--json", help="print JSON for programs")]
_INTERRUPTED = 130


def main() -> None:
    """Run the command line; exits with 0 when all is well, 1 with a clear line when not, 130 when interrupted."""
    try:
        app()
    except KeyboardInterrupt:
        sys.exit(_INTERRUPTED)


@app.command()
def demo(
    fault: Annotated[str, typer.Option(help="what to break: see `robots faults`")] = "forge-field",
    seed: Annotated[int, typer.Option(help="moves times, instances and red herrings")] = 1,
    keep: Annotated[Path | None, typer.Option(help="folder for the journal and all files; a new one")] = None,
    as_json: Json = False,
) -> None:
    """Break a small real application and watch it being investigated, mitigated and proven healthy."""
    folder = keep or Path(tempfile.mkdtemp(prefix="midwatch-demo-"))
    console = _console(as_json)
    shown = _run(run_demo, Show(fault, seed, folder, console, AtTheTerminal(console)))
    if as_json:
        _print_json(_demo_result(shown, folder))
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
    address: Annotated[str, typer.Option(help="address to listen on")] = "127.0.0.1",
    port: Annotated[int, typer.Option(help="port of the webhook")] = 8750,
    store_port: Annotated[int, typer.Option(help="port of the store's OTLP receiver")] = 4318,
    store: Annotated[bool, typer.Option(help="run the embedded store")] = True,
) -> None:
    """Run the store, the host and its webhook; takes up what was unfinished."""
    _run(run_up, _settings(), Console(), address, port, store_port if store else None)


@app.command()
@_told()
def investigate(
    what: Annotated[str, typer.Argument(help="an alert file, a snapshot directory, or a sentence naming a service")],
    as_json: Json = False,
) -> None:
    """Investigate one incident, once, and say what was found."""
    settings, path = _settings(), Path(what)
    if path.is_dir():
        settings, path = settings.model_copy(update={"store": path}), path / "incident.json"
    alerts = _alerts_in(path) if path.suffix == ".json" else None
    seen = _first_seen(path) if alerts else datetime.now(UTC)
    incident_id, text = _run(_investigate_once, settings, alerts or what, seen, _console(as_json))
    _show(text, incident_id, as_json=as_json)


@app.command()
def report(
    incident: Annotated[str, typer.Argument(help="its id, or the end of it; the latest when left out")] = "",
    check: Annotated[bool, typer.Option("--check", help="verify every citation against the stored bytes")] = False,
    as_json: Json = False,
) -> None:
    """Show what an investigation found, or verify that its evidence still stands."""
    with _journal() as journal:
        found = _find(journal, incident)
        if not check:
            _show(packet(found, journal), found.id, as_json=as_json)
            return
        kept = EvidenceStore(_settings().data_dir / "evidence", sys.maxsize)
        checked = audit(found.id, journal, kept)
    if as_json:
        _print_json({"incident": found.id, **checked.__dict__})
    else:
        for fault in checked.faults:
            typer.echo(f"✗ {fault}")
        typer.echo(
            f"{checked.records} records, {checked.observations} observations, {checked.citations} citations: "
            + ("all stand on the stored bytes" if not checked.faults else f"{len(checked.faults)} faults")
        )
    raise typer.Exit(1 if checked.faults else 0)


@app.command()
def incidents(as_json: Json = False) -> None:
    """List the incidents on record, the latest last."""
    with _journal() as journal:
        known = [found for name in journal.investigations() if (found := current(journal, name))]
    if as_json:
        _print_json([found.model_dump(mode="json") for found in known])
        return
    for found in known:
        typer.echo(f"{found.id}  {found.status:<18} {found.service:<24} {found.title}")


@app.command()
def approve(incident: str, digest: str, by: Annotated[str, typer.Option(help="who says so")] = "a person") -> None:
    """Approve a plan, as a whole, by its digest."""
    _decide(incident, digest, by, approved=True)


@app.command()
def reject(incident: str, digest: str, by: Annotated[str, typer.Option(help="who says so")] = "a person") -> None:
    """Reject a plan by its digest."""
    _decide(incident, digest, by, approved=False)


@app.command()
@_told()
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
        with _journal() as journal:
            graph, path = drawn(_find(journal, incident).id, journal)
    else:
        graph, path = _run(_discover, start), ()
    typer.echo(draw[form](graph, highlight or path))


@app.command()
def doctor(as_json: Json = False) -> None:
    """Ask every server how it is and say what to do."""
    findings = _run(_examine)
    if as_json:
        _print_json([finding.__dict__ for finding in findings])
    else:
        table = Table("server", "check", "", "detail", "what to do")
        for finding in findings:
            table.add_row(finding.server, finding.what, "ok" if finding.ok else "✗", finding.detail, finding.do)
        Console().print(table)
    raise typer.Exit(0 if findings and all(finding.ok for finding in findings) else 1)


@app.command()
def schema() -> None:
    """Print the JSON Schema of every record type."""
    _print_json({name: TypeAdapter(shape).json_schema() for name, shape in BODIES.items()})


async def _investigate_once(
    settings: Settings, trigger: list[Alert] | str, seen: datetime, console: Console
) -> tuple[str, str]:
    async with open_host(settings) as host:
        host.journal.listeners.append(LiveView(console).show)
        alerts = [await _from_sentence(host, trigger)] if isinstance(trigger, str) else trigger
        if not (incidents := host.receive(alerts, seen)):
            raise BadAlert("the alert is over, and no incident on record is the one that it ended")
        incident = incidents[0]
        done = await host.investigation(incident, AtTheTerminal(console)).run()
    return incident.id, done.packet


def _alerts_in(path: Path) -> list[Alert]:
    try:
        return alerts_from(json.loads(path.read_text(encoding="utf-8")))
    except HostError as error:
        _fail(f"{path}: {error}")
    except OSError as error:
        _fail(f"cannot read an alert from {path}: {error.strerror}")
    except ValueError as error:
        _fail(f"cannot read an alert from {path}: it is not JSON: {error}")


def _first_seen(path: Path) -> datetime:
    """Return when the alert in a file was seen: as its field `seen_at` says (a snapshot's does), or now."""
    body = json.loads(path.read_text(encoding="utf-8"))
    told = body.get("seen_at") if isinstance(body, dict) else None
    return parse_time(told, datetime.now(UTC)) if isinstance(told, str) else datetime.now(UTC)


async def _from_sentence(host: Host, sentence: str) -> Alert:
    now = datetime.now(UTC)
    known = await host.topology(resolve_window("-1h", "now", now))
    return from_sentence(sentence, {e.name for e in known.entities.values() if e.kind == "service"}, now)


async def _discover(start: str) -> Topology:
    async with open_host(_settings()) as host:
        return await host.topology(resolve_window(start, "now"))


async def _examine() -> list[Finding]:
    async with open_host(_settings()) as host:
        return await examine(host)


def _decide(incident: str, digest: str, by: str, *, approved: bool) -> None:
    with _journal() as journal:
        found = _find(journal, incident)
        decision = decide_by_name(journal, found.id, digest, approved=approved, by=by)
    typer.echo(f"{'approved' if decision.approved else 'rejected'} by {decision.by}: plan {decision.digest[:12]}")


def _show(text: str, incident: str, *, as_json: bool) -> None:
    if not as_json:
        typer.echo(text)
        return
    with _journal() as journal:
        entries = [entry.model_dump(mode="json") for entry in journal.entries(incident)]
        last = {entry["type"]: entry["body"] for entry in entries}
    _print_json({"incident": incident, **{name: last.get(name) for name in ("conclusion", "plan", "report")}})


def _find(journal: Journal, name: str) -> Incident:
    known = [found for each in journal.investigations() if (found := current(journal, each))]
    matching = [found for found in known if found.id.endswith(name.upper())]
    if not matching or (name and len(matching) > 1):
        listed = ", ".join(found.id for found in known[-5:]) or "none"
        raise UnknownIncident(f"{name or 'the latest incident'} is not on record, or not alone; the last are: {listed}")
    return matching[-1]


@contextmanager
def _journal() -> Iterator[Journal]:
    with _told(), closing(Journal(_settings().data_dir / "journal.db")) as journal:
        yield journal


def _settings() -> Settings:
    try:
        return Settings()
    except ValidationError as error:
        faults = [f"MIDWATCH_{fault['loc'][0]}".upper() + f": {fault['msg']}" for fault in error.errors()]
        _fail("these settings cannot be used: " + "; ".join(faults))


@_told()
def _run(work: Callable[..., Awaitable[ResultT]], *arguments: object) -> ResultT:
    """Run asynchronous work to its end."""
    return anyio.run(work, *arguments)


def _fail(text: str) -> NoReturn:
    typer.echo(f"midwatch: {text}", err=True)
    raise typer.Exit(1)


def _first(group: BaseExceptionGroup[Exception]) -> BaseException:
    first = group.exceptions[0]
    return _first(first) if isinstance(first, BaseExceptionGroup) else first


def _console(as_json: bool) -> Console:
    return Console(stderr=as_json)


def _print_json(value: object) -> None:
    typer.echo(json.dumps(value, indent=2, ensure_ascii=False, default=str))


def _demo_result(shown: Shown, folder: Path) -> dict[str, object]:
    return {
        "incident": shown.incident.id,
        "conclusion": shown.conclusion.model_dump(mode="json"),
        "report": shown.report.model_dump(mode="json"),
        "seconds_to_conclusion": shown.seconds_to_conclusion,
        "truth": shown.truth,
        "folder": str(folder),
    }
