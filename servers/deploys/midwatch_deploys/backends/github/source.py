"""One repository on GitHub: what was deployed from it, came to its main branch, and was released; and who owns what."""

import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from difflib import get_close_matches
from functools import cached_property
from typing import Final, TypeAlias

from codeowners import CodeOwners

from midwatch_deploys.backend import Change
from midwatch_deploys.backends.github import read
from midwatch_deploys.backends.github.client import GitHubClient, Json, Refused
from midwatch_deploys.catalogue import FILES, MOST_BYTES, Declared, Unreadable, declared_in
from midwatch_deploys.services import Services
from midwatch_deploys.settings import DeploysSettings
from midwatch_kit import BackendDown, Check
from midwatch_kit.parallel import Threads

Part: TypeAlias = Callable[[datetime, datetime], tuple[list[Change], str]]
"""Returns the changes in a span of time, and what was left out, in words."""

_MOST_DECLARING: Final = 20
_MOST: Final = 300
_MOST_LOOKED_INTO: Final = 50
"""Deployments or commits of one answer that are asked about one by one."""

_AT_ONCE: Final = 4
_OLDER: Final = 20
_OWNERS: Final = (".github/CODEOWNERS", "CODEOWNERS", "docs/CODEOWNERS")
_RUN_FOR: Final = timedelta(days=1)
PERMISSIONS: Final[Mapping[str, str]] = {
    "deployments": "Deployments: read",
    "commits": "Contents: read",
    "releases": "Contents: read",
    "actions/runs": "Actions: read",
    "pulls": "Pull requests: read",
}
"""What a fine-grained token needs for each list."""


class Source:
    """A repository; its methods raise `Refused` when GitHub says no, and `BackendDown` when it does not answer."""

    def __init__(self, client: GitHubClient, name: str, services: Services, settings: DeploysSettings) -> None:
        self.client = client
        self.name = name
        self._services = services
        self._environments = frozenset(settings.github_environments)
        self._workflows = frozenset(settings.github_workflows)
        api = str(settings.github_url).rstrip("/")
        web = "https://github.com" if api == "https://api.github.com" else api.removesuffix("/api/v3")
        self.page = f"{web}/{name}"
        self._lock = threading.Lock()

    def holds(self, service: str) -> bool:
        """Whether the settings say that a service is built from here."""
        return service in self._services.names(self.name)

    def path(self, rest: str) -> str:
        """Return the API's path of something in the repository."""
        return f"/repos/{self.name}/{rest}"

    def parts(self) -> Sequence[tuple[str, Part]]:
        """Return what can be asked, by name."""
        every: list[tuple[str, Part]] = [
            ("deployments", self._deployments),
            ("commits", self._commits),
            ("releases", self._releases),
        ]
        return [*every, ("actions/runs", self._runs)] if self._workflows else every

    def commit(self, revision: str) -> Change:
        """Return one commit with its files."""
        return read.commit(self.name, self.page, self.client.get(self.path(f"commits/{revision}")))

    def compared(self, before: str, after: str, service: str) -> list[Json]:
        """Return the files that differ between two revisions, of a service's paths; GitHub tells at most 300."""
        files: list[Json] = self.client.get(self.path(f"compare/{before}...{after}")).get("files", [])
        if not service or not self._services.divided(self.name):
            return files
        own = self._services.touched(self.name, (file["filename"] for file in files)).get(service, ())
        return [file for file in files if file["filename"] in own]

    def by_service(self, change: Change) -> list[Change]:
        """Return a change once for each service that its files say it concerns, with the owner of these files."""
        touched = self._services.touched(self.name, change.files)
        if not change.files:
            touched = dict.fromkeys(self._services.names(self.name), ())
        return [
            replace(
                change,
                id=f"{change.id}:{service}",
                service=service,
                files=files,
                attributes={**change.attributes, **self._owned(service, files)},
            )
            for service, files in touched.items()
        ]

    def declared(self) -> tuple[list[Declared], list[str]]:
        """Return what files for Backstage declare, at the top and beside each service; and which cannot be read."""
        folders = ["", *(f"{path}/" for service in self._services.names(self.name) for path in self._own(service))]
        declared: list[Declared] = []
        gaps: list[str] = []
        for folder in folders[:_MOST_DECLARING]:
            try:
                found = self.client.get(self.path(f"contents/{folder}{FILES[0]}"))
                declared += declared_in(read.content(found)[:MOST_BYTES], f"{self.name}/{folder}{FILES[0]}")
            except Unreadable as error:
                gaps.append(str(error))
            except Refused as error:
                gaps += [] if error.status == 404 else [f"{self.name}/{folder}{FILES[0]}: {error}"]
        return declared, gaps

    def _own(self, service: str) -> Sequence[str]:
        return self._services.paths(self.name, service)

    def checks(self) -> list[Check]:
        """Look whether each list may be read."""
        return [self._check(what) for what in [*(name for name, _ in self.parts()), "pulls"]]

    def _check(self, what: str) -> Check:
        name = f"{self.name} {what}"
        try:
            found = self.client.get(self.path(what), per_page=1)
        except (Refused, BackendDown) as error:
            return Check(
                name, ok=False, detail=self.words(what, error), do="see docs/deploys.md for what the token needs"
            )
        some = found.get("total_count", 0) if isinstance(found, dict) else len(found)
        return Check(name, ok=True, detail="can be read" if some else "can be read; there are none")

    def words(self, what: str, error: Exception) -> str:
        """Return what a refusal means: GitHub answers 404 for what a token may not know of."""
        if isinstance(error, Refused) and error.status == 403:
            return f"{error}: the token needs {PERMISSIONS[what]!r} of {self.name}"
        if isinstance(error, Refused) and error.status == 404:
            return f"there is no {self.name}, or the token may not see it{self._near}"
        return str(error)

    @cached_property
    def _near(self) -> str:
        owner, _, _ = self.name.partition("/")
        try:
            names = [each["full_name"] for each in self.client.each(f"/users/{owner}/repos", 100)]
        except (Refused, BackendDown, KeyError):
            return f" (no {owner!r} either)"
        near = get_close_matches(self.name, names, n=5, cutoff=0.5)
        return f": there is {', '.join(near)}" if near else ""

    def _listed(self, what: str, under: str = "", **query: str | int) -> list[Json]:
        try:
            return list(self.client.each(self.path(what), _MOST, under, **query))
        except Refused as error:
            raise Refused(error.status, self.words(what, error)) from None

    def _deployments(self, begin: datetime, end: datetime) -> tuple[list[Change], str]:
        listed: list[Json] = []
        older = 0
        try:
            for told in self.client.each(self.path("deployments"), _MOST):
                listed.append(told)
                older += read.moment(told["created_at"]) < begin
                if older > _OLDER:  # these are there only to know what ran before
                    break
        except Refused as error:
            raise Refused(error.status, self.words("deployments", error)) from None
        wanted = [told for told in listed if not self._environments or told["environment"] in self._environments]
        inside = [n for n, told in enumerate(wanted) if begin <= read.moment(told["created_at"]) < end]
        with Threads(_AT_ONCE) as pool:
            found = pool.map(lambda n: self._deployment(wanted[n], wanted[n + 1 :]), inside[:_MOST_LOOKED_INTO])
            changes = [change for changes in found for change in changes]
        left_out = len(inside) > _MOST_LOOKED_INTO or len(listed) == _MOST
        return changes, f"only the newest {min(len(inside), _MOST_LOOKED_INTO)} were read" if left_out else ""

    def _deployment(self, told: Json, before: Sequence[Json]) -> list[Change]:
        previous = next((each["sha"] for each in before if each["environment"] == told["environment"]), "")
        return self.deployed(self.deployment(told, previous))

    def deployment(self, told: Json, previous: str) -> Change:
        """Return a deployment with its latest status."""
        statuses = self.client.get(self.path(f"deployments/{told['id']}/statuses"), per_page=1)
        return read.deployment(self.name, self.page, told, statuses[0] if statuses else None, previous)

    def deployed(self, change: Change) -> list[Change]:
        """Return a deploy of the repository once for each service that it brought something new."""
        after, before = change.attributes["revision"], change.previous_version
        if not self._services.divided(self.name) or not before:
            return self.by_service(change)
        try:
            files = tuple(file["filename"] for file in self.compared(before, after, ""))
        except Refused:
            files = ()
        return self.by_service(replace(change, files=files))

    def _commits(self, begin: datetime, end: datetime) -> tuple[list[Change], str]:
        listed = self._listed("commits", since=_instant(begin), until=_instant(end))
        kept = read.main_line(listed)
        with Threads(_AT_ONCE) as pool:
            told = pool.map(self._with_files, kept[:_MOST_LOOKED_INTO])
            changes = [each for change in told for each in self.by_service(change) if begin <= each.at < end]
        left_out = len(kept) > _MOST_LOOKED_INTO or len(listed) == _MOST
        return changes, f"only the newest {min(len(kept), _MOST_LOOKED_INTO)} were read" if left_out else ""

    def _with_files(self, told: Mapping[str, object]) -> Change:
        return self.commit(str(told["sha"]))

    def _releases(self, begin: datetime, end: datetime) -> tuple[list[Change], str]:
        listed = self._listed("releases")
        published = [read.release(self.name, self.page, told) for told in listed if told.get("published_at")]
        changes = [each for change in published if begin <= change.at < end for each in self.by_service(change)]
        return changes, f"only the newest {_MOST} were looked at" if len(listed) == _MOST else ""

    def _runs(self, begin: datetime, end: datetime) -> tuple[list[Change], str]:
        span = f"{_instant(begin - _RUN_FOR)}..{_instant(end)}"
        listed = self._listed("actions/runs", "workflow_runs", created=span)
        wanted = [
            t for t in listed if {t.get("name"), t["path"].partition("@")[0].rsplit("/", 1)[-1]} & self._workflows
        ]
        changes = [each for told in wanted for each in self.by_service(read.run(self.name, self.page, told))]
        return changes, f"only the newest {_MOST} were looked at" if len(listed) == _MOST else ""

    def _owned(self, service: str, files: Sequence[str]) -> dict[str, str]:
        paths = self._services.paths(self.name, service)
        path = files[0] if files else f"{paths[0]}/x" if paths else "x"
        owners = [name for _, name in self._owners.of(path)]
        return {"team": owners[0].removeprefix("@")} if owners else {}

    @property
    def _owners(self) -> CodeOwners:
        with self._lock:
            return self._read_owners

    @cached_property
    def _read_owners(self) -> CodeOwners:
        for path in _OWNERS:
            try:
                found = self.client.get(self.path(f"contents/{path}"))
            except Refused:
                continue
            if isinstance(found, dict):
                return CodeOwners(read.content(found))
        return CodeOwners("")


def _instant(at: datetime) -> str:
    return at.strftime("%Y-%m-%dT%H:%M:%SZ")
