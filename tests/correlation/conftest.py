"""A host without servers, for what alerts make of incidents."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from midwatch.host import Host
from midwatch.mcp_client.toolbox import Eyes, Hands
from midwatch.settings import Settings
from midwatch.storage.journal import Journal
from midwatch_kit.evidence import EvidenceStore


@pytest.fixture
def journal(tmp_path: Path) -> Iterator[Journal]:
    opened = Journal(tmp_path / "journal.db")
    yield opened
    opened.close()


@pytest.fixture
def host(journal: Journal, tmp_path: Path) -> Host:
    return a_host(journal, tmp_path)


def a_host(journal: Journal, folder: Path, **settings: object) -> Host:
    """Return a host without servers."""
    kept = EvidenceStore(folder / "evidence", 2**40)
    known = Settings.model_validate({"data_dir": folder, "steering_dir": folder / "steering", **settings})
    return Host(known, journal, Eyes({}, kept), Hands({}, kept), ())
