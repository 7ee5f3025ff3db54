"""What the tests of all servers' backends have in common."""

from collections.abc import Generator
from contextlib import suppress

import botocore.loaders
import pytest
from tests.backends.grammars import READ, misread


@pytest.fixture(scope="session", autouse=True)
def _descriptions() -> Generator[None]:
    """Read AWS' descriptions of its APIs once for all tests: each session of boto3 would read them anew."""
    loader = botocore.loaders.Loader()
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr("botocore.session.create_loader", lambda *_: loader)  # a name of its own there
        yield


@pytest.fixture(scope="session", autouse=True)
def _read_as_grafana_does() -> Generator[None]:
    """Hold each query that any test put to a fake of Loki or Tempo against Grafana's own grammar, all at once."""
    yield
    with suppress(pytest.skip.Exception):
        assert not READ or misread(READ) == []
