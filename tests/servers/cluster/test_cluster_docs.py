"""That what the docs say of the cluster server is what its code does."""

from pathlib import Path

import pytest
import yaml

from midwatch_cluster.backend import KINDS
from midwatch_cluster.checks import CHECKS
from midwatch_cluster.live import PATHS

DOCS = Path(__file__).parents[3] / "docs"


@pytest.mark.parametrize("name", [check.name for check in CHECKS])
def test_the_page_has_a_row_for_every_check(name: str) -> None:
    assert f"| `{name}` |" in (DOCS / "cluster.md").read_text(encoding="utf-8")


def test_the_role_allows_to_list_every_kind_that_is_read_and_nothing_else() -> None:
    documents = list(yaml.safe_load_all((DOCS / "cluster-rbac.yaml").read_text(encoding="utf-8")))
    [role] = [document for document in documents if document["kind"] == "ClusterRole"]
    allowed = {(group, name) for rule in role["rules"] for group in rule["apiGroups"] for name in rule["resources"]}
    read = {
        (path.removeprefix("/apis/").rpartition("/")[0].removeprefix("/api"), name) for path, name in PATHS.values()
    }
    assert allowed == read
    assert {verb for rule in role["rules"] for verb in rule["verbs"]} == {"list"}


def test_every_kind_that_is_looked_at_can_be_read_live() -> None:
    assert set(KINDS) == set(PATHS)
