"""Runs hosts that are killed. Each line on stdin is a JSON list: folder, address of a database or "", record or "".

A record is named by its kind, and perhaps its key. For each line a process of its own works on what is due, and is
killed by SIGKILL as soon as such a record is in the journal; without one it works to the end. How it ended is printed.
It forks what it has imported, since that takes longer than all the work.
"""

import json
import os
import signal
import sys
from pathlib import Path
from typing import NoReturn

import anyio

from midwatch.approvals import decide_by_name
from midwatch.host import Host, open_host
from midwatch.journal import Entry
from midwatch.records import Plan, Status
from midwatch.settings import Settings
from midwatch.work.alone import work_alone
from midwatch.work.shared import work_shared

CASE = Path(__file__).parents[1] / "host" / "case_server.py"
SECONDS = 30.0


def settings(folder: Path, database: str) -> Settings:
    """Return the settings of a host whose servers and steering are in a folder."""
    times = {"gather_seconds": 0, "settle_seconds": 0.05, "recovery_seconds": 1, "takeover_seconds": 1}
    places = {"data_dir": folder, "servers_file": folder / "servers.json", "steering_dir": folder / "steering"}
    return Settings.model_validate({**times, **places, "database_url": database or None})


async def work(chosen: Settings, record: str) -> None:
    """Work on what is due until nothing is, or until a record is on disk."""

    def die(entry: Entry) -> None:
        if record in (entry.type, f"{entry.type} {entry.key}"):
            os.kill(os.getpid(), signal.SIGKILL)

    async with open_host(chosen) as host, anyio.create_task_group() as group:
        host.journal.listeners.append(die)
        group.start_soon(until_done, host, group.cancel_scope)
        if chosen.database_url:
            await work_shared(host, chosen.database_url.get_secret_value())
        else:
            await work_alone(host)


async def until_done(host: Host, everything: anyio.CancelScope) -> None:
    """Approve whatever waits for somebody, and stop when nothing is due."""
    with anyio.fail_after(SECONDS):
        while due := host.journal.incidents(due=True):
            for incident in (each for each in due if each.status is Status.AWAITING_APPROVAL):
                plan = host.journal.values(incident.id, Plan)[-1]
                decide_by_name(host.journal, incident.id, plan.digest, approved=True, by="ann")
            await anyio.sleep(0.05)
    everything.cancel()


def child(chosen: Settings, record: str) -> NoReturn:
    try:
        anyio.run(work, chosen, record)
    except BaseException as error:
        sys.stderr.write(f"{error!r}\n")
        os._exit(1)
    os._exit(0)


def main() -> None:
    for line in sys.stdin:
        folder, database, record = json.loads(line)
        if (number := os.fork()) == 0:
            child(settings(Path(folder), database), record)
        _, status = os.waitpid(number, 0)
        sys.stdout.write(f"{os.waitstatus_to_exitcode(status)}\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
