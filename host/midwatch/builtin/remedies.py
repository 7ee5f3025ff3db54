"""What a person would do about a cause, as concretely as the evidence supports, and how code can tell that it helped.

A command is named only where every word of it stands in a field of a change or an object on record, and none of these
words could mean anything to a shell.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from midwatch.builtin.observed import is_shortage
from midwatch.builtin.scene import Scene
from midwatch.records import Cause, Condition, HypothesisKind
from midwatch_kit.records import EntityId, Observation, ObservationKind, Signal

_BY_HAND: Final = {
    HypothesisKind.CHANGE: "roll {entity} back to what ran before",
    HypothesisKind.RESOURCE: "restart {entity}, or give it more room",
    HypothesisKind.DEPENDENCY: "fail over from {entity}, or shed the calls to it",
    HypothesisKind.TRAFFIC: "throttle what arrives at {entity}, or scale it out",
    HypothesisKind.STATE: "repair or replace the data of {entity}",
    HypothesisKind.ACCESS: "restore what {entity} may do: permission, credential, certificate or quota",
    HypothesisKind.PLATFORM: "drain {entity} and replace it",
    HypothesisKind.OPERATOR: "undo on {entity} what the session did; a restart often recreates what was removed",
}
_UNRECORDED: Final = (
    "take back what was changed at {entity}: a deploy, a setting or a flag",
    "if it got worse: put back at {entity} what was taken back",
)
"""What to do, and how to undo it, about a change of which no record says what sort it was."""
_TAKE_BACK: Final = {
    HypothesisKind.CHANGE: "if it got worse: bring back what {entity} ran",
    HypothesisKind.RESOURCE: "if it got worse: take back what {entity} was given",
    HypothesisKind.DEPENDENCY: "if it got worse: go back to {entity}, and let all calls through",
    HypothesisKind.TRAFFIC: "if it got worse: let everything through to {entity} again",
    HypothesisKind.STATE: "if it got worse: restore the data of {entity} as they were; keep a copy before you begin",
    HypothesisKind.ACCESS: "if it got worse: take the right back from {entity}",
    HypothesisKind.PLATFORM: "if it got worse: let {entity} serve again",
    HypothesisKind.OPERATOR: "if it got worse: do again on {entity} what the session did",
}
WORKLOADS: Final = ("Deployment", "StatefulSet", "DaemonSet")
_ROLLOUT: Final = re.compile(r"kubernetes:([a-z0-9.-]+)/(Deployment|StatefulSet|DaemonSet)/([a-z0-9.-]+)@\d+")
_SYNC: Final = re.compile(r"argocd:[a-z0-9.-]*/([a-z0-9.-]+)@\d+")
_OBJECT: Final = re.compile(r"([A-Z][A-Za-z]+) (?:([a-z0-9.-]+)/)?([a-z0-9.-]+)")
_REVISION: Final = re.compile(r"[0-9a-f]{7,40}")
_PLAIN: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:/@+-]{0,100}")
_MOST: Final = 3
_LONGEST: Final = 200


@dataclass(frozen=True)
class Remedy:
    """What to do about one cause: in words, as a command where one is known, how to take it back, and what to expect.

    `still` is how code sees that the cause is there, `then` that it is gone; both may be empty.
    """

    title: str
    command: str
    take_back: str
    take_back_command: str
    still: tuple[Condition, ...]
    then: tuple[Condition, ...]


def remedy_for(cause: Cause, scene: Scene, unsafe: str = "") -> Remedy:
    """Return what to do about a cause; `unsafe` says why it must not be rolled back, if it must not."""
    entity = cause.entity
    unrecorded = cause.kind is HypothesisKind.CHANGE and cause.trigger is None
    by_hand = _UNRECORDED if unrecorded else (_BY_HAND[cause.kind], _TAKE_BACK[cause.kind])
    title, back = (words.format(entity=entity) for words in by_hand)
    forth, again = _commands(cause)
    if unsafe:
        title = f"don't roll {entity} back, {unsafe}; mend it by a new version, or switch off what is new"
        back, forth, again = f"if it got worse: bring back what {entity} ran before the mend", "", ""
    still, then = _signs(cause, scene, mended=bool(unsafe))
    return Remedy(title, forth or title, back, again or back, still, then)


def versions_of(cause: Cause) -> tuple[str, str]:
    """Return the version that a change brought and the one before it; '' for what is not known."""
    facts = cause.trigger.attributes if cause.trigger else {}
    return facts.get("version", ""), facts.get("previous_version", "")


def is_plain(word: str) -> bool:
    """Return whether a word is a name or a version, and nothing that a shell or a reader could take for more."""
    return _PLAIN.fullmatch(word) is not None


def runs(entity: EntityId, version: str) -> Condition:
    """Return the condition that a service runs a version."""
    return Condition(entity=entity, signal=Signal.CHANGES, subject="version", comparison="equals", value=version)


def _commands(cause: Cause) -> tuple[str, str]:
    """Return the command that mends a cause, and the one that takes that back; '' where the evidence names none."""
    if cause.trigger is None:
        return "", ""
    if cause.kind is HypothesisKind.CHANGE:
        return _undoing(cause)
    found = _OBJECT.fullmatch(cause.trigger.attributes.get("object", ""))
    if found is None:
        return "", ""
    kind, space, name = found.groups()
    of = f" --namespace {space}" if space else ""
    if kind in WORKLOADS and cause.kind in (HypothesisKind.PLATFORM, HypothesisKind.RESOURCE):
        return f"kubectl{of} rollout restart {kind.lower()}/{name}", f"kubectl{of} rollout undo {kind.lower()}/{name}"
    return (
        f"{_BY_HAND[cause.kind].format(entity=cause.entity)}; look with: kubectl{of} describe {kind.lower()} {name}",
        "",
    )


def _undoing(cause: Cause) -> tuple[str, str]:
    """Return how a change is undone where it was made: in a cluster, by Argo CD, in a repository, by a switch."""
    change = cause.trigger
    facts = change.attributes if change else {}
    name = facts.get("change_id", "")
    if found := _ROLLOUT.fullmatch(name):
        space, kind, workload = found.groups()
        undo = f"kubectl --namespace {space} rollout undo {kind.lower()}/{workload}"
        return undo, undo  # undone twice is as it was
    if found := _SYNC.fullmatch(name):
        return f"argocd app rollback {found[1]}", f"argocd app sync {found[1]}"
    return _by_version(cause, change.subject if change else "", facts)


def _by_version(cause: Cause, subject: str, facts: dict[str, str]) -> tuple[str, str]:
    service = cause.entity.partition(":")[2]
    bad, good = (version if is_plain(version) else "" for version in versions_of(cause))
    revision = facts.get("revision") or bad
    where = facts.get("repository", "")
    of = f" in {where}" if is_plain(where) else ""
    if subject == "flag":
        title = facts.get("title", "")
        return f"switch the flag of {service} back: {title}"[:_LONGEST], f"switch it again: {title}"[:_LONGEST]
    revert = f"git revert --no-edit {revision}" if _REVISION.fullmatch(revision) else ""
    if subject in ("deploy", "release") and bad and good:
        said = f"deploy {good} of {service} again, in place of {bad}"
        return f"{said}; for good{of}: {revert}" if revert else said, f"deploy {bad} of {service} again"
    return (f"{revert}{of}, and deploy {service}", f"deploy {bad} of {service} again") if revert else ("", "")


def _signs(cause: Cause, scene: Scene, *, mended: bool) -> tuple[tuple[Condition, ...], tuple[Condition, ...]]:
    """Return how code sees that a cause is there, and that it is gone."""
    still: list[Condition] = []
    then: list[Condition] = []
    bad, good = versions_of(cause)
    deployed = cause.trigger is not None and cause.trigger.subject == "deploy"
    if cause.kind is HypothesisKind.CHANGE and deployed and cause.entity.startswith("service:") and bad and good:
        still.append(runs(cause.entity, bad))
        then += [] if mended else [runs(cause.entity, good)]
    for seen in _shown_by(cause, scene):
        if message := seen.attributes.get("template", ""):
            of = {"entity": seen.entity, "signal": seen.signal, "subject": message[:_LONGEST]}
            pair = "present", "absent"
        else:
            of = {"entity": seen.entity, "signal": seen.signal, "subject": seen.subject}
            pair = "unusual", "normal"
        still.append(Condition.model_validate({**of, "comparison": pair[0]}))
        then.append(Condition.model_validate({**of, "comparison": pair[1]}))
    return tuple(dict.fromkeys(still))[:1], tuple(dict.fromkeys(then))[:_MOST]


def _shown_by(cause: Cause, scene: Scene) -> Iterable[Observation]:
    """Yield the anomalies by which a cause shows, the most telling first: its own sign, then what fails where it is."""
    family = scene.family(cause.entity)
    own = cause.trigger
    if own and own.kind is not ObservationKind.CHANGE and own.signal is not Signal.CHANGES:
        yield own
    if cause.kind is HypothesisKind.TRAFFIC and (surge := scene.surge(cause.entity)):
        yield surge
    near = [o for o in scene.anomalies if o.entity in family or o.related == cause.entity]
    if cause.kind is HypothesisKind.RESOURCE:
        yield from [o for o in near if is_shortage(o)][:1]
    yield from [o for o in near if o.subject == "error_origin"][:1]
    yield from [o for o in near if o.kind is ObservationKind.NEW_PATTERN and o.attributes.get("template")][:1]
