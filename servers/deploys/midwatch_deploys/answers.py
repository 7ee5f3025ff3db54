"""What each tool answers, from a backend's changes. Synchronous; it knows nothing of MCP."""

from collections.abc import Sequence
from datetime import UTC, datetime

from midwatch_deploys import catalogue, deployments, inventory, render, versions
from midwatch_deploys.backend import Change, ChangeBackend, Found, KnowsCatalogue, KnowsInventory
from midwatch_deploys.survey import services_of, survey
from midwatch_kit import Answer, BackendDown, BadInput, NotFound, Window, answer_checks
from midwatch_kit.parallel import Threads

_NAMED = 10
_NONE_YET = "No change is on record here: check_deploys says what to do."


def map_deployments(backend: ChangeBackend, server: str, end: datetime) -> Answer:
    """Return what is deployed as of `end`, as rows and as a topology fragment."""
    with Threads(1) as pool:
        asked = pool.submit(_held, backend)
        found, held = _deployed(backend, end), asked.result()
    if isinstance(found, BackendDown):
        if not held.resources:
            raise found
        found = Found((), 0, "", (str(found),))
    services = services_of(found.changes)
    rows = [deployments.row_of(name, [c for c in found.changes if c.service == name]) for name in services]
    declared, unread = backend.catalogue() if isinstance(backend, KnowsCatalogue) else ((), ())
    told = [catalogue.row_of(one) for one in declared]
    there = inventory.rows_of(held)
    deployed, said = deployments.fragment_of(found.changes, server), catalogue.fragment_of(declared, server, end)
    there_is = inventory.fragment_of(held, server)
    return Answer(
        query="; ".join(filter(None, [found.query, held.query])),
        rows=[*rows, *told, *there],
        lines=[*map(deployments.line_of, rows), *map(catalogue.line_of, declared), *inventory.lines_of(held)],
        matched=len(rows) + len(told) + len(there),
        fragment=deployments.joined(deployments.joined(deployed, said), there_is),
        caveats=[*found.gaps, *unread, *held.gaps],
        hint=None if rows or told or there else _NONE_YET,
    )


def survey_changes(backend: ChangeBackend, window: Window, baseline: Window, entities: Sequence[str]) -> Answer:
    """Return what changed from the baseline's start to the window's end, and what did not."""
    span = Window(start=baseline.start, end=window.end)
    found = backend.between(span.start, span.end)
    before = backend.between(None, span.start) if entities else None
    earlier = before.changes if before else ()
    gaps = tuple(dict.fromkeys([*found.gaps, *(before.gaps if before else ())]))
    seen = survey(found.changes, earlier, span, entities, whole=not gaps)
    still = [cited.finding.statement for cited in seen.findings[len(seen.changes) :]]
    left_out = found.matched - len(found.changes)
    return Answer(
        query=found.query,
        rows=seen.rows,
        lines=[*map(render.line_of, seen.changes), *still],
        matched=len(seen.rows) if entities else found.matched,
        window=window,
        baseline=baseline,
        findings=seen.findings,
        caveats=gaps,
        hint=f"{left_out} older changes are left out: narrow the window."
        if left_out
        else _when_nothing(seen.changes, [*earlier, *found.changes], gaps),
    )


def get_change(backend: ChangeBackend, change_id: str) -> Answer:
    """Return one change in full; raises `NotFound`, naming the latest ones."""
    change = backend.find(change_id)
    if change is None:
        latest = backend.between(None, datetime.now(UTC)).changes[-_NAMED:]
        raise NotFound(f"there is no change {change_id[:80]!r}{_there_is([c.id for c in reversed(latest)], 'latest')}")
    row = {**render.row_of(change), "diff": change.diff}
    return Answer(f"change {change.id}, as last recorded", [row], render.whole(change), 1, url=change.url or None)


def last_good_version(backend: ChangeBackend, service: str, before: datetime) -> Answer:
    """Return what served before the latest deploy, and what serves; raises `NotFound` for a service without deploys."""
    service = service.removeprefix("service:")
    found = backend.between(None, before)
    served = _served(service, found)
    good = versions.last_good(served)
    told = [served[-1]] if good is None else [good, served[-1]]
    verdict = versions.line_of(good) if good else "none on record: every other version was rolled back"
    return Answer(
        query=f"deploys of {service} that did not fail; {found.query}",
        rows=[versions.row_of(service, each) for each in told],
        lines=[f"last good: {verdict}", f"current: {versions.line_of(served[-1])}"],
        matched=len(told),
        caveats=found.gaps,
    )


def refuse_unknown_version(backend: ChangeBackend, service: str, to_version: str) -> None:
    """Raise `NotFound` for a service without deploys and `BadInput` for a version that it never ran."""
    served = _served(service, backend.between(None, datetime.now(UTC)))
    ran = list(dict.fromkeys(each.version for each in reversed(served)))
    if to_version not in ran:
        raise BadInput(f"{service} never ran {to_version[:80]!r}, so it is no way back{_there_is(ran, 'it ran')}")


def check(backend: ChangeBackend) -> Answer:
    """Return how the backend is, one line for each thing that was looked at."""
    return answer_checks(backend.checks())


def _deployed(backend: ChangeBackend, end: datetime) -> Found | BackendDown:
    try:
        return backend.between(None, end)
    except BackendDown as error:
        return error


def _held(backend: ChangeBackend) -> inventory.Inventory:
    """Return what there is by all who take an inventory: nothing, where none does."""
    empty = inventory.Inventory((), (), datetime.now(UTC), "")
    return backend.inventory() if isinstance(backend, KnowsInventory) else empty


def _served(service: str, found: Found) -> Sequence[versions.Served]:
    served = versions.versions_of(service, found.changes)
    if not served:
        others = [name for name in services_of(found.changes) if versions.versions_of(name, found.changes)]
        unseen = "".join(f"; {gap}" for gap in found.gaps)
        raise NotFound(f"no deploy of {service[:80]!r} is on record{_there_is(others, 'deploys are of')}{unseen}")
    return served


def _when_nothing(shown: Sequence[Change], known: Sequence[Change], gaps: Sequence[str]) -> str | None:
    if gaps and not shown:
        return "No change is known, but not all could be looked at: check_deploys says what to do."
    return None if shown else f"Nothing changed{_there_is(services_of(known), 'changes on record are of')}"


def _there_is(names: Sequence[str], what: str) -> str:
    return f": {what} {', '.join(names[:_NAMED])}" if names else f". {_NONE_YET}"
