"""What the tests of all servers' backends have in common."""

from collections.abc import Generator
from contextlib import suppress

import botocore.loaders
import pytest
import tenacity
import urllib3
from botocore.retries.standard import ExponentialBackoff
from tests.backends.grammars import READ, misread


@pytest.fixture(scope="session", autouse=True)
def _descriptions() -> Generator[None]:
    """Read AWS' descriptions of its APIs once for all tests: each session of boto3 would read them anew."""
    loader = botocore.loaders.Loader()
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr("botocore.session.create_loader", lambda *_: loader)  # a name of its own there
        yield


@pytest.fixture(scope="session", autouse=True)
def _asked_again_at_once() -> Generator[None]:
    """Let who asks again do so at once, where nobody said when to: how long libraries then wait is theirs to test."""
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(tenacity.wait_random_exponential, "__call__", lambda *_, **__: 0.0)
        patched.setattr(ExponentialBackoff, "delay_amount", lambda *_: 0.0)
        patched.setattr(urllib3.Retry, "get_backoff_time", lambda _: 0.0)
        yield


@pytest.fixture(scope="session", autouse=True)
def _read_as_grafana_does() -> Generator[None]:
    """Hold each query that any test put to a fake of Loki or Tempo against Grafana's own grammar, all at once."""
    yield
    with suppress(pytest.skip.Exception):
        assert not READ or misread(READ) == []
