"""That the store's page in the docs says what the code does."""

from pathlib import Path

import pytest

from midwatch_store import TABLES
from midwatch_store.settings import Settings

PAGE = (Path(__file__).parents[2] / "docs" / "store.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("name", TABLES)
def test_the_page_lists_every_column_with_its_type(name: str) -> None:
    [row] = [line for line in PAGE.splitlines() if line.startswith(f"| `{name}` |")]
    shown = [
        f"`{column.name}` {column.type.replace('MAP(VARCHAR, VARCHAR)', 'MAP')}" for column in TABLES[name].columns
    ]
    assert row == f"| `{name}` | {', '.join(shown[:-1])} |"


@pytest.mark.parametrize("name", Settings.model_fields)
def test_the_page_explains_every_setting(name: str) -> None:
    assert f"`--{name.replace('_', '-')}`" in PAGE


def test_the_example_of_the_page_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    example = PAGE.split("```python\n")[1].split("```")[0]
    (tmp_path / "incident").mkdir()
    monkeypatch.chdir(tmp_path)
    exec(compile(example, "docs/store.md", "exec"), {})
