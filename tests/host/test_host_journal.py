"""The journal: appended once, read in order, found out when a byte of it was changed."""

import contextlib
import json
import sqlite3
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from midwatch.errors import BadSettings, JournalDamaged
from midwatch.records import Gap, Incident, Message
from midwatch.storage.journal import Entry, Journal
from midwatch_kit.evidence import canonical, evidence_id

KEYS = st.text(st.characters(codec="utf-8", exclude_characters="\x00"), max_size=5)
"""What a NUL becomes is told by the tests of databases."""
SAID = st.tuples(st.sampled_from(["one", "two"]), st.sampled_from(["message", "recommendation"]), KEYS, st.text())


@contextlib.contextmanager
def opened(path: Path) -> Iterator[Journal]:
    journal = Journal(path)
    try:
        yield journal
    finally:
        journal.close()


def say(journal: Journal, key: str, text: str = "hello", investigation: str = "one") -> Message:
    return journal.note(investigation, "message", key, Message(text=text))


@given(st.lists(SAID, max_size=12))
@settings(max_examples=25, deadline=None)
def test_what_is_noted_first_under_a_key_stays_and_the_order_and_the_chain_hold(
    said: list[tuple[str, str, str, str]],
) -> None:
    expected: dict[tuple[str, str, str], str] = {}
    with tempfile.TemporaryDirectory() as folder, opened(Path(folder) / "journal.db") as journal:
        for investigation, kind, key, text in said:
            first = expected.setdefault((investigation, kind, key), text)
            assert journal.note(investigation, kind, key, Message(text=text)) == Message(text=first)  # type: ignore[arg-type]
        for name in ("one", "two"):
            mine = {(kind, key): text for (of, kind, key), text in expected.items() if of == name}
            read = [((entry.type, entry.key), entry.body["text"]) for entry in journal.entries(name)]
            assert read == list(mine.items())
            assert journal.check(name) == len(mine)


def test_what_was_noted_can_be_recalled_by_its_key_and_by_its_shape(journal: Journal, incident: Incident) -> None:
    journal.note("one", "incident", "1", incident)
    say(journal, "a", "hello")
    journal.note("one", "gap", "g", Gap(what="logs", why="down", may_hide="errors"))
    assert journal.recall("one", "incident", "1", Incident) == incident
    assert journal.recall("one", "incident", "2", Incident) is None
    assert journal.values("one", Message) == [Message(text="hello")]
    assert [gap.what for gap in journal.values("one", Gap)] == ["logs"]
    assert [entry.seq for entry in journal.entries("one", after=1)] == [2, 3]


def test_records_say_who_noted_them_and_when_in_utc(journal: Journal) -> None:
    before = datetime.now(UTC)
    journal.note("one", "message", "a", Message(text="hello"), "subagent 7")
    entry = next(journal.entries("one"))
    assert entry.actor == "subagent 7"
    assert before <= entry.at <= datetime.now(UTC)


def test_a_listener_sees_each_entry_once_in_the_order_of_the_journal(journal: Journal) -> None:
    seen: list[Entry] = []
    journal.listeners.append(seen.append)
    for key in ("a", "b", "a", "c"):
        say(journal, key)
    assert seen == list(journal.entries("one"))
    assert [entry.key for entry in seen] == ["a", "b", "c"]


def test_investigations_are_told_oldest_first(journal: Journal) -> None:
    for name in ("b", "a", "c", "b"):
        say(journal, "k", investigation=name)
    assert journal.investigations() == ["b", "a", "c"]


def test_a_journal_without_a_path_is_gone_when_it_is_closed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    journal = Journal(None)
    say(journal, "a")
    assert journal.check("one") == 1
    journal.close()
    assert list(tmp_path.iterdir()) == []


READER = """
import sys, json
from pathlib import Path
from midwatch.storage.journal import Journal
journal, seen = Journal(Path(sys.argv[1])), 0
print("ready", flush=True)
while seen < 30:
    for entry in journal.entries("one", after=seen):
        print(json.dumps([entry.seq, entry.body["text"]]), flush=True)
        seen = entry.seq
print(journal.check("one"))
"""


def test_another_process_reads_every_record_in_order_while_this_one_writes(tmp_path: Path) -> None:
    with opened(tmp_path / "journal.db") as journal:
        command = [sys.executable, "-c", READER, str(tmp_path / "journal.db")]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as reader:
            assert reader.stdout
            assert reader.stdout.readline() == "ready\n"
            for number in range(30):
                say(journal, str(number), f"text {number}")
            *lines, checked = reader.communicate(timeout=30)[0].splitlines()
    assert [json.loads(line) for line in lines] == [[n + 1, f"text {n}"] for n in range(30)]
    assert checked == "30"


WRITER = """
import sys
from pathlib import Path
from midwatch.storage.journal import Journal
from midwatch.records import Message
print("ready", flush=True)
sys.stdin.readline()
journal = Journal(Path(sys.argv[1]))
for number in range(20):
    journal.note("one", "message", f"{sys.argv[2]}-{number}", Message(text="hello"))
"""


def test_processes_that_open_a_new_journal_at_once_and_write_to_it_keep_one_chain(tmp_path: Path) -> None:
    path = tmp_path / "new" / "journal.db"
    command, pipe = [sys.executable, "-c", WRITER, str(path)], subprocess.PIPE
    writers = [subprocess.Popen([*command, name], stdin=pipe, stdout=pipe, text=True) for name in "ab"]
    assert [writer.stdout.readline() for writer in writers if writer.stdout] == ["ready\n"] * 2
    for writer in writers:
        assert writer.stdin
        writer.stdin.write("go\n")
        writer.stdin.flush()
    for writer in writers:
        writer.communicate(timeout=30)
    assert [writer.returncode for writer in writers] == [0, 0]
    with opened(path) as journal:
        assert journal.check("one") == 40


def test_a_journal_of_a_newer_midwatch_is_refused_with_both_revisions(tmp_path: Path) -> None:
    path = tmp_path / "journal.db"
    with opened(path):
        pass
    with closing(sqlite3.connect(path)) as file, file:
        file.execute("UPDATE alembic_version SET version_num = '9999'")
    with pytest.raises(JournalDamaged, match=r"is of revision 9999, this midwatch knows \d{4}: use a newer one"):
        Journal(path)


@pytest.mark.parametrize("content", [b"this is no database, whatever its name says" * 9, b"SQLite format 3\0"])
def test_a_file_that_is_no_journal_is_refused_by_name(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "journal.db").write_bytes(content)
    with pytest.raises(JournalDamaged, match=r"journal\.db cannot be used: file is not a database"):
        Journal(tmp_path / "journal.db")


def test_a_folder_that_cannot_be_made_is_told_in_words(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(BadSettings, match=r"cannot use the data folder .*file: File exists; name another"):
        Journal(tmp_path / "file" / "journal.db")


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the file of a journal with a few records, closed."""
    path = tmp_path_factory.mktemp("written") / "journal.db"
    with opened(path) as journal:
        for number in range(6):
            say(journal, f"key {number}", f"the text of record {number}")
            say(journal, f"key {number}", f"the other text of record {number}", "two")
    return path


def everything(journal: Journal) -> list[Entry]:
    return [entry for name in ("one", "two") for entry in journal.entries(name)]


@given(data=st.data())
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_a_changed_byte_anywhere_in_the_file_is_found_by_check_unless_nothing_reads_otherwise(
    data: st.DataObject, written: Path
) -> None:
    stored = bytearray(written.read_bytes())
    with opened(written) as journal:
        before = everything(journal)
    used = [place for place, byte in enumerate(stored) if byte]
    stored[data.draw(st.sampled_from(used))] ^= data.draw(st.integers(1, 255))
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "journal.db"
        path.write_bytes(stored)
        with contextlib.suppress(JournalDamaged), opened(path) as journal:
            assert [journal.check(name) for name in ("one", "two")] == [6, 6]
            assert everything(journal) == before


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        (b"the text of record 3", b"the text of record 8", "record 4"),
        (b'"the text of record 3"', b'"the text of record 3]', "record 4 of one"),
    ],
)
def test_a_changed_record_is_named(tmp_path: Path, written: Path, old: bytes, new: bytes, said: str) -> None:
    stored = written.read_bytes()
    assert stored.count(old) == 1
    (tmp_path / "journal.db").write_bytes(stored.replace(old, new))
    with opened(tmp_path / "journal.db") as journal:
        with pytest.raises(JournalDamaged, match=said):
            journal.check("one")
        assert journal.check("two") == 6


def test_a_record_that_would_be_missed_for_a_changed_byte_is_not(tmp_path: Path, written: Path) -> None:
    stored = written.read_bytes()
    assert stored.count(b"one\x06key 5") == 1
    (tmp_path / "journal.db").write_bytes(stored.replace(b"one\x06key 5", b"onf\x06key 5"))
    with opened(tmp_path / "journal.db") as journal, pytest.raises(JournalDamaged, match="is damaged"):
        journal.check("one")


def test_a_record_that_was_rewritten_with_its_hash_is_found_by_the_next_one(tmp_path: Path, written: Path) -> None:
    path = tmp_path / "journal.db"
    path.write_bytes(written.read_bytes())
    with opened(path) as journal:
        third = list(journal.entries("one"))[2].model_dump(mode="json")
    third["body"]["text"] = "another story"
    hashed = evidence_id(canonical({name: value for name, value in third.items() if name != "hash"}))
    with closing(sqlite3.connect(path)) as file, file:
        change = "UPDATE records SET body = ?, hash = ? WHERE seq = 3 AND investigation = 'one'"
        file.execute(change, (json.dumps(third["body"]), hashed))
    with opened(path) as journal, pytest.raises(JournalDamaged, match="record 4"):
        journal.check("one")


@pytest.mark.parametrize(
    "tampering",
    [
        "DELETE FROM records WHERE seq = 3 AND investigation = 'one'",
        "UPDATE records SET actor = 'somebody else' WHERE seq = 3 AND investigation = 'one'",
        "UPDATE records SET at = '2026-01-01T00:00:00Z' WHERE seq = 3 AND investigation = 'one'",
        "UPDATE records SET type = 'gap' WHERE seq = 3 AND investigation = 'one'",
        "UPDATE records SET type = 'nonsense' WHERE seq = 3 AND investigation = 'one'",
    ],
)
def test_records_that_were_tampered_with_through_sql_are_found(tmp_path: Path, written: Path, tampering: str) -> None:
    path = tmp_path / "journal.db"
    path.write_bytes(written.read_bytes())
    with closing(sqlite3.connect(path)) as file, file:
        file.execute(tampering)
    with opened(path) as journal, pytest.raises(JournalDamaged):
        journal.check("one")
