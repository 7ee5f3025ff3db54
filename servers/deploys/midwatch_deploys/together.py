"""All backends that are on, as one: each is asked at once, what they say of one change is one change, no secret passes.

A backend that does not answer leaves a gap, which is told; only when none answers is that an error.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Final, TypeVar

from midwatch_deploys.backend import (
    Change,
    ChangeBackend,
    Found,
    KnowsCatalogue,
    KnowsInventory,
    KnowsRevisions,
    hash_in,
)
from midwatch_deploys.catalogue import Declared, resolved
from midwatch_deploys.inventory import Inventory
from midwatch_deploys.same import COMMITS, TOGETHER, is_bot, merged, overlaps, united
from midwatch_kit import BackendDown, Check, KitError
from midwatch_kit.parallel import ask_each
from midwatch_kit.secrets import without_secrets

T = TypeVar("T")

_LOOKED_UP: Final = 20
"""Commits that are looked up for the deploys of one answer, the newest first."""


class Together:
    """The backends by name. One alone answers as it would without this, but for secrets.

    `inventories` tell no changes, only what there is; so they are asked for nothing else. A backend may tell both.
    """

    def __init__(
        self,
        backends: Mapping[str, ChangeBackend],
        seconds: float,
        inventories: Mapping[str, KnowsInventory] | None = None,
    ) -> None:
        self._backends = backends
        self._seconds = seconds
        self._inventories = inventories or {}

    def between(self, begin: datetime | None, end: datetime) -> Found:
        """Return the changes that were under way or made in `[begin, end)`; raises `BackendDown` if none answers."""
        told, gaps = self._each(lambda backend: backend.between(begin, end))
        records = [change for found in told.values() for change in found.changes]
        changes = [change for change in self._with_commits(united(records)) if overlaps(change, begin, end)]
        matched = sum(found.matched for found in told.values()) - (len(records) - len(changes))
        several = len(self._backends) > 1
        query = "; ".join(f"{name}: {found.query}" if several else found.query for name, found in told.items())
        own = (f"{name}: {gap}" if several else gap for name, found in told.items() for gap in found.gaps)
        return Found(tuple(map(_clean, changes)), matched, query, (*gaps, *own))

    def find(self, change_id: str) -> Change | None:
        """Return one change with what every backend says of it; raises `BackendDown`."""
        told, gaps = self._each(lambda backend: backend.find(change_id))
        found = [change for change in told.values() if change]
        if not found:
            if gaps:
                raise BackendDown(f"no backend that answers knows {change_id[:80]!r}; {'; '.join(gaps)}")
            return None
        whole = self._whole(found[0])
        return _clean(whole if whole.diff else replace(whole, diff=self._diff(whole)))

    def catalogue(self) -> tuple[Sequence[Declared], Sequence[str]]:
        """Return what services are declared to be, by all backends that hold such files; each file's word once."""
        holding = {name: each for name, each in self._backends.items() if isinstance(each, KnowsCatalogue)}
        asked = ask_each(holding, lambda _, backend: backend.catalogue(), self._seconds)
        declared = {one.id: one for found, _ in asked.said.values() for one in found}
        gaps = [gap for _, told in asked.said.values() for gap in told]
        return resolved(list(declared.values())), [*gaps, *(f"{name}: {why}" for name, why in asked.silent.items())]

    def inventory(self) -> Inventory:
        """Return what there is by all who know; who does not answer leaves a gap, and without any it is empty."""
        knowing = {name: each for name, each in self._backends.items() if isinstance(each, KnowsInventory)}
        asked = ask_each({**self._inventories, **knowing}, lambda _, knows: knows.inventory(), self._seconds)
        found = list(asked.said.values())
        return Inventory(
            [resource for one in found for resource in one.resources],
            [tie for one in found for tie in one.ties],
            max((one.at for one in found), default=datetime.now(UTC)),
            "; ".join(one.query for one in found),
            [gap for one in found for gap in one.gaps] + [f"{name}: {why}" for name, why in asked.silent.items()],
        )

    def checks(self) -> Sequence[Check]:
        """Look at every backend; with several on, each check is named after its own."""
        told, gaps = self._each(lambda backend: backend.checks(), must=False)
        looked = ask_each(self._inventories, lambda _, knows: knows.checks(), self._seconds)
        gaps += [f"{name} could not be asked: {error}" for name, error in looked.silent.items()]
        several = len(self._backends) > 1
        down = [Check(gap.partition(":")[0], ok=False, detail=gap, do="look at its log, and ask again") for gap in gaps]
        own = [
            replace(check, name=f"{name} {check.name}" if several else check.name)
            for name, checks in told.items()
            for check in checks
        ]
        of_inventory = [
            replace(each, name=f"{name}: {each.name}") for name, checks in looked.said.items() for each in checks
        ]
        return [*own, *of_inventory, *down]

    def _whole(self, change: Change) -> Change:
        """Return a change together with its other records, which are looked for around it."""
        if len(self._backends) == 1 or not change.keys:
            return change
        near = (change.at - TOGETHER, (change.ended or change.at) + TOGETHER + timedelta(seconds=1))
        told, _ = self._each(lambda backend: backend.between(*near), must=False)
        seen = [each for found in told.values() for each in found.changes if each.id != change.id]
        whole = next(
            (each for each in united([*seen, change]) if change.keys <= each.keys and _of(change, each)), change
        )
        return self._with_commits([whole])[0]

    def _with_commits(self, changes: Sequence[Change]) -> Sequence[Change]:
        """Return changes with the commits that deploys among them brought, as far as a backend knows these."""
        known = {name: each for name, each in self._backends.items() if isinstance(each, KnowsRevisions)}
        wanting = [each for each in changes if each.kind not in COMMITS and _revision(each) and _says_little(each)]
        if not known or not wanting:
            return changes
        asked = {each.id: each for each in wanting[-_LOOKED_UP:]}
        brought: dict[str, Change] = {}
        for knows in known.values():
            for each in asked.values():
                if each.id not in brought and (commit := _quiet(_commit_of(knows, each))) is not None:
                    brought[each.id] = commit
        return [merged([each, brought[each.id]]) if each.id in brought else each for each in changes]

    def _diff(self, change: Change) -> str:
        """Return what changed between the two revisions of a deploy, from whoever holds them."""
        before, after = change.previous_version, _revision(change)
        if not before or not after:
            return ""
        for backend in self._backends.values():
            if isinstance(backend, KnowsRevisions):
                diff = _quiet(_diff_of(backend, before, after, change.service))
                if diff:
                    return diff
        return ""

    def _each(self, ask: Callable[[ChangeBackend], T], must: bool = True) -> tuple[Mapping[str, T], list[str]]:
        """Return what each backend answers, and in words what became of those that did not."""
        asked = ask_each(self._backends, lambda _, backend: ask(backend), self._seconds)
        if must:
            asked.by_some()
        return asked.said, [f"{name} could not be asked: {error}" for name, error in asked.silent.items()]


def _revision(change: Change) -> str:
    return change.attributes.get("revision", "") or hash_in(change.version)


def _says_little(change: Change) -> bool:
    """Whether a commit has something to add to a deploy: what it is about, who wrote it, or what it touched."""
    return not (change.title and change.files) or not change.author or is_bot(change.author)


def _of(record: Change, whole: Change) -> bool:
    return record.id == whole.id or record.id in whole.attributes.get("also", "").split(", ")


def _commit_of(knows: KnowsRevisions, change: Change) -> Callable[[], Change | None]:
    return lambda: knows.commit(_revision(change), change.service)


def _diff_of(knows: KnowsRevisions, before: str, after: str, service: str) -> Callable[[], str]:
    return lambda: knows.diff(before, after, service)


def _quiet(ask: Callable[[], T]) -> T | None:
    """Return what is only an addition to an answer, or None: the answer stands without it."""
    try:
        return ask()
    except KitError:
        return None


def _clean(change: Change) -> Change:
    """Return a change without secrets in what people wrote: its title, its diff, its attributes."""
    return replace(
        change,
        title=without_secrets(change.title),
        diff=without_secrets(change.diff),
        attributes={name: without_secrets(text) for name, text in change.attributes.items()},
    )
