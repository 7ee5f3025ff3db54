"""An investigation as one file: out of one journal, into another; nothing that was changed gets in."""

from __future__ import annotations

import io
import json
import shutil
import zipfile
from contextlib import closing
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import pytest

from midwatch.cases import parcel
from midwatch.cases.sending import export, receive
from midwatch.cases.snapshot import Source
from midwatch.correlation import Decision
from midwatch.errors import BadParcel
from midwatch.reception.rows import put
from midwatch.records import Alert, Incident, Message, Severity, Status, ToolCall
from midwatch.settings import Settings
from midwatch.storage.database import Database
from midwatch.storage.journal import Journal
from midwatch.storage.snapshots import is_live
from midwatch.storage.state import SharedEvidence
from midwatch.work.waiting import unfinished
from midwatch_kit.evidence import EvidenceStore, canonical, evidence_id
from midwatch_kit.records import Evidence

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

NAME = "01SENT"
NOW = datetime(2026, 11, 20, 2, 48, tzinfo=UTC)


def an_incident(status: Status = Status.INVESTIGATING) -> Incident:
    said = {"title": "Error rate of gateway", "service": "service:gateway", "severity": Severity.HIGH}
    return Incident.model_validate({"id": NAME, "status": status, "started_at": NOW, "first_seen": NOW, **said})


def a_call(name: str) -> ToolCall:
    evidence = Evidence(
        id=name, server="s", tool="t", arguments={}, window=None, query="", rows_matched=1, returned_rows=1,
        truncated=False, bytes=1,
    )  # fmt: skip
    return ToolCall(server="s", tool="t", arguments={}, evidence=evidence)


def source(folder: Path) -> Source:
    """Return a journal with an investigation that waits for somebody, and two documents that it names."""
    journal, kept = Journal(folder / "journal.db"), EvidenceStore(folder / "evidence", 2**40)
    journal.note(NAME, "incident", "1", an_incident())
    alert = kept.put(canonical({"alert": "the whole payload"}))
    journal.note(NAME, "message", "alert:a:opened", Message(text="it opened this", evidence=alert), "pagerduty")
    journal.note(NAME, "tool_call", "one", a_call(kept.put(canonical({"rows": ["ünïcode", 1]}))))
    return Source(journal, kept, Settings(data_dir=folder))


def came(journal: Journal, name: str, incident: str | None) -> None:
    """Put an alert on record, as the reception does."""
    alert = Alert.model_validate({
        "id": name, "source": "test", "external_id": name, "title": "t", "service": "gateway", "started_at": NOW,
        "raw": {"whole": name},
    })  # fmt: skip
    decision = Decision("new" if incident else "skipped", incident, "as tests say")
    with journal.database.writing() as connection:
        put(connection, journal.database, [(alert, decision, NOW, None)])


@pytest.fixture
def sent(tmp_path: Path) -> Iterator[tuple[Source, Path]]:
    known = source(tmp_path / "from")
    export(an_incident(), known, tmp_path / "one.zip", telemetry=False)
    yield known, tmp_path / "one.zip"
    known.journal.close()


@pytest.fixture
def there(tmp_path: Path) -> Iterator[tuple[Journal, EvidenceStore]]:
    with closing(Journal(tmp_path / "to" / "journal.db")) as journal:
        yield journal, EvidenceStore(tmp_path / "to" / "evidence", 2**40)


def test_what_was_exported_is_the_same_in_the_other_journal(
    sent: tuple[Source, Path], there: tuple[Journal, EvidenceStore], tmp_path: Path
) -> None:
    known, path = sent
    journal, kept = there
    done = receive(path, journal, kept, tmp_path / "snapshots")
    assert (done.new, done.audit.faults) == (True, ())
    before = [*known.journal.entries(NAME)]
    assert [*journal.entries(NAME)][: len(before)] == before
    assert journal.check(NAME) == len(before) + 1
    assert journal.incident(NAME) == an_incident()
    named = {name for entry in before for name in parcel.named_in(entry.body)}
    assert {name: kept.get(name) for name in named} == {name: known.kept.get(name) for name in named}


def test_every_alert_goes_along_as_it_came_with_what_became_of_it(
    there: tuple[Journal, EvidenceStore], tmp_path: Path
) -> None:
    known = source(tmp_path / "from")
    with closing(known.journal):
        came(known.journal, "a", NAME)
        came(known.journal, "b", "02OTHER")
        export(an_incident(), known, tmp_path / "one.zip", telemetry=False)
    (alert,) = json.loads(files_in(tmp_path / "one.zip")["alerts.json"])["rows"]
    assert (alert["id"], alert["raw"], alert["why"]) == ("a", {"whole": "a"}, "as tests say")
    journal, kept = there
    receive(tmp_path / "one.zip", journal, kept, tmp_path)
    said = journal.values(NAME, Message)[-1].text
    assert json.loads(kept.get(said.rpartition(" ")[2]))["rows"] == [alert]


def test_the_same_investigation_gives_the_same_bytes(sent: tuple[Source, Path], tmp_path: Path) -> None:
    known, path = sent
    export(an_incident(), known, tmp_path / "two.zip", telemetry=False)
    assert (tmp_path / "two.zip").read_bytes() == path.read_bytes()
    assert path.stat().st_mode & 0o077 == 0


def test_nobody_goes_on_with_what_was_imported(
    sent: tuple[Source, Path], there: tuple[Journal, EvidenceStore], tmp_path: Path
) -> None:
    known, path = sent
    journal, kept = there
    receive(path, journal, kept, tmp_path)
    assert [incident.id for incident in unfinished(known.journal)] == [NAME]
    assert unfinished(journal) == []
    assert not is_live(journal, NAME)


def test_the_same_file_again_changes_nothing_and_another_one_of_that_incident_is_refused(
    sent: tuple[Source, Path], there: tuple[Journal, EvidenceStore], tmp_path: Path
) -> None:
    known, path = sent
    journal, kept = there
    receive(path, journal, kept, tmp_path)
    noted = [*journal.entries(NAME)]
    assert not receive(path, journal, kept, tmp_path).new
    known.journal.note(NAME, "message", "later", Message(text="it went on"))
    export(an_incident(), known, tmp_path / "later.zip", telemetry=False)
    with pytest.raises(BadParcel, match="on record here with other records"):
        receive(tmp_path / "later.zip", journal, kept, tmp_path)
    assert [*journal.entries(NAME)] == noted


def test_evidence_that_nobody_keeps_any_more_is_named_and_is_no_reason_to_refuse(
    sent: tuple[Source, Path], there: tuple[Journal, EvidenceStore], tmp_path: Path
) -> None:
    known, _ = sent
    (call,) = known.journal.values(NAME, ToolCall)
    assert call.evidence
    known.kept.drop([call.evidence.id])
    contents = export(an_incident(), known, tmp_path / "gap.zip", telemetry=False)
    assert contents.missing == (call.evidence.id,)
    assert receive(tmp_path / "gap.zip", *there, tmp_path).audit.faults == (f"evidence {call.evidence.id} is missing",)


def test_nothing_is_written_over(sent: tuple[Source, Path]) -> None:
    known, path = sent
    whole = path.read_bytes()
    with pytest.raises(BadParcel, match="there is something at"):
        export(an_incident(), known, path, telemetry=False)
    assert path.read_bytes() == whole


def files_in(path: Path) -> dict[str, bytes]:
    with zipfile.ZipFile(path) as packed:
        return {name: packed.read(name) for name in packed.namelist()}


def packed_again(path: Path, files: dict[str, bytes]) -> None:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as packed:
        for name, stored in files.items():
            packed.writestr(name, stored)


def resealed(files: dict[str, bytes]) -> None:
    """Make the manifest say what the files are now, as somebody would who wants to deceive."""
    told = json.loads(files.pop("manifest.json"))
    told["files"] = {name: evidence_id(stored) for name, stored in files.items()}
    contents = parcel.Contents.model_validate(told)
    files["manifest.json"] = contents.model_copy(update={"digest": parcel._digest(contents)}).model_dump_json().encode()


def changed_record(files: dict[str, bytes]) -> None:
    files["records.jsonl"] = files["records.jsonl"].replace(b"it opened this", b"it closed this")


def lost_record(files: dict[str, bytes]) -> None:
    lines = files["records.jsonl"].splitlines(keepends=True)
    files["records.jsonl"] = lines[0] + lines[2]


def cut_off(files: dict[str, bytes]) -> None:
    files["records.jsonl"] = b"".join(files["records.jsonl"].splitlines(keepends=True)[:-1])


def unknown_type(files: dict[str, bytes]) -> None:
    files["records.jsonl"] = files["records.jsonl"].replace(b'"type":"message"', b'"type":"spell"')


def changed_evidence(files: dict[str, bytes]) -> None:
    name = next(name for name in files if name.startswith("evidence/"))
    files[name] += b" "


def strange_evidence(files: dict[str, bytes]) -> None:
    stored = b'{"rows":[7]}'
    files[f"evidence/{evidence_id(stored)}.json"] = stored


def path_trick(files: dict[str, bytes]) -> None:
    files["evidence/../../../etc/cron.d/x"] = b"* * * * * root true"


@pytest.mark.parametrize("reseal", [False, True])
@pytest.mark.parametrize(
    "change", [changed_record, lost_record, cut_off, unknown_type, changed_evidence, strange_evidence, path_trick]
)
def test_what_was_changed_is_refused_and_nothing_of_it_gets_in(
    sent: tuple[Source, Path],
    there: tuple[Journal, EvidenceStore],
    tmp_path: Path,
    change: Callable[[dict[str, bytes]], None],
    reseal: bool,
) -> None:
    _, path = sent
    journal, kept = there
    files = files_in(path)
    change(files)
    if reseal:
        resealed(files)
    packed_again(path, files)
    with pytest.raises(BadParcel):
        receive(path, journal, kept, tmp_path / "snapshots")
    assert journal.investigations() == []
    assert not kept.folder.exists()


def test_a_zip_that_was_packed_anew_with_the_same_files_is_the_same(
    sent: tuple[Source, Path], there: tuple[Journal, EvidenceStore], tmp_path: Path
) -> None:
    _, path = sent
    packed_again(path, files_in(path))
    assert receive(path, *there, tmp_path).new


def test_a_bomb_is_refused_by_its_size_before_it_is_unpacked(
    there: tuple[Journal, EvidenceStore], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(parcel, "MOST_OF_DOCUMENT", 2**20)
    packed_again(tmp_path / "bomb.zip", {f"evidence/{'a' * 64}.json": b"0" * 2**22})
    with pytest.raises(BadParcel, match="too much to be true"):
        receive(tmp_path / "bomb.zip", *there, tmp_path)


@pytest.mark.parametrize("written", [b"", b"PK", b"no zip at all" * 50])
def test_what_is_no_zip_is_refused_in_a_line(
    there: tuple[Journal, EvidenceStore], tmp_path: Path, written: bytes
) -> None:
    (tmp_path / "odd.zip").write_bytes(written)
    with pytest.raises(BadParcel, match="cannot read"):
        receive(tmp_path / "odd.zip", *there, tmp_path)


def test_a_file_that_was_cut_or_damaged_anywhere_is_refused(
    sent: tuple[Source, Path], there: tuple[Journal, EvidenceStore], tmp_path: Path
) -> None:
    _, path = sent
    journal, kept = there
    whole = path.read_bytes()
    with zipfile.ZipFile(io.BytesIO(whole)) as packed:
        stored_at = [info.header_offset + 40 for info in packed.infolist()]
    for place in [*stored_at, len(whole) - 30]:
        path.write_bytes(whole[:place] + bytes([whole[place] ^ 0xFF]) + whole[place + 1 :])
        with pytest.raises(BadParcel):
            receive(path, journal, kept, tmp_path)
    path.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(BadParcel):
        receive(path, journal, kept, tmp_path)
    assert journal.investigations() == []


@pytest.mark.xdist_group("postgresql")
def test_it_goes_from_files_to_postgresql_and_back(sent: tuple[Source, Path], tmp_path: Path, postgresql: str) -> None:
    known, path = sent
    with closing(Journal(Database(postgresql))) as shared:
        kept = SharedEvidence(tmp_path / "near", shared.database)
        assert receive(path, shared, kept, tmp_path).audit.faults == ()
        shutil.rmtree(tmp_path / "near")
        there = Source(shared, kept, known.settings)
        export(an_incident(), there, tmp_path / "back.zip", telemetry=False)
    back = files_in(tmp_path / "back.zip")
    assert back["records.jsonl"].startswith(files_in(path)["records.jsonl"])
    with closing(Journal(tmp_path / "third" / "journal.db")) as journal:
        third = EvidenceStore(tmp_path / "third" / "evidence", 2**40)
        assert receive(tmp_path / "back.zip", journal, third, tmp_path).audit.faults == ()
