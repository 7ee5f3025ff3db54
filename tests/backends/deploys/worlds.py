"""One story, told to each backend of the deploys server: forge changes at 02:40 by Ada, bot the day before.

Each world brings the settings that turn its backend on, and what of the answer is its own to say.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from tests.backends.deploys.repositories import GitRepository

from midwatch_store.writer import Writer

AT = datetime(2026, 11, 20, 2, 40, tzinfo=UTC)
EARLIER = AT - timedelta(days=1)
SECRET = "hunter2-and-more"
IN_WINDOW = {"start": "2026-11-20T02:35:00Z", "end": "2026-11-20T02:50:00Z"}
TITLE = "Carry the finish through"
FILE = "app/forge/blueprint.py"
DIFF = f'@@ -1 +1,2 @@\n model: str\n+finish: str\n+password = "{SECRET}"\n'


@dataclass(frozen=True)
class World:
    """Where the story is told: the settings of a server that reads it, and how this backend names what happened."""

    settings: Mapping[str, Any]
    kind: str
    author: str
    link: str
    shows: str = "+finish: str"
    """What a change in full says, besides the facts."""
    names_files: bool = True


def store_world(folder: Path) -> World:
    """Tell the story to the embedded store."""
    row = {"ChangeId": "d-3", "Kind": "deploy", "ServiceName": "forge", "Outcome": "succeeded", "Author": "Ada Byron"}
    told = {"Title": TITLE, "Files": [FILE], "Diff": DIFF, "Version": "3f2c1ab", "Url": "https://git.example/3f2c1ab"}
    with Writer(folder / "store") as writer:
        writer.append({"changes": [{"Timestamp": EARLIER, "ChangeId": "d-2", "Kind": "deploy", "ServiceName": "bot"}]})
        writer.append({"changes": [{"Timestamp": AT, **row, **told}]})
    return World({"store": folder / "store"}, "deploy", "Ada Byron", "https://git.example/3f2c1ab")


def git_world(folder: Path) -> World:
    """Tell the story to a git repository that was cloned from a forge and holds two services."""
    repository = GitRepository(folder / "app", "git@git.example:robots/app.git")
    repository.commit("Answer faster", {"app/bot/main.py": "x = 1\n"}, EARLIER)
    repository.commit(TITLE, {FILE: f'model: str\nfinish: str\npassword = "{SECRET}"\n'}, AT)
    paths = {"app/forge": "forge", "app/bot": "bot"}
    link = f"https://git.example/robots/app/commit/{repository.head()}"
    return World({"git_repositories": [repository.path], "service_paths": paths}, "commit", "Ada Byron", link)


WORLDS = {"store": store_world, "git": git_world}
