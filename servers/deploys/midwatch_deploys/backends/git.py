"""Changes in git repositories on this machine: what came to the main branch, and tags. It never fetches.

A commit of the main branch counts as a whole, with all that a merge brought, at the time of its commit. Whether it is
a deploy as well is for the settings to say.
"""

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Final, TypeVar

from midwatch_deploys.backend import Change, Found
from midwatch_deploys.backends.gitprogram import GitFailed
from midwatch_deploys.backends.gitrepository import Commit, Repository, Tag
from midwatch_deploys.catalogue import FILES, MOST_BYTES, Declared, Unreadable, declared_in
from midwatch_deploys.services import Services
from midwatch_deploys.settings import DeploysSettings
from midwatch_kit import BackendDown, Check, rfc3339

T = TypeVar("T")

_HASH: Final = re.compile(r"[0-9a-f]{7,40}", re.IGNORECASE)
_ID: Final = re.compile(r"git:(?P<repository>[^@]+)@(?P<name>[^:]+)(?::(?P<service>.*))?")
_STALE_DAYS: Final = 7
_MOST_DECLARING: Final = 200


class GitChanges:
    """The repositories that the settings name; each is looked at anew for every question."""

    def __init__(self, settings: DeploysSettings) -> None:
        self._services = Services(settings.service_paths)
        self._deployed_by = settings.git_deployed_by
        self._lookback = timedelta(days=settings.lookback_days)
        self._repositories = [
            Repository(path, settings.git_branch, settings.backend_seconds / 2) for path in settings.git_repositories
        ]

    def between(self, begin: datetime | None, end: datetime) -> Found:
        """Return the commits of the main branch and the tags in `[begin, end)`; raises `BackendDown`.

        `begin` None is as far back as the settings say.
        """
        begin = begin or end - self._lookback
        changes: list[Change] = []
        gaps: list[str] = []
        for repository in self._repositories:
            try:
                commits, cut = repository.commits(begin, end)
                changes += self._of_commits(repository, commits)
                changes += [each for tag in repository.tags(begin, end) for each in self._of_tag(repository, tag)]
                gaps += [f"{repository.name}: only the newest {len(commits):,} commits were read"] if cut else []
            except (BackendDown, GitFailed) as error:
                gaps.append(f"{repository.path}: {error}")
        if len(gaps) == len(self._repositories) and not changes:
            raise BackendDown(f"no repository can be read: {'; '.join(gaps)}; check_deploys says more")
        changes.sort(key=lambda change: (change.at, change.id))
        query = f"git log --first-parent {self._repositories[0].asked_branch}, and tags, "
        span = f"within [{rfc3339(begin)}, {rfc3339(end)}) of {len(self._repositories)} repositories"
        return Found(tuple(changes), len(changes), query + span, tuple(gaps))

    def find(self, change_id: str) -> Change | None:
        """Return a commit or a tag with its diff: by its id, or by the hash of a commit; raises `BackendDown`."""
        named = _ID.fullmatch(change_id)
        if named is None and not _HASH.fullmatch(change_id):
            return None
        name, service = (named["name"], named["service"]) if named else (change_id, None)
        held = (r for r in self._repositories if named is None or r.name == named["repository"])
        return next((found for r in held if (found := self._found(r, name, service)) is not None), None)

    def commit(self, revision: str, service: str) -> Change | None:
        """Return the commit that a hash names, as far as it is the service's; None if no repository knows it."""
        if not _HASH.fullmatch(revision):
            return None
        for repository in self._repositories:
            commit = _quiet(repository.commit, revision)
            if commit is not None:
                own = self._of_commits(repository, [commit])
                return next((each for each in own if each.service == service), own[0])
        return None

    def diff(self, before: str, after: str, service: str) -> str:
        """Return what changed for a service between two revisions; '' if no repository has both."""
        if not (_HASH.fullmatch(before) and _HASH.fullmatch(after)):
            return ""
        for repository in self._repositories:
            paths = self._services.paths(repository.name, service)
            if found := _quiet(repository.diff, before, after, paths):
                return found
        return ""

    def catalogue(self) -> tuple[Sequence[Declared], Sequence[str]]:
        """Return what the branches' files for Backstage declare, and which of them cannot be read."""
        declared: list[Declared] = []
        gaps: list[str] = []
        for repository in self._repositories:
            try:
                for path in repository.named(FILES, _MOST_DECLARING):
                    where = f"{repository.name}/{path}"
                    declared += declared_in(repository.content(path, MOST_BYTES), where)
            except (Unreadable, BackendDown, GitFailed) as error:
                gaps.append(str(error))
        return declared, gaps

    def checks(self) -> Sequence[Check]:
        """Look at each repository: can it be read, and how fresh is it."""
        return [check for repository in self._repositories for check in _checks(repository)]

    def _found(self, repository: Repository, name: str, service: str | None) -> Change | None:
        tag = _quiet(repository.tag, name)
        commit = _quiet(repository.commit, name) if tag is None and _HASH.fullmatch(name) else None
        changes = [*self._of_tag(repository, tag)] if tag else self._of_commits(repository, [commit] if commit else [])
        wanted = [each for each in changes if service is None or each.service == service]
        if not wanted:
            return None
        whole = wanted[0] if service is not None or len(wanted) == 1 else _of_all(wanted)
        paths = self._services.paths(repository.name, service) if service else ()
        if tag:
            return replace(whole, diff=repository.diff(tag.previous, tag.hash, paths) if tag.previous else "")
        return replace(whole, diff=repository.shown(whole.attributes["revision"], paths))

    def _of_commits(self, repository: Repository, commits: Sequence[Commit]) -> list[Change]:
        changes: list[Change] = []
        versions: dict[str, str] = {}
        deployed = self._deployed_by == "commits"
        for commit in sorted(commits, key=lambda each: each.at):
            for service, files in self._services.touched(repository.name, commit.files).items():
                previous = versions.get(service, commit.parent)
                versions[service] = commit.short
                changes.append(
                    Change(
                        id=f"git:{repository.name}@{commit.short}:{service}",
                        at=commit.at,
                        kind="deploy" if deployed else "commit",
                        service=service,
                        title=commit.title,
                        author=commit.author,
                        version=commit.short,
                        previous_version=previous if deployed else "",
                        repository=repository.url,
                        url=repository.page_of(commit.hash),
                        files=files,
                        outcome="succeeded" if deployed else "",
                        attributes={"revision": commit.hash},
                        source="git commit",
                        keys=frozenset({f"revision:{commit.hash[:7]}"}),
                    )
                )
        return changes

    def _of_tag(self, repository: Repository, tag: Tag) -> Iterator[Change]:
        """Tell a tag for the service that it names, else for those whose files differ from the tag before."""
        named = repository.service_of(tag.name, self._services.names(repository.name))
        touched = {named: tag.files} if named else self._services.touched(repository.name, tag.files)
        if not tag.previous and not named:
            touched = dict.fromkeys(self._services.names(repository.name), ())
        for service, files in touched.items():
            deployed = self._deployed_by == "tags"
            yield Change(
                id=f"git:{repository.name}@{tag.name}:{service}",
                at=tag.at,
                kind="deploy" if deployed else "release",
                service=service,
                title=tag.title,
                author=tag.author,
                version=tag.name,
                previous_version=tag.previous,
                repository=repository.url,
                url=repository.page_of(tag.hash),
                files=files,
                outcome="succeeded" if deployed else "",
                attributes={"revision": tag.hash},
                source="git tag",
                keys=frozenset({f"revision:{tag.hash[:7]}"}),
            )


def _quiet(ask: Callable[..., T], *arguments: object) -> T | None:
    """Return what one of several repositories knows, or None when git says that it does not."""
    try:
        return ask(*arguments)
    except GitFailed:
        return None


def _of_all(changes: Sequence[Change]) -> Change:
    """Return what was told service by service as one change."""
    names = ", ".join(change.service for change in changes if change.service)
    files = tuple(dict.fromkeys(file for change in changes for file in change.files))
    whole = changes[0]
    return replace(
        whole,
        id=whole.id.rpartition(":")[0],
        service="",
        files=files,
        attributes={**whole.attributes, "services": names},
    )


def _checks(repository: Repository) -> Iterator[Check]:
    name = f"repository {repository.path}"
    try:
        newest, fetched = repository.newest(), repository.fetched
    except BackendDown as error:
        yield Check(name, ok=False, detail=str(error), do="look at the machine that this runs on")
        return
    except GitFailed as error:
        yield Check(
            name, ok=False, detail=str(error), do="check --git-repositories and --git-branch, and who may read it"
        )
        return
    at = f"{repository.branch} is at {newest.short} of {rfc3339(newest.at)}"
    if fetched is None:
        yield Check(name, ok=True, detail=f"{at}; it was never fetched into: is it where people push to?")
        return
    age = datetime.now(UTC) - fetched
    late = age > timedelta(days=_STALE_DAYS)
    advice = f"run `git -C {repository.path} fetch --tags` regularly" if late else ""
    yield Check(name, ok=not late, detail=f"{at}; fetched {round(age.total_seconds()):,} s ago", do=advice)
