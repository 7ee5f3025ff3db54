"""What the tests of troubles share: one stage, with every server well."""

from collections.abc import Iterator

import pytest
from tests.e2e.story import Story
from tests.trouble.stage import Stage, on_stage


@pytest.fixture(scope="session")
def stage(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    with on_stage(tmp_path_factory.mktemp("stage"), Story()) as made:
        made.undisturbed()  # from here on, what a server is asked again is answered from memory
        yield made
