"""The purse of a day: what all processes on one data folder may spend together, whichever of them dies."""

import os
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pytest

from midwatch.claude.day import DayPurse
from midwatch.claude.prices import Usage
from midwatch.claude.purse import Purse, Spent
from midwatch.records import ModelCall
from midwatch.storage.database import Database
from midwatch.storage.journal import Journal
from midwatch.storage.migrating import migrate

LIMIT = 1.0
SPENDER = """
import sys
from datetime import date
from pathlib import Path
from midwatch.claude.day import DayPurse
from midwatch.claude.prices import Usage
from midwatch.claude.purse import Spent
from midwatch.storage.journal import Journal

journal, usd, today = Path(sys.argv[1]), float(sys.argv[2]), date.fromisoformat(sys.argv[3])
day = DayPurse("the day", 10**6, usd, journal=Journal(journal), day=today)
made = 0
print("ready", flush=True)
sys.stdin.readline()
try:
    while True:
        with day.holding(10, 0.05) as held:
            if len(sys.argv) > 4:
                print("held", flush=True)
                sys.stdin.readline()
            held.cost(Usage(), 0.02)
        made += 1
except Spent:
    print(made, flush=True)
"""


@pytest.fixture
def other(journal: Journal, tmp_path: Path) -> Iterator[Journal]:
    """The same journal, as another process has it."""
    opened = Journal(tmp_path / "journal.db")
    yield opened
    opened.close()


def spender(journal: Path, usd: float, day: date, *more: str) -> "subprocess.Popen[str]":
    """Start a process that spends 0.02 at a time, of 0.05 that it holds, for as long as the day lets it.

    It's told which day it is, since that may turn before it asks.
    """
    pipe = subprocess.PIPE
    command = [sys.executable, "-c", SPENDER, str(journal), str(usd), day.isoformat(), *more]
    started = subprocess.Popen(command, stdin=pipe, stdout=pipe, text=True)
    assert started.stdout
    assert started.stdout.readline() == "ready\n"
    return started


def test_what_one_process_holds_no_other_can_spend(journal: Journal, other: Journal) -> None:
    one, two = DayPurse.of_today(journal, LIMIT), DayPurse.of_today(other, LIMIT)
    with one.holding(10, 0.8) as held:
        with pytest.raises(Spent, match=r"the day has \$0\.2000 of \$1 left, and a call may cost \$0\.3000"):
            two.refuse_more(10, 0.3)
        with pytest.raises(Spent), two.holding(10, 0.3):
            raise AssertionError("it was held")
        held.cost(Usage(output=5), 0.1)
    with two.holding(10, 0.9) as held:
        held.cost(Usage(), 0.0)
    assert journal.spent_on(datetime.now(UTC).date()) == pytest.approx(0.1)


def test_an_investigation_and_its_tasks_count_nothing_that_the_day_refused(journal: Journal, other: Journal) -> None:
    incident = Purse("the incident", 100, 5.0, DayPurse.of_today(journal, LIMIT))
    task = Purse("a task", 100, 5.0, incident)
    rival = DayPurse.of_today(other, LIMIT)
    rival.take(10, 0.7)
    with pytest.raises(Spent, match="the day"):
        task.take(10, 0.4)
    assert (task.spent_usd, incident.spent_usd) == (0.0, 0.0)
    assert rival.spent_usd == pytest.approx(0.7)


def test_two_processes_at_once_spend_the_day_and_no_more_than_it(journal: Journal, tmp_path: Path) -> None:
    today = datetime.now(UTC).date()
    started = [spender(tmp_path / "journal.db", 0.3, today) for _ in range(2)]
    for each in started:
        assert each.stdin
        each.stdin.write("go\n")
        each.stdin.flush()
    made = [int(each.communicate(timeout=60)[0]) for each in started]
    spent = journal.spent_on(today)
    assert spent == pytest.approx(sum(made) * 0.02)
    assert spent is not None
    assert 0.2 <= spent <= 0.3


def test_a_process_that_is_killed_in_a_call_costs_the_day_that_call_and_no_more(
    journal: Journal, tmp_path: Path
) -> None:
    day = datetime.now(UTC).date()
    killed = spender(tmp_path / "journal.db", LIMIT, day, "holds")
    assert killed.stdin
    assert killed.stdout
    killed.stdin.write("go\n")
    killed.stdin.flush()
    assert killed.stdout.readline() == "held\n"
    os.kill(killed.pid, signal.SIGKILL)
    killed.communicate()
    today = DayPurse("the day", 10**6, LIMIT, journal=journal, day=day)
    with pytest.raises(Spent, match=r"\$0\.9500 of \$1 left"):
        today.refuse_more(10, 0.96)
    today.refuse_more(10, 0.95)
    tomorrow = DayPurse("the day", 10**6, LIMIT, journal=journal, day=day + timedelta(days=1))
    tomorrow.refuse_more(10, LIMIT)


def test_calls_on_record_count_from_a_time_when_days_were_not_counted(journal: Journal, other: Journal) -> None:
    journal.note("one", "model_call", "1", ModelCall(model="m", usd=0.6))
    with DayPurse.of_today(journal, LIMIT).holding(10, 0.3) as held:
        held.cost(Usage(), 0.1)
    journal.note("one", "model_call", "2", ModelCall(model="m", usd=0.1))
    with pytest.raises(Spent, match=r"\$0\.3000 of \$1 left"):
        DayPurse.of_today(other, LIMIT).refuse_more(10, 0.31)


def test_a_journal_from_before_days_were_counted_is_counted_from_now_on(tmp_path: Path) -> None:
    with closing(Database(tmp_path / "old.db")) as new, new.writing() as connection:
        migrate(connection, "0001")
    with closing(sqlite3.connect(tmp_path / "old.db")) as old:
        old.executescript("DROP TABLE spending; DROP TABLE alembic_version")
    with closing(Journal(tmp_path / "old.db")) as journal:
        today = DayPurse.of_today(journal, LIMIT)
        today.refuse_more(10, LIMIT)
        today.take(10, 0.4)
        assert journal.spent_on(today.day) == pytest.approx(0.4)
