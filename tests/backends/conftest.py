"""What the tests of all servers' backends have in common."""

from collections.abc import Generator

import botocore.loaders
import pytest


@pytest.fixture(scope="session", autouse=True)
def _descriptions() -> Generator[None]:
    """Read AWS' descriptions of its APIs once for all tests: each session of boto3 would read them anew."""
    loader = botocore.loaders.Loader()
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr("botocore.loaders.create_loader", lambda *_: loader)
        yield
