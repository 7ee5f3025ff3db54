"""Evidence: named by hash, kept within a bound, shared by processes and threads, and checked byte by byte."""

import hashlib
import json
import os
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import JsonValue

from midwatch_kit import BackendDown, BadInput, NotFound, Observation, ObservationKind, Signal
from midwatch_kit.evidence import PAGE_CHARS, EvidenceStore, broken_citations, canonical, cite, evidence_id

DOCUMENT: JsonValue = {"rows": [{"service": "forge", "errors": 118}, {"service": "bot", "errors": 0}]}


@pytest.fixture
def store(tmp_path: Path) -> EvidenceStore:
    return EvidenceStore(tmp_path / "kept", 2**20)


def observation(document: JsonValue, *pointers: str) -> Observation:
    return Observation(
        id="1",
        entity="service:forge",
        kind=ObservationKind.SPIKE,
        subject="error_rate",
        statement="forge fails",
        signal=Signal.TRACES,
        citations=cite(evidence_id(canonical(document)), document, pointers),
    )


def test_a_document_is_named_by_the_sha256_of_its_bytes_and_comes_back_whole(store: EvidenceStore) -> None:
    name = store.put(canonical(DOCUMENT))
    assert name == hashlib.sha256(store.get(name)).hexdigest()
    assert json.loads(store.get(name)) == DOCUMENT


@given(st.dictionaries(st.text(), st.integers() | st.text(), min_size=2))
def test_the_order_of_keys_does_not_change_the_bytes(row: dict[str, int | str]) -> None:
    assert canonical({**row}) == canonical(dict(reversed(row.items())))


def test_pages_joined_are_the_document(store: EvidenceStore) -> None:
    stored = canonical({"rows": ["käfer " * 5000, "x" * 90_000]})
    name = store.put(stored)
    pages = [store.page(name, number) for number in range(-(-len(stored) // PAGE_CHARS))]
    assert "".join(pages).encode() == stored
    with pytest.raises(NotFound, match=f"has pages 0 to {len(pages) - 1}, not {len(pages)}"):
        store.page(name, len(pages))


def test_grep_finds_rows_in_any_case_and_counts_what_it_leaves_out(store: EvidenceStore) -> None:
    few = store.put(canonical({"rows": [{"body": "Größe zu GROSS"}, {"body": "fine"}]}))
    assert [json.loads(line) for line in store.grep(few, "größe")] == [{"body": "Größe zu GROSS"}]
    many = store.put(canonical({"rows": [f"{number} {'x' * 1000}" for number in range(100)]}))
    *rows, last = store.grep(many, "xxx")
    assert sum(map(len, rows)) <= PAGE_CHARS
    assert last.startswith(f"… and {100 - len(rows)} more rows")


@pytest.mark.parametrize("name", ["", "abc", "../../etc/passwd", "A" * 64, "0" * 65, "0" * 63 + "/"])
def test_what_is_not_an_id_is_refused_before_any_file_is_touched(store: EvidenceStore, name: str) -> None:
    with pytest.raises(BadInput, match="64 hexadecimal digits"):
        store.get(name)


def test_the_first_digits_of_an_id_name_a_document_when_no_other_begins_so(store: EvidenceStore) -> None:
    names = [store.put(canonical({"rows": [number]})) for number in range(3)]
    assert [store.named(name[:8]) for name in names] == names
    (store.folder / names[0][:2] / f"{names[0][:12]}{'0' * 52}.json").write_bytes(b"{}")
    for beginning, fault, said in (
        (names[0][:8], BadInput, "2 documents begin with"),
        (names[0][:7], BadInput, "8 or more name it"),
        ("../../etc", BadInput, "is not an evidence id"),
        ("0" * 8, NotFound, "no evidence 00000000 is kept here"),
    ):
        with pytest.raises(fault, match=said):
            store.named(beginning)


def test_the_oldest_documents_make_room_and_say_so_when_asked_for(tmp_path: Path) -> None:
    store = EvidenceStore(tmp_path, 2**20)
    names = [store.put(f"{number:03}".encode() * 40_000) for number in range(30)]
    kept = [name for name in names if (tmp_path / name[:2] / f"{name}.json").exists()]
    assert sum(len(store.get(name)) for name in kept) <= 2**20
    assert len(kept) >= 6
    assert kept == names[-len(kept) :]
    with pytest.raises(NotFound, match="repeat the query"):
        store.get(names[0])


def test_servers_that_share_a_folder_keep_it_within_bounds_together(tmp_path: Path) -> None:
    stores = [EvidenceStore(tmp_path, 2**20) for _ in range(5)]
    for number in range(60):
        stores[number % 5].put(f"{number:03}".encode() * 20_000)
    assert sum(path.stat().st_size for path in tmp_path.glob("*/*")) <= 2**20 + 5 * 2**16


def test_a_document_put_again_counts_as_young(tmp_path: Path) -> None:
    store = EvidenceStore(tmp_path, 2**20)
    favourite = store.put(b"f" * 100_000)
    for number in range(30):
        store.put(f"{number:03}".encode() * 40_000)
        store.put(b"f" * 100_000)
    assert store.get(favourite) == b"f" * 100_000


def test_a_document_larger_than_the_bound_is_still_there_for_its_reply(tmp_path: Path) -> None:
    store = EvidenceStore(tmp_path, 2**20)
    assert len(store.get(store.put(b"x" * 3 * 2**20))) == 3 * 2**20


def test_many_writers_of_one_folder_never_show_a_reader_half_a_document(tmp_path: Path) -> None:
    documents = [canonical({"rows": [number] * 20_000}) for number in range(8)]
    stores = [EvidenceStore(tmp_path, 2**20) for _ in range(4)]
    done = threading.Event()

    def read() -> int:
        seen = 0
        while not done.is_set():
            for path in tmp_path.glob("*/*.json"):
                try:
                    stored = path.read_bytes()
                except FileNotFoundError:
                    continue
                assert evidence_id(stored) == path.stem
                seen += 1
        return seen

    def write(store: EvidenceStore) -> None:
        for _ in range(20):
            for stored in documents:
                store.put(stored)

    with ThreadPoolExecutor(6) as pool:
        readers = [pool.submit(read) for _ in range(2)]
        try:
            list(pool.map(write, stores))
        finally:
            done.set()
        assert all(reader.result() > 0 for reader in readers)
    assert {store.get(evidence_id(stored)) for store in stores for stored in documents} == set(documents)
    assert not list(tmp_path.glob("*/*.part"))


@pytest.mark.skipif(os.name != "posix", reason="permissions of files are a POSIX matter")
def test_only_the_owner_may_read_the_folder(store: EvidenceStore) -> None:
    name = store.put(b"{}")
    assert store.folder.stat().st_mode & 0o077 == 0
    assert (store.folder / name[:2] / f"{name}.json").stat().st_mode & 0o077 == 0


def test_a_folder_that_cannot_be_written_is_named_with_what_to_do(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(BackendDown, match=r"cannot keep evidence in .*file/kept .*MIDWATCH_EVIDENCE_DIR"):
        EvidenceStore(tmp_path / "file" / "kept", 2**20).put(b"{}")


def test_citations_of_stored_bytes_hold() -> None:
    seen = observation(DOCUMENT, "/rows/0/errors", "/rows/1")
    assert [citation.quote for citation in seen.citations] == [118, {"service": "bot", "errors": 0}]
    assert not broken_citations(seen, {evidence_id(canonical(DOCUMENT)): canonical(DOCUMENT)})


@given(st.data())
def test_one_byte_changed_anywhere_is_found(data: st.DataObject) -> None:
    stored = canonical(DOCUMENT)
    place = data.draw(st.integers(0, len(stored) - 1))
    byte = data.draw(st.integers(0, 255).filter(lambda other: other != stored[place]))
    changed = stored[:place] + bytes([byte]) + stored[place + 1 :]
    faults = broken_citations(observation(DOCUMENT, "/rows/0/errors"), {evidence_id(stored): changed})
    assert [fault for fault in faults if "was changed" in fault]


def test_a_quote_that_is_not_what_stands_there_is_found() -> None:
    name, stored = evidence_id(canonical(DOCUMENT)), canonical(DOCUMENT)
    seen = observation(DOCUMENT, "/rows/0/errors", "/rows/1/errors")
    invented = seen.citations[0].model_copy(update={"quote": 119})
    astray = seen.citations[1].model_copy(update={"where": "/rows/9"})
    faults = broken_citations(seen.model_copy(update={"citations": (invented, astray)}), {name: stored})
    assert faults == [
        f"evidence {name} says 118 at /rows/0/errors, not 119",
        f"evidence {name} has nothing at /rows/9",
    ]


def test_missing_evidence_and_an_observation_without_citations_are_found() -> None:
    assert "is missing" in broken_citations(observation(DOCUMENT, "/rows"), {})[0]
    assert "cites nothing" in broken_citations(observation(DOCUMENT), {})[0]
