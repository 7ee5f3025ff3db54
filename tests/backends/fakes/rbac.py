"""What a role of Kubernetes allows, as its documentation tells: rules add up, and what no rule names is forbidden."""

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import yaml

Rules = Sequence[Mapping[str, Sequence[str]]]
_LIST: Final = re.compile(r"/(?:api|apis/(?P<group>[^/]+))/[^/]+/(?:namespaces/[^/]+/)?(?P<resource>[^/]+)")


def rules_in(manifest: Path, *names: str) -> list[dict[str, Any]]:
    """Return the rules of the ClusterRoles in a file, or of those with these names."""
    documents = [each for each in yaml.safe_load_all(manifest.read_text(encoding="utf-8")) if each]
    roles = [each for each in documents if each["kind"] == "ClusterRole"]
    return [rule for role in roles if not names or role["metadata"]["name"] in names for rule in role["rules"]]


def without(rules: Rules, resource: str) -> list[dict[str, Any]]:
    """Return rules that are the same but for one resource."""
    return [{**rule, "resources": [each for each in rule["resources"] if each != resource]} for rule in rules]


def may_list(rules: Rules, path: str) -> bool:
    """Return whether who has these rules may list what is at a path."""
    asked = _LIST.fullmatch(path)
    assert asked, f"{path} is no list"
    wanted = {"apiGroups": asked["group"] or "", "resources": asked["resource"], "verbs": "list"}
    return any(all(one in rule[part] or "*" in rule[part] for part, one in wanted.items()) for rule in rules)
