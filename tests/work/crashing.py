"""Runs hosts that are killed, or paused. Each line on stdin is a JSON list.

It holds: a folder, the name of a machine, a database or "", a moment or "", a signal. Each machine has data of its own.
A moment is a record, named by its kind and perhaps its key or its actor, or the path of a file. For each line a process
of its own works on what is due, and gives itself the signal as soon as such a record is in the journal, or such a file
there; without a moment it works to the end. How it ended is printed, and its number when it is paused;
`["goes on", number]` lets it go on, to its end.
The first host is of this process, to its end: all others are forked from what it has imported and compiled, since that
takes longer than all the work.
"""

import gc
import json
import os
import signal
import sys
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import NoReturn
from unittest import mock

import anyio
import httpcore2
import httpx2

from midwatch import webhook
from midwatch.channels.notices import points
from midwatch.channels.notifier import Pace
from midwatch.channels.outbox import Outbox
from midwatch.channels.running import telling
from midwatch.errors import DatabaseDown
from midwatch.host import Host, open_host
from midwatch.mitigation.approvals import decide_by_name
from midwatch.records import Feedback, Incident, Plan, Report, Status
from midwatch.serving import listen
from midwatch.settings import Settings
from midwatch.storage.journal import Entry
from midwatch.work.alone import work_alone
from midwatch.work.shared import work_shared

CASE = Path(__file__).parents[1] / "host" / "case_server.py"
SECONDS = 30.0
LOOKS = 6
PACE = Pace(gather=0.1, sweep=2.0, pause=0.05, margin=0.0)


def settings(folder: Path, machine: str, database: str) -> Settings:
    """Return the settings of a host on a machine; the case is in a folder, with more settings if it wants them."""
    times = {"gather_seconds": 0, "settle_seconds": 0.05, "recovery_seconds": 1, "takeover_seconds": 1}
    places = {
        "data_dir": folder / machine,
        "servers_file": folder / "servers.json",
        "steering_dir": folder / "steering",
    }
    watch = {"first_seconds": 0.1, "longest_seconds": 0.2, "gone_seconds": 0.3, "calls_per_minute": 3000}
    more = folder / "settings.json"
    told = json.loads(more.read_text(encoding="utf-8")) if more.exists() else {}
    return Settings.model_validate({**times, **places, "watch": watch, "database_url": database or None, **told})


async def work(chosen: Settings, moment: str, by: int) -> None:
    """Work on what is due until nothing is, or until a moment has come."""

    given: list[Entry] = []

    def give(entry: Entry) -> None:
        named = (entry.type, f"{entry.type} {entry.key}", f"{entry.type} by {entry.actor}")
        if not given and moment in named:
            given.append(entry)
            os.kill(os.getpid(), by)

    async with open_host(chosen) as host, telling(host, PACE), anyio.create_task_group() as group:
        host.journal.listeners.append(give)
        group.start_soon(until_done, host, group.cancel_scope)
        if moment.startswith("/"):
            group.start_soon(until_there, anyio.Path(moment), by)
        group.start_soon(host.recovery_watch().run)
        if chosen.database_url:
            await work_shared(host, chosen.database_url.get_secret_value())
        else:
            await work_alone(host)


async def until_there(file: anyio.Path, by: int) -> None:
    while not await file.exists():  # noqa: ASYNC110 - another process makes it
        await anyio.sleep(0.02)
    os.kill(os.getpid(), by)


def is_over(host: Host, incident: Incident) -> bool:
    """Whether an incident is closed, or was watched for a while and does not close."""
    looks = [*host.journal.entries(incident.id, kind="watch")]
    return incident.status is Status.RESOLVED or len(looks) >= LOOKS


def is_told(host: Host, incident: Incident) -> bool:
    """Whether people know of every turning point that is on record."""
    turns, outbox = points(host.journal.entries(incident.id)), Outbox(host.journal.database)
    said = [outbox.known(incident.id, name) for name in host.settings.channels]
    return all(point.key in known and known[point.key].state == "told" for known in said for point in turns)


async def say_what_it_was(host: Host, incident: str) -> None:
    """Tell a host, once it has reported, what the cause really was, unless somebody has said so."""
    api, journal = host.settings.api, host.journal
    if not api or not api.first_token or not journal.values(incident, Report) or journal.values(incident, Feedback):
        return
    said = {"causes": [{"kind": "change", "entity": "service:forge"}], "note": "it was the deploy"}
    token = {"Authorization": f"Bearer {api.first_token.get_secret_value()}"}
    with listen("127.0.0.1", 0) as listening:
        async with (
            webhook.serve(host, listening) as served,
            httpx2.AsyncClient(base_url=served.url, headers=token, timeout=SECONDS) as person,
        ):
            await person.post(f"/v1/incidents/{incident}/feedback", json=said)


async def until_done(host: Host, everything: anyio.CancelScope) -> None:
    """Be the person who is asked, and stop when nothing is due and nobody need look or be told any more."""
    with anyio.fail_after(SECONDS):
        while True:
            with suppress(DatabaseDown):
                due = host.journal.incidents(due=True)
                for incident in (each for each in due if each.status is Status.AWAITING_APPROVAL):
                    plan = host.journal.values(incident.id, Plan)[-1]
                    decide_by_name(host.journal, incident.id, plan.digest, approved=True, by="ann")
                every = [] if due else host.journal.incidents()
                for incident in every:
                    await say_what_it_was(host, incident.id)
                if not due and all(is_over(host, each) and is_told(host, each) for each in every):
                    break
            await anyio.sleep(0.1)
    everything.cancel()


def child(chosen: Settings, moment: str, by: int) -> NoReturn:
    try:
        anyio.run(work, chosen, moment, by)
    except BaseException as error:
        sys.stderr.write(f"{error!r}\n")
        os._exit(1)
    os._exit(0)


def main() -> None:
    folder, machine, *_ = json.loads(sys.stdin.readline())
    anyio.run(work, settings(Path(folder), machine, ""), "", 0)
    say(0)
    gc.freeze()  # else each collection of a host touches, and so copies, all that it has from here
    for line in sys.stdin:
        match json.loads(line):
            case ["goes on", int(number)]:
                os.kill(number, signal.SIGCONT)
            case [folder, machine, database, moment, by]:
                if (number := os.fork()) == 0:
                    child(settings(Path(folder), machine, database), moment, by)
            case other:
                raise ValueError(other)
        _, status = os.waitpid(number, os.WUNTRACED)
        say(number if os.WIFSTOPPED(status) else os.waitstatus_to_exitcode(status))


def say(ended: int) -> None:
    sys.stdout.write(f"{ended}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    with mock.patch.object(httpcore2, "default_ssl_context", cache(httpcore2.default_ssl_context)):
        main()  # certificates are read once for all hosts: each of their clients would read all of them anew
