"""The live view: one line for each thing worth knowing, and beside other incidents each line says whose it is."""

import io
from contextlib import closing
from datetime import datetime
from pathlib import Path

from rich.console import Console

from midwatch.reading.live import LiveView
from midwatch.records import Conclusion, Gap, ToolCall
from midwatch.storage.journal import Journal

LONG = f"survey_metrics: {'no figure of that name was ever seen there; ' * 6}[red]and no markup[/red]"
CALL = ToolCall(server="logs", tool="search_logs", arguments={})


def lines(folder: Path, *, terminal: bool) -> list[str]:
    """Return what is said of two incidents that are investigated at the same time."""
    said = Console(file=io.StringIO(), force_terminal=terminal, color_system=None, width=80)
    with closing(Journal(folder / "journal.db")) as journal:
        journal.listeners.append(LiveView(said, several=True).show)
        for key, name in [("1", "01AAAAAA1111"), ("2", "01BBBBBB2222"), ("3", "01AAAAAA1111")]:
            journal.note(name, "tool_call", key, CALL)
        journal.note("01AAAAAA1111", "gap", "1", Gap(what="metrics", why=LONG, may_hide=""))
        for name in ("01BBBBBB2222", "01AAAAAA1111"):
            journal.note(name, "conclusion", "1", Conclusion(outcome="inconclusive", statement=name))
        journal.note("01AAAAAA1111", "conclusion", "2", Conclusion(outcome="blocked", statement="again"))
    file = said.file
    assert isinstance(file, io.StringIO)
    return file.getvalue().splitlines()


def test_a_log_has_a_line_for_each_thing_with_the_whole_time_and_the_whole_id(tmp_path: Path) -> None:
    gap, *concluded = lines(tmp_path, terminal=False)
    time, whose, rest = gap.split(" ", 2)
    assert datetime.fromisoformat(time).tzinfo is not None
    assert (whose, rest.split(" ", 1)[0]) == ("01AAAAAA1111", "gap")
    assert gap.endswith(LONG)
    assert [line.split()[1] for line in concluded] == ["01BBBBBB2222", "01AAAAAA1111", "01AAAAAA1111"]


def test_each_look_of_an_incident_counts_its_own_calls(tmp_path: Path) -> None:
    _, *concluded = lines(tmp_path, terminal=False)
    assert [line.rpartition("(")[2] for line in concluded] == ["1 tool calls)", "2 tool calls)", "0 tool calls)"]


def test_a_terminal_gets_no_more_than_its_width_and_the_end_of_the_id(tmp_path: Path) -> None:
    gap, *concluded = lines(tmp_path, terminal=True)
    assert len(gap) == 80
    assert gap.endswith("…")
    assert [line.split()[1] for line in (gap, *concluded)] == ["1111", "2222", "1111", "1111"]
