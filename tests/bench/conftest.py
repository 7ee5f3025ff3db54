"""The made sets, each in a folder of its own."""

from pathlib import Path

import pytest
from tests.bench import published


@pytest.fixture
def petshop_data(tmp_path: Path) -> Path:
    return published.petshop_in(tmp_path)


@pytest.fixture
def nezha_data(tmp_path: Path) -> Path:
    return published.nezha_in(tmp_path)


@pytest.fixture
def changerca_data(tmp_path: Path) -> Path:
    return published.changerca_in(tmp_path)


@pytest.fixture
def sockshop_data(tmp_path: Path) -> Path:
    return published.sockshop_in(tmp_path)
