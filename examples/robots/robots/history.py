"""The application's past: who wrote which part of it, as the commits of a new repository.

The same seed gives the same commits, ids included, as long as the application's source stays the same.
"""

import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from importlib.resources import files
from pathlib import Path

import anyio.to_thread

from robots.repository import Author, Commit, Repository

FIRST_COMMIT = datetime(2026, 9, 1, 8, 30, tzinfo=UTC)

OKAFOR = Author("Ada Okafor", "ada.okafor@robots.example")
KUMAR = Author("Ravi Kumar", "ravi.kumar@robots.example")
TANAKA = Author("Mei Tanaka", "mei.tanaka@robots.example")
WEBER = Author("Jonas Weber", "jonas.weber@robots.example")
SILVA = Author("Lucia Silva", "lucia.silva@robots.example")


@dataclass(frozen=True)
class Step:
    """One commit of the past: the parts of the source that it brought in."""

    author: Author
    message: str
    parts: tuple[str, ...]


@dataclass(frozen=True)
class Patch:
    """A commit to come: a unified diff in a file beside the module that needs it."""

    author: Author
    message: str
    package: str
    file: str

    def text(self) -> str:
        """Return the diff."""
        return files(self.package).joinpath(self.file).read_text(encoding="utf-8")


PAST = (
    Step(
        OKAFOR,
        "Take missions and questions in over HTTP\n\nThe gateway checks what a mission looks like and nothing else.",
        (
            "__init__.py",
            "environment.py",
            "errors.py",
            "serving.py",
            "settings.py",
            "telemetry.py",
            "upstream.py",
            "gateway",
        ),
    ),
    Step(
        KUMAR,
        "forge: rig robots and keep the blueprints per instance\n\nA miss costs some milliseconds of CPU, a hit none.",
        ("forge",),
    ),
    Step(
        TANAKA,
        "bot: look robots up and ask the forges in turn",
        ("database.py", "bot"),
    ),
    Step(
        WEBER,
        "schedule, action: queue jobs in PostgreSQL\n\nSKIP LOCKED lets workers take jobs without waiting for another.",
        ("jobs.py", "schema.sql", "schedule", "action"),
    ),
    Step(SILVA, "Say what each service needs", ("README.md",)),
)


def source() -> Path:
    """Return the folder of the application's source: inside an installed package, or beside it in a clone."""
    here = Path(__file__).parent
    installed = here / "app_source"
    return installed if installed.is_dir() else here.parent / "app"


async def make_history(repository: Repository, seed: int) -> Commit:
    """Create the repository with its past and return the last commit."""
    await repository.create()
    commits = [await _commit_parts(repository, step, commit_time(seed, n)) for n, step in enumerate(PAST)]
    return commits[-1]


async def commit_patch(repository: Repository, patch: Patch, at: datetime) -> Commit:
    """Apply a patch to the branch and commit it."""
    await repository.apply(patch.text())
    return await repository.commit(patch.message, patch.author, at)


def commit_time(seed: int, number: int) -> datetime:
    """Return when the commit with that number was made: some days after the one before it."""
    return FIRST_COMMIT + timedelta(days=9 * number, minutes=(seed * 37 + number * 101) % 480)


async def _commit_parts(repository: Repository, step: Step, at: datetime) -> Commit:
    await anyio.to_thread.run_sync(_copy, source(), repository.path, step.parts)
    return await repository.commit(step.message, step.author, at)


def _copy(origin: Path, target: Path, parts: Sequence[str]) -> None:
    (target / "app").mkdir(exist_ok=True)
    for part in parts:
        goal = target / "app" / part
        if (origin / part).is_dir():
            shutil.copytree(origin / part, goal, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copyfile(origin / part, goal)
