"""Changes on GitHub, as the deploys server's tools ask for them. It only reads."""

import re
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Final

from midwatch_deploys.backend import Change, Found
from midwatch_deploys.backends.github import read
from midwatch_deploys.backends.github.client import GitHubClient, Refused
from midwatch_deploys.backends.github.detail import in_full
from midwatch_deploys.backends.github.inventory import Workflows
from midwatch_deploys.backends.github.source import Source
from midwatch_deploys.catalogue import Declared
from midwatch_deploys.inventory import Inventory, united
from midwatch_deploys.services import Services
from midwatch_deploys.settings import DeploysSettings
from midwatch_kit import BackendDown, Check, rfc3339
from midwatch_kit.parallel import Threads, at_once

_AT_ONCE: Final = 4
_ID: Final = re.compile(r"github:(?P<repository>[^@]+)@(?P<what>[^:]+)(?::(?P<service>.*))?")
_HASH: Final = re.compile(r"[0-9a-f]{7,40}", re.IGNORECASE)
_UNKNOWN: Final = frozenset({404, 409, 422})
_FEW: Final = 100


class GitHubChanges:
    """The repositories that the settings name."""

    def __init__(self, settings: DeploysSettings) -> None:
        token = settings.github_token.get_secret_value() if settings.github_token else ""
        client = GitHubClient(str(settings.github_url), token, settings.backend_seconds / 3)
        services = Services(settings.service_paths)
        self._client = client
        self._lookback = timedelta(days=settings.lookback_days)
        self._sources = [Source(client, name, services, settings) for name in settings.github_repositories]
        self._workflows = [Workflows(source, services, settings) for source in self._sources]

    def between(self, begin: datetime | None, end: datetime) -> Found:
        """Return what was deployed, committed and released in `[begin, end)`; raises `BackendDown` if nothing is told.

        `begin` None is as far back as the settings say.
        """
        begin = begin or end - self._lookback
        parts = [(f"{source.name} {what}", part) for source in self._sources for what, part in source.parts()]
        with Threads(_AT_ONCE, thread_name_prefix="github") as pool:
            asked = [(what, pool.submit(part, begin, end)) for what, part in parts]
        changes: list[Change] = []
        gaps: list[str] = []
        for what, answer in asked:
            try:
                found, gap = answer.result()
            except (Refused, BackendDown) as error:
                found, gap = [], str(error)
            except (AttributeError, KeyError, TypeError, ValueError) as error:
                found, gap = [], f"the answer is in a shape that is not GitHub's ({type(error).__name__})"
            changes += found
            gaps += [f"{what}: {gap}"] if gap else []
        if len(gaps) == len(parts) and not changes:
            raise BackendDown(f"nothing of GitHub can be read: {'; '.join(dict.fromkeys(gaps))}")
        changes.sort(key=lambda change: (change.at, change.id))
        names = ", ".join(source.name for source in self._sources)
        query = f"deployments, commits, releases of {names} within [{rfc3339(begin)}, {rfc3339(end)})"
        return Found(tuple(changes), len(changes), query, tuple(gaps))

    def find(self, change_id: str) -> Change | None:
        """Return a change with its diff and, if it failed, the tails of the logs of what failed."""
        named = _ID.fullmatch(change_id)
        if named is None and not _HASH.fullmatch(change_id):
            return None
        what, service = (named["what"], named["service"]) if named else (change_id, None)
        held = (source for source in self._sources if named is None or source.name == named["repository"])
        for source in held:
            try:
                return in_full(source, what, service)
            except Refused as error:
                if error.status not in _UNKNOWN:
                    raise BackendDown(f"GitHub does not tell of {change_id[:80]!r}: {error}") from None
        return None

    def commit(self, revision: str, service: str) -> Change | None:
        """Return the commit that a hash names, as far as it is the service's; None if no repository knows it."""
        if not _HASH.fullmatch(revision):
            return None
        for source in self._of(service):
            try:
                own = source.by_service(source.commit(revision))
            except Refused:
                continue
            return next((each for each in own if each.service == service), own[0])
        return None

    def diff(self, before: str, after: str, service: str) -> str:
        """Return what changed for a service between two revisions; '' if no repository has both."""
        if not (_HASH.fullmatch(before) and _HASH.fullmatch(after)):
            return ""
        for source in self._of(service):
            try:
                return read.diff_of(source.compared(before, after, service))
            except Refused:
                continue
        return ""

    def catalogue(self) -> tuple[Sequence[Declared], Sequence[str]]:
        """Return what the repositories' files for Backstage declare, and which of them cannot be read."""
        found = at_once([source.declared for source in self._sources])
        return [one for declared, _ in found for one in declared], [gap for _, gaps in found for gap in gaps]

    def inventory(self) -> Inventory:
        """Return which workflows deploy which services, as the repositories' files declare it now."""
        found = at_once([workflows.told for workflows in self._workflows])
        return Inventory(
            [resource for each in found for resource in each.resources],
            united(tie for each in found for tie in each.ties),
            datetime.now(UTC),
            f"workflows of {', '.join(source.name for source in self._sources)}",
            [gap for each in found for gap in each.gaps],
        )

    def checks(self) -> Sequence[Check]:
        """Look at the API, how much may still be asked of it, and what the token may read of each repository."""
        try:
            left = self._client.get("/rate_limit")["resources"]["core"]
        except (Refused, BackendDown, KeyError) as error:
            return [
                Check("api", ok=False, detail=str(error), do="check the network, MIDWATCH_GITHUB_URL and the token")
            ]
        enough = left["remaining"] >= _FEW
        advice = "" if enough else "set MIDWATCH_GITHUB_TOKEN, or use a token that nobody else uses"
        limit = Check("rate limit", ok=enough, detail=f"{left['remaining']:,} of {left['limit']:,} left", do=advice)
        return [limit, *(check for source in self._sources for check in source.checks())]

    def _of(self, service: str) -> list[Source]:
        return sorted(self._sources, key=lambda source: not source.holds(service))
