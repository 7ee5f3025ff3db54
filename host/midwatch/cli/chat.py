"""Commands for questions: ask one, hold a conversation."""

import os
import stat
import sys
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Final

import anyio
import typer

from midwatch.chat.talk import Reply, Talk
from midwatch.cli.app import app
from midwatch.cli.shared import Json, print_json, run_async, settings_or_fail, told
from midwatch.errors import HostError, UnknownIncident
from midwatch.host import Host, open_host
from midwatch.records import Incident
from midwatch.settings import Settings
from midwatch.steering.steers import meaning, tell
from midwatch.storage.journal import Journal
from midwatch.storage.named import find_incident
from midwatch.storage.snapshots import snapshot_of
from midwatch.storage.state import evidence_of, journal_of
from midwatch.telling import Fields
from midwatch.understanding import understand
from midwatch_kit.errors import KitError
from midwatch_topology import UnknownEntity

LATEST: Final = "latest"
_SHORTEST: Final = 4
_BY: Final = "the person at the terminal"
_HELP: Final = """\
Ask in plain words; a question that nobody can answer says what can be asked. Besides:
/look QUESTION            ask the servers afresh, and keep what they say
/model QUESTION           ask a model as well, if there is one
/steer WORDS              tell the investigation what you know, as in: /steer look only at the latest wave
/quit                     or Ctrl-D"""
Look = Annotated[bool, typer.Option("--look", help="ask the servers afresh, and keep what they say")]
ByModel = Annotated[bool, typer.Option("--model", help="ask a model as well, even where code has an answer")]


@app.command()
@told()
def ask(
    words: Annotated[
        list[str],
        typer.Argument(help="[INCIDENT] QUESTION; INCIDENT is 'latest', or an id's end; none: the environment"),
    ],
    look: Look = False,
    model: ByModel = False,
    as_json: Json = False,
) -> None:
    """Ask about an investigation, or about the environment; every line says what it rests on."""
    settings = settings_or_fail()
    with closing(journal_of(settings)) as journal:
        incident, question = _meant(journal, words)
        reply = run_async(_asked, settings, journal, incident, question, look, model)
    if as_json:
        print_json(_as_json(reply, incident))
        return
    typer.echo("\n".join(reply.lines))


@app.command()
@told()
def chat(
    incident: Annotated[str, typer.Argument(help="'latest', or an id's end; none: the environment")] = "",
    look: Look = False,
    model: ByModel = False,
) -> None:
    """Hold a conversation, a line a question, until Ctrl-D; /help says what else can be typed."""
    settings = settings_or_fail()
    with closing(journal_of(settings)) as journal:
        found = find_incident(journal, incident) if incident else None
        run_async(_converse, settings, journal, found, look, model)


async def _asked(
    settings: Settings, journal: Journal, incident: Incident | None, question: str, look: bool, model: bool
) -> Reply:
    async with _talking(settings, journal) as talk:
        return await talk.ask(question, incident, look=look, model=model, by=_BY)


async def _converse(settings: Settings, journal: Journal, incident: Incident | None, look: bool, model: bool) -> None:
    about = f"{incident.id}: {incident.title}" if incident else "the environment"
    _prompt(f"About {about}. /help says what can be typed.\n")
    async with _talking(settings, journal) as talk:
        async for typed in _typed():
            if typed in ("/quit", "/exit"):
                return
            if typed:
                await _heed(typed, talk, incident, look=look, model=model)
            _prompt()


async def _heed(typed: str, talk: Talk, incident: Incident | None, *, look: bool, model: bool) -> None:
    """Answer a line, or do what it says; what is wrong with it is told, and the conversation goes on."""
    command, _, rest = typed.partition(" ") if typed.startswith("/") else ("", "", typed)
    try:
        match command:
            case "" | "/look" | "/model":
                looks, models = look or command == "/look", model or command == "/model"
                reply = await talk.ask(rest, incident, look=looks, model=models, by=_BY)
                typer.echo("\n".join([*reply.lines, ""]))
            case "/steer":
                typer.echo(await _steer(talk, incident, rest.strip()))
            case _:
                typer.echo(_HELP)
    except (HostError, KitError, UnknownEntity) as error:
        typer.echo(f"midwatch: {error}")


async def _steer(talk: Talk, incident: Incident | None, words: str) -> str:
    """Put what a person says on record, and return what was understood; raises `HostError` for what is not."""
    if incident is None:
        raise HostError("there is no investigation to steer: midwatch chat INCIDENT")
    steer = await understand(talk.journal, talk.settings, incident, words, _BY, Fields())
    tell(talk.journal, incident.id, steer)
    return f"Understood: {meaning(steer)}. `midwatch up` looks again; so does midwatch steer with --look."


@asynccontextmanager
async def _talking(settings: Settings, journal: Journal) -> AsyncIterator[Talk]:
    """Yield who answers; servers are started when they are first needed, and stay for the conversation."""
    async with AsyncExitStack() as stack:
        doors = _Doors(settings, journal, stack)
        kept = evidence_of(settings, journal)
        yield Talk(settings, journal, kept, doors.open)


@dataclass
class _Doors:
    """Hosts that were opened, by the snapshot that their servers read; None is what the settings name."""

    settings: Settings
    journal: Journal
    stack: AsyncExitStack
    _hosts: dict[Path | None, Host] = field(default_factory=dict)

    @asynccontextmanager
    async def open(self, incident: Incident | None) -> AsyncIterator[Host]:
        snapshot = snapshot_of(self.journal, incident.id) if incident else None
        if snapshot not in self._hosts:
            reads = self.settings.model_copy(update={"store": snapshot}) if snapshot else self.settings
            self._hosts[snapshot] = await self.stack.enter_async_context(open_host(reads))
        yield self._hosts[snapshot]


def _meant(journal: Journal, words: Sequence[str]) -> tuple[Incident | None, str]:
    """Return the incident that is named first, if one is, and the question; raises `HostError`."""
    first, rest = words[0], words[1:]
    if rest and first == LATEST:
        return find_incident(journal, ""), " ".join(rest)
    if rest and (len(first) >= _SHORTEST or len(rest) == 1):
        try:
            return find_incident(journal, first), " ".join(rest)
        except UnknownIncident:
            if len(rest) == 1 and " " in rest[0]:  # the question was put in quotes, so what is before it is a name
                raise
    return None, " ".join(words)


def _as_json(reply: Reply, incident: Incident | None) -> dict[str, object]:
    return {
        "incident": incident.id if incident else None,
        "question": reply.question,
        "answered_by": reply.answered_by,
        "statements": [statement.model_dump(mode="json") for statement in reply.statements],
        "remarks": reply.remarks,
        "dropped": reply.dropped,
        "usd": reply.usd,
    }


def _prompt(text: str = "") -> None:
    """Show that a line is waited for, where a person types."""
    if sys.stdin.isatty():
        typer.echo(f"{text}> ", nl=False)


async def _typed() -> AsyncIterator[str]:
    """Yield the lines of the standard input as they come; no thread waits for them, since none could be stopped."""
    try:
        number = sys.stdin.fileno()
    except OSError:  # it is no file, as in a test
        for line in sys.stdin.read().splitlines():
            yield line.strip()
        return
    waits = not stat.S_ISREG(os.fstat(number).st_mode)
    pending = b""
    while True:
        if waits:
            try:
                await anyio.wait_readable(number)
            except PermissionError:  # a device that is always ready
                waits = False
        if not (read := os.read(number, 65536)):
            break
        *lines, pending = (pending + read).split(b"\n")
        for line in lines:
            yield line.decode(errors="replace").strip()
    if pending:
        yield pending.decode(errors="replace").strip()
