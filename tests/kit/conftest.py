"""What the kit's tests share: a server to put tools on, and its client's view of a reply."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from tests.backends.serving import served
from tests.kit.issuer import Issuer
from tests.kit.remote import PUBLIC

from midwatch_kit import EvidenceServer, ServerSettings, Signal

MakeServer = Callable[..., EvidenceServer]


@pytest.fixture
def make_server(tmp_path: Path) -> MakeServer:
    """Return a function that makes an empty server; its keyword arguments are settings."""

    def make(**settings: object) -> EvidenceServer:
        chosen = ServerSettings.model_validate({"evidence_dir": tmp_path / "evidence", **settings})
        return EvidenceServer("midwatch-fish", Signal.LOGS, chosen, version="1", title="Fish", instructions="Fish.")

    return make


@pytest.fixture(scope="session")
def issuer() -> Iterator[Issuer]:
    """An authorization server on a real socket, whose tokens are for `PUBLIC`."""
    made = Issuer(PUBLIC)
    with served(made.app()) as (url, _):
        made.url = url
        yield made
