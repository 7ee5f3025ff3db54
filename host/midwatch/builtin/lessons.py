"""From a conclusion to what would have prevented it: the cause's own cure, eyes that were missing, an owner.

The same trouble at the same place gives the same recommendation, whatever incident it was.
"""

import hashlib
import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from midwatch.builtin.remedies import is_plain, versions_of
from midwatch.builtin.scene import Scene
from midwatch.records import Cause, Conclusion, HypothesisKind, Limit
from midwatch.records.recommendation import Category, Fix, Recommendation
from midwatch_kit.records import EntityId

_TITLE: Final = 200


@dataclass(frozen=True)
class _Lesson:
    """What is learnt from a sort of trouble; `{entity}` stands for where it was."""

    name: str
    category: Category
    title: str
    solution: str
    effect: str
    tests: str


_OF_CHANGES: Final = {
    "flag": _Lesson(
        "flag", "code", "Switch flags of {entity} on for a part of the requests first",
        "let a flag be on for a share of requests, and switch it off when that share fails more",
        "a flag that breaks something breaks it for few, not for long", "a test with the flag on and one with it off",
    ),
    "config": _Lesson(
        "config", "infrastructure", "Check the configuration of {entity} before it is in use",
        "check the file against a schema where it is written, and start one instance with it before the others",
        "a configuration that cannot work is refused", "the file that did the harm is refused",
    ),
    "infrastructure": _Lesson(
        "infrastructure", "governance", "Have changes of the infrastructure of {entity} reviewed and reversible",
        "make the change in a file that is reviewed, with the way back written down",
        "somebody sees it first, and it is undone in minutes", "the change can be made and undone elsewhere",
    ),
}  # fmt: skip
_DEPLOY: Final = _Lesson(
    "deploy", "code", "Test what broke {entity} before it is deployed",
    "mend what the change did, and let a test fail wherever it comes back",
    "a change like it fails its tests, or its first instance, and serves nobody",
    "a test that fails with the change and passes without it",
)  # fmt: skip
_SHORT_OF: Final = (
    (re.compile(r"pool|connection", re.IGNORECASE), _Lesson(
        "connections", "infrastructure", "Bound the connections of {entity}, and tell before they are used up",
        "set the pool's limit below the server's, give waits a deadline, and alert at four fifths of it",
        "somebody hears of it while some are left", "with all connections taken a caller is told so in time",
    )),
    (re.compile(r"memory|\boom", re.IGNORECASE), _Lesson(
        "memory", "infrastructure", "Bound the memory of {entity}, and tell before it is used up",
        "find what holds it, set a limit with room, and alert at four fifths of it",
        "it is mended before the process is killed", "under the load of a day its memory stays level",
    )),
    (re.compile(r"disk|filesystem|space", re.IGNORECASE), _Lesson(
        "disk", "infrastructure", "Keep the disk of {entity} from filling up",
        "rotate or expire what fills it, and alert at four fifths of it",
        "it is emptied before writes fail", "what is older than its time is gone after a day",
    )),
    (re.compile(r"lock", re.IGNORECASE), _Lesson(
        "locks", "code", "Keep locks at {entity} short",
        "take locks late and in one order, give statements a deadline, and run long ones apart",
        "a wait for a lock ends before callers give up", "two that want the same lock both end in time",
    )),
    (re.compile(r"cpu", re.IGNORECASE), _Lesson(
        "cpu", "infrastructure", "Give {entity} room to grow with what it is asked",
        "scale it by its load, and alert before its share is used up",
        "it grows before it is slow", "with twice the requests it answers as quickly",
    )),
)  # fmt: skip
_KINDS: Final = {
    HypothesisKind.RESOURCE: _Lesson(
        "resource", "infrastructure", "Bound what {entity} uses, and tell before it is used up",
        "set a limit with room, and alert at four fifths of it", "it is mended before it runs out",
        "at the limit callers are told so in time",
    ),
    HypothesisKind.DEPENDENCY: _Lesson(
        "dependency", "code", "Let callers of {entity} survive it",
        "give calls a deadline, try again a few times with growing pauses, and answer without it where possible",
        "its outage costs a feature and not the service", "with it away its callers still answer",
    ),
    HypothesisKind.TRAFFIC: _Lesson(
        "traffic", "infrastructure", "Have {entity} shed or absorb more requests than usual",
        "limit the rate of each client, scale by load, and answer 429 where it is too much",
        "the others are served as well as before", "with three times the requests the usual share is served in time",
    ),
    HypothesisKind.STATE: _Lesson(
        "state", "code", "Have {entity} refuse data that it cannot read",
        "check data where they are written, and pass over what cannot be read, with a count of it",
        "one bad record costs one request", "the record that did the harm is refused, and the others are read",
    ),
    HypothesisKind.ACCESS: _Lesson(
        "access", "infrastructure", "Tell before {entity} loses what it may do",
        "renew credentials by themselves, and alert weeks before they or a quota end",
        "it is renewed before it ends", "with a credential that has ended it says which one",
    ),
    HypothesisKind.PLATFORM: _Lesson(
        "platform", "infrastructure", "Take instances of {entity} out when they fail alone",
        "let a health check that asks what users ask take one out, and keep enough others",
        "one bad instance serves nobody", "with one instance that fails the others serve all requests",
    ),
    HypothesisKind.OPERATOR: _Lesson(
        "operator", "governance", "Let nobody change {entity} by hand without a second pair of eyes",
        "put what was done by hand into a script that is reviewed", "the hand slips where somebody sees it",
        "the script does it in a copy, and can be run twice",
    ),
}  # fmt: skip
_MISSING: Final = {
    "changes": "Record who changes what around {entity}",
    "logs": "Have logs of what {entity} depends on where they can be searched",
    "metrics": "Have metrics of what {entity} depends on where they can be read",
    "traces": "Trace requests through {entity} and what it depends on",
}
_LIMITED: Final = {
    Limit.CHANGES_UNKNOWN: "changes",
    Limit.SYMPTOM_UNMEASURED: "traces",
    Limit.CALLEES_UNMEASURED: "traces",
    Limit.TRACES_UNDECIDED: "logs",
}


def lessons(conclusion: Conclusion, scene: Scene, owner: str | None = None) -> list[Recommendation]:
    """Return what would have prevented what was concluded, or shortened it; nothing where no cause was found.

    `owner` is who the incident says it belongs to, if anybody.
    """
    if not conclusion.root_causes:
        return []
    every = [_of_cause(cause, scene) for cause in conclusion.root_causes]
    every += _of_gaps(conclusion, scene)
    every += [] if owner else _of_owners(conclusion.root_causes, scene)
    return list({each.id: each for each in every}.values())


def _of_cause(cause: Cause, scene: Scene) -> Recommendation:
    learnt, entity = _lesson(cause), scene.service_of(cause.entity)
    facts = cause.trigger.attributes if cause.trigger else {}
    altered = scene.data_altered_since(cause.trigger) if cause.trigger else ""
    fix = Fix(
        problem=f"{cause.statement}. It reached {cause.path[-1]} by {' → '.join(cause.path)}."[:1000],
        solution=learnt.solution,
        repositories=_repositories(entity, facts, scene),
        files=_files(cause, scene),
        tests=(learnt.tests, *_error_tests(cause, scene)),
        stages=_stages(cause, learnt, entity),
        leave_alone=(f"data as they are kept ({altered}): no migration backwards",) if altered else (),
    )
    return _made(learnt, entity, cause.kind.value, fix)


def _lesson(cause: Cause) -> _Lesson:
    if cause.kind is HypothesisKind.CHANGE:
        return _OF_CHANGES.get(cause.trigger.subject if cause.trigger else "", _DEPLOY)
    if cause.kind is HypothesisKind.RESOURCE:
        said = f"{cause.trigger.subject} {cause.statement}" if cause.trigger else cause.statement
        return next((lesson for words, lesson in _SHORT_OF if words.search(said)), _KINDS[cause.kind])
    return _KINDS[cause.kind]


def _of_gaps(conclusion: Conclusion, scene: Scene) -> Iterable[Recommendation]:
    limits = (_LIMITED.get(cause.limited_by) for cause in conclusion.root_causes if cause.limited_by)
    for signal in sorted({*scene.blind, *(name for name in limits if name)} & _MISSING.keys()):
        lesson = _Lesson(
            f"missing {signal}", "observability", _MISSING[signal],
            f"bring {signal} to a server that midwatch asks, and keep them as long as the others",
            "the next investigation can tell more causes apart", "midwatch doctor finds them",
        )  # fmt: skip
        problem = f"{signal} could not be looked at, or did not cover {scene.scope.symptom} and what it depends on."
        fix = Fix(problem=problem, solution=lesson.solution, tests=(lesson.tests,))
        yield _made(lesson, scene.scope.symptom, "gap", fix)


def _of_owners(causes: Iterable[Cause], scene: Scene) -> Iterable[Recommendation]:
    owned = {r.source for r in scene.topology.relations if r.kind == "owned_by"}
    for entity in dict.fromkeys(scene.service_of(cause.entity) for cause in causes):
        if entity.startswith("service:") and entity not in owned:
            lesson = _Lesson(
                "owner", "governance", "Say who owns {entity}",
                "name a team in CODEOWNERS, in a catalog file, or by a tag, where a server finds it",
                "the right people are asked at once", "midwatch topology shows owned_by",
            )  # fmt: skip
            fix = Fix(problem=f"Nobody is on record as the owner of {entity}.", solution=lesson.solution)
            yield _made(lesson, entity, "owner", fix)


def _made(lesson: _Lesson, entity: EntityId, kind: str, fix: Fix) -> Recommendation:
    name = hashlib.sha256(f"{lesson.category}|{kind}|{entity}|{lesson.name}".encode()).hexdigest()[:12]
    return Recommendation(
        id=name,
        title=lesson.title.format(entity=entity)[:_TITLE],
        category=lesson.category,
        entity=entity,
        effect=lesson.effect,
        next_steps=(f"hand it out: midwatch recommendations spec {name}",),
        spec=fix,
    )


def _repositories(entity: EntityId, facts: dict[str, str], scene: Scene) -> tuple[str, ...]:
    named = [facts["repository"]] if facts.get("repository") else []
    known = [r.target.partition(":")[2] for r in scene.topology.relations if _is_code_of(r.source, r.target, entity)]
    return tuple(dict.fromkeys(named or known))[:3]


def _is_code_of(source: EntityId, target: EntityId, entity: EntityId) -> bool:
    return source == entity and target.startswith("repository:")


def _files(cause: Cause, scene: Scene) -> tuple[str, ...]:
    """Return the files of the change that a cause starts from, as far as they were told."""
    if cause.trigger is None:
        return ()
    change = cause.trigger.attributes.get("change_id")
    read = [o for o in scene.observations if o.subject == "content" and o.attributes.get("change_id") == change]
    told = [cause.trigger.attributes.get("files", ""), *(o.attributes.get("files", "") for o in read if change)]
    return tuple(dict.fromkeys(name for each in told for name in each.split(",") if name))


def _error_tests(cause: Cause, scene: Scene) -> Iterable[str]:
    family = scene.family(cause.entity)
    errors = (o.attributes.get("exception", "") for o in scene.anomalies if o.entity in family)
    return [f"none of these errors: {error}"[:300] for error in list(dict.fromkeys(filter(None, errors)))[:2]]


def _stages(cause: Cause, lesson: _Lesson, entity: EntityId) -> tuple[str, ...]:
    bad, good = versions_of(cause)
    beside = f", on {bad} but not on {good}" if is_plain(bad) and is_plain(good) else ""
    return (
        f"write the test that fails{beside}: {lesson.tests}",
        "make it pass with the smallest change that does",
        f"put it into one instance of {entity} first, and watch error_rate and latency_p95 there",
        "put it everywhere, and say so: midwatch recommendations implemented",
    )
