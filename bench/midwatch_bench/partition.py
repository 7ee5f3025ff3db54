"""Two hosts on one PostgreSQL, of which one is cut off in the middle of its work. Not a test; needs root and `ip`.

    python -m midwatch_bench.partition [--incidents 12]

The host that is cut off runs in a network namespace of its own. Its link is taken down, without a word to either end,
as soon as it works on two incidents, and up again once all are done.
"""

import argparse
import subprocess
import tempfile
import time
from contextlib import ExitStack, closing
from pathlib import Path

from tests.postgresql import Server

from midwatch.records import Report
from midwatch.storage.database import Database
from midwatch.storage.journal import Entry, Journal
from midwatch_bench.hosts import open_all, up, worked_on_by
from robots.postgres import make_home

_SPACE, _HERE, _THERE = "midwatch-away", "10.77.0.1", "10.77.0.2"


def main() -> None:
    """Cut one host off, and print what became of its work."""
    asked = argparse.ArgumentParser()
    asked.add_argument("--incidents", type=int, default=12)
    chosen = asked.parse_args()
    with tempfile.TemporaryDirectory() as folder, ExitStack() as stack:
        _link(stack)
        server = _server(Path(folder), stack)
        url = server.database()
        away = url.replace("127.0.0.1", _HERE)
        journal = stack.enter_context(closing(Journal(Database(url))))
        cut_off = stack.enter_context(up(Path(folder) / "away", away, 0.5, ("ip", "netns", "exec", _SPACE)))
        stack.enter_context(up(Path(folder) / "here", url, 0.5))
        open_all(journal, chosen.incidents)
        _tell(journal, _cut(journal, f":{cut_off.pid}"))


def _cut(journal: Journal, host: str) -> float:
    """Take the link down once the host has begun two incidents, and up again when all is done; returns when (epoch)."""
    while sum(host in each for name in journal.investigations() for each in worked_on_by(journal, name)) < 2:
        time.sleep(0.05)
    _run("ip link set mw-here down")
    cut = time.time()
    print("cut off")
    while journal.incidents(due=True):
        time.sleep(0.1)
    print(f"all done after {time.time() - cut:.1f} s")
    count = _records(journal)
    _run("ip link set mw-here up")
    time.sleep(20)  # long enough for it to find out, and to write if it could
    print(f"records before and after the link is up again: {count}, {_records(journal)}")
    return cut


def _tell(journal: Journal, cut: float) -> None:
    for name in journal.investigations():
        hosts = worked_on_by(journal, name)
        journal.check(name)
        if len(set(hosts)) > 1:
            begun = [e for e in journal.entries(name, kind="message") if e.key.startswith("worker:")]
            print(f"{name} taken over {_after(begun[-1], cut):.1f} s after the cut")
    print("reports:", sum(len(journal.values(name, Report)) for name in journal.investigations()), "chains valid")


def _after(entry: Entry, moment: float) -> float:
    return entry.at.timestamp() - moment


def _records(journal: Journal) -> int:
    return sum(1 for name in journal.investigations() for _ in journal.entries(name))


def _link(stack: ExitStack) -> None:
    """Make a namespace, and a link to it, for the length of the block."""
    _run(f"ip netns add {_SPACE}")
    stack.callback(_run, f"ip netns delete {_SPACE}")
    _run(f"ip link add mw-here type veth peer name mw-away netns {_SPACE}")
    for command in (f"ip addr add {_HERE}/24 dev mw-here", "ip link set mw-here up"):
        _run(command)
    for command in (f"addr add {_THERE}/24 dev mw-away", "link set mw-away up", "link set lo up"):
        _run(f"ip -n {_SPACE} {command}")


def _server(folder: Path, stack: ExitStack) -> Server:
    server = Server(make_home(folder), folder / "postgres.log", addresses=f"127.0.0.1,{_HERE}")
    server.initialise()
    with (server.home.data / "pg_hba.conf").open("a") as file:
        file.write(f"host all all {_THERE}/32 trust\n")
    server.start()
    stack.callback(server.stop)
    return server


def _run(command: str) -> None:
    subprocess.run(command.split(), check=True)


if __name__ == "__main__":
    main()
