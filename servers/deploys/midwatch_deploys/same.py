"""Which records of different systems tell of one change, and that change with all that they say of it. Pure.

A commit, the deployment that a forge notes and the rollout that a cluster carries out are one change, told by three.
"""

from collections.abc import Iterable, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Final

from midwatch_deploys.backend import Change

TOGETHER: Final = timedelta(minutes=30)
"""How far apart records of one change may be; a revision that is deployed again later is another change."""

COMMITS: Final = frozenset({"commit", "release"})
"""Kinds that tell what was made, not that it was put in place: they may be much older than the deploy of it."""

AUDIT: Final = "cloudtrail event"
"""The source of records that tell who asked for a change; what came of it is told by whoever carried it out."""

_UNSPOKEN: Final = frozenset(
    {AUDIT, "cloudformation stack", "ecs deployment", "kubernetes rollout", "argocd sync", "autoscaling refresh"}
)
"""Sources whose titles are put together by a program: what a person says of a change tells more."""

_RUNNING: Final = frozenset({"ecs deployment", "kubernetes rollout"})
"""Sources that see what runs: their versions are images, and what came of a change is theirs to say."""

_BOT: Final = "[bot]"


def united(changes: Iterable[Change]) -> list[Change]:
    """Return each change once, oldest first: what the records of different sources say of it, in one.

    Two records are of one change when they share a key, when no service or environment speaks against it, and when
    they are about the same time; a commit belongs to the first deploy that follows it.
    """
    groups: list[list[Change]] = []
    by_key: dict[str, list[list[Change]]] = {}
    for change in sorted(changes, key=lambda each: (each.at, each.id)):
        known = (group for key in change.keys for group in reversed(by_key.get(key, ())))
        group = next((group for group in known if _fits(change, group)), None)
        if group is None:
            group = []
            groups.append(group)
        group.append(change)
        for key in change.keys:
            if not any(group is each for each in by_key.setdefault(key, [])):
                by_key[key].append(group)
    return sorted(map(merged, groups), key=lambda each: (each.at, each.id))


def merged(records: Sequence[Change]) -> Change:
    """Return one change of the records that tell of it; what was put in place counts more than what was made."""
    if len(records) == 1:
        return records[0]
    ranked = sorted(records, key=_rank)
    placed = [each for each in ranked if each.kind not in COMMITS]
    first, done = ranked[0], [each for each in placed if each.source != AUDIT] or placed or ranked
    ends = [each.ended for each in done if each.ended]
    links = tuple(dict.fromkeys(link for each in ranked for link in (each.links or (each.url,)) if link))
    told = {"seen_by": ", ".join(dict.fromkeys(each.source for each in ranked if each.source))}
    others = ", ".join(each.id for each in ranked[1:])
    return replace(
        first,
        at=min(each.at for each in placed or ranked),
        service=_first(each.service for each in ranked),
        instance=first.instance if all(each.instance == first.instance for each in done) else "",
        title=_first(each.title for each in sorted(ranked, key=lambda each: each.source in _UNSPOKEN)),
        author=_person(ranked),
        version=_first(each.version for each in ranked),
        previous_version=_first(each.previous_version for each in ranked),
        repository=_first(each.repository for each in ranked),
        url=links[0] if links else "",
        files=next((each.files for each in ranked if each.files), ()),
        diff=_first(each.diff for each in ranked),
        ended=max(ends, default=None),
        outcome=_outcome(done),
        attributes={**_attributes(ranked), **told, "also": others},
        keys=frozenset().union(*(each.keys for each in records)),
        links=links,
    )


def _fits(change: Change, group: Sequence[Change]) -> bool:
    return all(_may_be_one(change, member) for member in group)


def _may_be_one(one: Change, other: Change) -> bool:
    if one.source == other.source:
        return False
    named = () if AUDIT in (one.source, other.source) else ((one.service, other.service),)  # its keys are names
    for a, b in (*named, (one.attributes.get("environment", ""), other.attributes.get("environment", ""))):
        if a and b and a != b:
            return False
    if one.kind in COMMITS or other.kind in COMMITS:
        return True
    earlier, later = sorted((one, other), key=lambda each: each.at)
    return later.at - max(earlier.at, earlier.ended or earlier.at) <= TOGETHER


def _rank(record: Change) -> tuple[bool, bool, bool, bool]:
    return record.kind in COMMITS, record.source == AUDIT, record.kind != "deploy", record.source not in _RUNNING


def _first(texts: Iterable[str]) -> str:
    return next((text for text in texts if text), "")


def _person(ranked: Sequence[Change]) -> str:
    """Return who made the change: the program that carried it out only where no person is known."""
    named = [each.author for each in ranked if each.author]
    return _first([*(name for name in named if not is_bot(name)), *named])


def is_bot(name: str) -> bool:
    """Whether an author is a program, as forges name these."""
    return name.endswith(_BOT)


def _outcome(done: Sequence[Change]) -> str:
    outcomes = [each.outcome for each in done if each.outcome]
    seen = _first(each.outcome for each in done if each.source in _RUNNING)
    if seen and "failed" not in outcomes:
        return seen
    return next((each for each in ("failed", "succeeded") if each in outcomes), _first(outcomes))


def _attributes(ranked: Sequence[Change]) -> dict[str, str]:
    return {name: text for each in reversed(ranked) for name, text in each.attributes.items()}


def overlaps(change: Change, begin: datetime | None, end: datetime) -> bool:
    """Whether a change was under way or made in `[begin, end)`; `begin` None is as far back as there is."""
    return change.at < end and (begin is None or max(change.at, change.ended or change.at) >= begin)
