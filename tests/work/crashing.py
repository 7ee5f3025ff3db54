"""Runs hosts that are killed, or paused. Each line on stdin is a JSON list.

It holds: a folder, the name of a machine, a database or "", a record or "", a signal. Each machine has data of its own.
A record is named by its kind, and perhaps its key. For each line a process of its own works on what is due, and gives
itself the signal as soon as such a record is in the journal; without a record it works to the end. How it ended is
printed, and its number when it is paused; `["goes on", number]` lets it go on, to its end.
It forks what it has imported, since that takes longer than all the work.
"""

import json
import os
import signal
import sys
from contextlib import suppress
from pathlib import Path
from typing import NoReturn

import anyio

from midwatch.errors import DatabaseDown
from midwatch.host import Host, open_host
from midwatch.mitigation.approvals import decide_by_name
from midwatch.records import Incident, Plan, Status
from midwatch.settings import Settings
from midwatch.storage.journal import Entry
from midwatch.work.alone import work_alone
from midwatch.work.shared import work_shared

CASE = Path(__file__).parents[1] / "host" / "case_server.py"
SECONDS = 30.0
LOOKS = 6


def settings(folder: Path, machine: str, database: str) -> Settings:
    """Return the settings of a host on a machine; the case is in a folder."""
    times = {"gather_seconds": 0, "settle_seconds": 0.05, "recovery_seconds": 1, "takeover_seconds": 1}
    places = {
        "data_dir": folder / machine,
        "servers_file": folder / "servers.json",
        "steering_dir": folder / "steering",
    }
    watch = {"first_seconds": 0.1, "longest_seconds": 0.2, "gone_seconds": 0.3, "calls_per_minute": 3000}
    return Settings.model_validate({**times, **places, "watch": watch, "database_url": database or None})


async def work(chosen: Settings, record: str, by: int) -> None:
    """Work on what is due until nothing is, or until a record is on disk."""

    given: list[Entry] = []

    def give(entry: Entry) -> None:
        if not given and record in (entry.type, f"{entry.type} {entry.key}"):
            given.append(entry)
            os.kill(os.getpid(), by)

    async with open_host(chosen) as host, anyio.create_task_group() as group:
        host.journal.listeners.append(give)
        group.start_soon(until_done, host, group.cancel_scope)
        group.start_soon(host.recovery_watch().run)
        if chosen.database_url:
            await work_shared(host, chosen.database_url.get_secret_value())
        else:
            await work_alone(host)


def is_over(host: Host, incident: Incident) -> bool:
    """Whether an incident is closed, or was watched for a while and does not close."""
    looks = [*host.journal.entries(incident.id, kind="watch")]
    return incident.status is Status.RESOLVED or len(looks) >= LOOKS


async def until_done(host: Host, everything: anyio.CancelScope) -> None:
    """Approve whatever waits for somebody, and stop when nothing is due and nobody need look any more."""
    with anyio.fail_after(SECONDS):
        while True:
            with suppress(DatabaseDown):
                due = host.journal.incidents(due=True)
                for incident in (each for each in due if each.status is Status.AWAITING_APPROVAL):
                    plan = host.journal.values(incident.id, Plan)[-1]
                    decide_by_name(host.journal, incident.id, plan.digest, approved=True, by="ann")
                if not due and all(is_over(host, incident) for incident in host.journal.incidents()):
                    break
            await anyio.sleep(0.05)
    everything.cancel()


def child(chosen: Settings, record: str, by: int) -> NoReturn:
    try:
        anyio.run(work, chosen, record, by)
    except BaseException as error:
        sys.stderr.write(f"{error!r}\n")
        os._exit(1)
    os._exit(0)


def main() -> None:
    for line in sys.stdin:
        match json.loads(line):
            case ["goes on", int(number)]:
                os.kill(number, signal.SIGCONT)
            case [folder, machine, database, record, by]:
                if (number := os.fork()) == 0:
                    child(settings(Path(folder), machine, database), record, by)
            case other:
                raise ValueError(other)
        _, status = os.waitpid(number, os.WUNTRACED)
        ended = number if os.WIFSTOPPED(status) else os.waitstatus_to_exitcode(status)
        sys.stdout.write(f"{ended}\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
