"""From an incident to its scope: what the application is made of, when the symptom began, which windows to compare.

The windows are settled here once, as absolute times, and journalled: whatever is asked later is asked of them.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta

import anyio
from pydantic import JsonValue

from midwatch.builtin.observed import PARTS, got_worse, is_unwell
from midwatch.builtin.ties import is_tied
from midwatch.builtin.weights import SHIFTED
from midwatch.inquiry import Inquiry
from midwatch.mcp_client.toolbox import Answer, Tool
from midwatch.records import Incident, Scope
from midwatch_kit.records import Entity, EntityId, Observation, ObservationKind, Signal, TopologyFragment, Window
from midwatch_kit.server import Role
from midwatch_kit.window import rfc3339
from midwatch_topology import Topology

_ERRORS = re.compile(r"error|5xx|fail|availab|success|exception|refus", re.IGNORECASE)
_LATENCY = re.compile(r"latency|slow|duration|response time|p9\d|timeout", re.IGNORECASE)
_TRAFFIC = re.compile(
    r"traffic|throughput|volume|requests? ?rate|[rq]ps|(requests?|calls|hits) ?(a|per|/) ?(s|m)", re.IGNORECASE
)
_SUBJECTS = {"error_rate": _ERRORS, "latency_p95": _LATENCY, "request_rate": _TRAFFIC}
_ALSO = {"latency_p95": ("latency_mean",)}
"""What else a survey may call a subject, where its backend holds another statistic of it."""
_NOTHING = Topology()
EDGE = timedelta(seconds=1)
"""A window begins so long before the earliest time at which the symptom may have begun."""
_FURTHER = (4, 16)
"""So many times the lookback are tried where the symptom is as unwell as it was before: it was in progress by then."""
_CHANGES_LOOKBACKS = 24
"""Changes are few, and some bite hours later: they are looked for so many times as far back as all else."""


@dataclass(frozen=True)
class Onset:
    """When the symptom began; the change-point's own uncertainty."""

    at: datetime
    earliest: datetime
    latest: datetime


@dataclass(frozen=True)
class Course:
    """How the symptom went: its observations, its onset if it shifted for good, and the windows that follow."""

    window: Window
    baseline: Window
    onset: Onset | None
    symptoms: tuple[Observation, ...]


async def find_scope(
    inquiry: Inquiry, incident: Incident, lookback: timedelta, now: datetime, declared: Topology = _NOTHING
) -> tuple[Scope, Topology]:
    """Discover the graph around an incident's service and, at the same time, settle onset and windows.

    What people `declared` of the application is merged with what the servers discover.

    Time ends at `now`, which follows from the incident: what is asked does not depend on when it is asked. While
    `now` is still to come, the telemetry of the last moments is waited for.
    """
    graphs: list[Topology] = []

    async def draw() -> None:
        known = Window(start=incident.started_at - 2 * lookback, end=now)
        graphs.append(await _around(inquiry, incident.service, known, declared))

    async with anyio.create_task_group() as group:
        group.start_soon(draw)
        await anyio.sleep(max(0.0, (now - datetime.now(UTC)).total_seconds()))
        course = await _follow(inquiry, incident, lookback, now)
    nearby, onset, age = graphs[0], course.onset, graphs[0].age(now)
    scope = Scope(
        symptom=incident.service,
        watched=watched(incident),
        window=course.window,
        baseline=course.baseline,
        onset=onset.at if onset else None,
        onset_earliest=onset.earliest if onset else None,
        onset_latest=onset.latest if onset else None,
        symptoms=course.symptoms,
        topology=TopologyFragment(entities=tuple(nearby.entities.values()), relations=nearby.relations),
        age_seconds=age.total_seconds() if age else None,
        lookback_seconds=lookback.total_seconds(),
        changes_since=incident.started_at - _CHANGES_LOOKBACKS * lookback,
    )
    return scope, nearby


async def _around(inquiry: Inquiry, symptom: EntityId, window: Window, declared: Topology) -> Topology:
    """Return what can hurt the symptom and what it hurts; all that is known, where nobody knows what those are."""
    topology = await discover(inquiry, window, declared)
    if symptom not in topology:
        inquiry.gap(f"{symptom} in the topology", "no server knows it", "what it depends on")
        topology |= Topology.merge({"alert": TopologyFragment(entities=(_named(symptom),))})
    around = [symptom, *topology.upstream_of(symptom), *topology.dependents(symptom)]
    return topology.within(around) if is_tied(symptom, topology) else topology


async def _follow(inquiry: Inquiry, incident: Incident, lookback: timedelta, now: datetime) -> Course:
    """Settle how the symptom went; look further back for its onset where it was in progress before the baseline."""
    course = await _settle(inquiry, incident, lookback, now)
    for times in _FURTHER:
        if course.onset or not any(map(is_unwell, course.symptoms)):
            break
        further = await _settle(inquiry, incident, times * lookback, now)
        course = further if further.onset else course
    return course


async def _settle(inquiry: Inquiry, incident: Incident, lookback: timedelta, now: datetime) -> Course:
    """Look for the symptom's onset near the alert, then look again through windows that fit it."""
    near = Window(start=min(incident.started_at, now - EDGE) - lookback / 2, end=now)
    before = Window(start=near.start - 1.5 * lookback, end=near.start)
    first = await course_of(inquiry, incident, near, before)
    around = first.onset or await _closer(inquiry, incident, first, lookback)
    second = await course_of(inquiry, incident, *_windows(incident, around, lookback, now))
    return replace(second, onset=second.onset or first.onset, symptoms=second.symptoms or first.symptoms)


async def _closer(inquiry: Inquiry, incident: Incident, seen: Course, lookback: timedelta) -> Onset | None:
    """Look just before the alert when nothing clearly shifted in all the time before it.

    A threshold on a figure of metrics was crossed just then. What an alert that names no figure is about may have begun
    at any time before it.
    """
    if not _named_subjects(incident) or any(o.signal is not Signal.METRICS for o in seen.symptoms):
        hinted = _hint(seen.symptoms, incident)
        return hinted if hinted and hinted.earliest <= incident.started_at else None
    start = max(seen.window.start, min(incident.started_at, seen.window.end - EDGE) - lookback / 8)
    near = Window(start=start, end=seen.window.end)
    closer = await course_of(inquiry, incident, near, Window(start=seen.baseline.start, end=start))
    return closer.onset or _hint(closer.symptoms, incident)


async def course_of(inquiry: Inquiry, incident: Incident, window: Window, baseline: Window) -> Course:
    """Ask how the symptom went in a window, beside a baseline."""
    symptoms = await _symptoms(inquiry, incident.service, watched(incident), window, baseline)
    return Course(window, baseline, _onset(symptoms, incident), tuple(symptoms))


async def discover(inquiry: Inquiry, window: Window, declared: Topology = _NOTHING) -> Topology:
    """Return what all servers together know of the application, and what people declared of it."""
    topology = declared
    for tool, answer in await discovered(inquiry, window):
        topology |= Topology.merge({tool.server: answer.fragment})
    return topology


async def discovered(inquiry: Inquiry, window: Window) -> list[tuple[Tool, Answer]]:
    """Return what each server answers when it is asked what it knows of the application."""
    times: dict[str, JsonValue] = {"start": rfc3339(window.start), "end": rfc3339(window.end)}
    tools = inquiry.eyes.tools(Role.DISCOVER)
    asked = [(tool, {name: times[name] for name in times if name in tool.arguments}) for tool in tools]
    return await inquiry.ask_all(asked, "topology")


def survey_arguments(tool: Tool, window: Window, baseline: Window, entities: Iterable[str]) -> dict[str, JsonValue]:
    """Return the arguments of a survey, as far as the tool takes them."""
    every: dict[str, JsonValue] = {
        "start": rfc3339(window.start),
        "end": rfc3339(window.end),
        "baseline_start": rfc3339(baseline.start),
        "baseline_end": rfc3339(baseline.end),
        "entities": list(entities),
    }
    return {name: value for name, value in every.items() if name in tool.arguments}


def before(tool: Tool, scope: Scope) -> Window:
    """Return what a tool compares the scope's window with: the baseline, and for changes all that may bite late."""
    far = tool.signal == Signal.CHANGES and scope.changes_since
    return Window(start=min(far, scope.baseline.start), end=scope.window.start) if far else scope.baseline


def watched(incident: Incident) -> tuple[str, ...]:
    """Return the subjects that an incident's alert is about, by its own words; all of them when it does not say."""
    return _named_subjects(incident) or tuple(_SUBJECTS)


def _named_subjects(incident: Incident) -> tuple[str, ...]:
    said = " ".join((incident.title, *incident.symptoms))
    return tuple(subject for subject, words in _SUBJECTS.items() if words.search(said))


async def _symptoms(
    inquiry: Inquiry, symptom: str, subjects: Iterable[str], window: Window, baseline: Window
) -> list[Observation]:
    """Return what the symptom's own series say, the strongest shift first: as traces have it, or else metrics."""
    for signal in (Signal.TRACES, Signal.METRICS):
        if own := await _symptoms_in(signal, inquiry, symptom, subjects, window, baseline):
            return own
    return []


async def _symptoms_in(
    signal: Signal, inquiry: Inquiry, symptom: str, subjects: Iterable[str], window: Window, baseline: Window
) -> list[Observation]:
    tools = inquiry.eyes.tools(Role.SURVEY, signal)
    asked = [(tool, survey_arguments(tool, window, baseline, [symptom])) for tool in tools]
    answers = await inquiry.ask_all(asked, "triage")
    seen = [o for _, answer in answers for o in inquiry.checked(answer.observations)]
    named = {name for subject in subjects for name in (subject, *_ALSO.get(subject, ()))}
    whole = [o for o in seen if o.entity == symptom and not PARTS & o.attributes.keys()]
    own = [o for o in whole if o.subject in named or is_unwell(o)]
    return sorted(own, key=lambda o: -o.score)


def _hint(symptoms: Iterable[Observation], incident: Incident) -> Onset | None:
    """Return where to look when nothing clearly shifted: since when the symptom may be a little worse than before."""
    return _earliest((o for o in symptoms if o.kind is ObservationKind.NORMAL and got_worse(o)), incident)


def _onset(symptoms: Iterable[Observation], incident: Incident) -> Onset | None:
    """Return the earliest onset among the symptom's clear shifts that last, or else of failures that are over.

    How many ask changes all day: where something else shifted as well, that is what an alert is about.
    """
    clear = [o for o in symptoms if o.score >= SHIFTED and got_worse(o)]
    lasting = [o for o in clear if o.ended is None]
    felt = _earliest((o for o in lasting if o.subject != "request_rate"), incident)
    return felt or _earliest(lasting, incident) or _earliest((o for o in clear if o.subject == "error_rate"), incident)


def _earliest(shifted: Iterable[Observation], incident: Incident) -> Onset | None:
    """Return the earliest onset; what began once the alert was there is not what set it off."""
    began = [Onset(o.onset, o.onset_earliest or o.onset, o.onset_latest or o.onset) for o in shifted if o.onset]
    in_time = [onset for onset in began if onset.earliest <= incident.first_seen]
    return min(in_time, key=lambda onset: onset.at, default=None)


def _windows(incident: Incident, onset: Onset | None, lookback: timedelta, now: datetime) -> tuple[Window, Window]:
    """Return the window from just before the onset until now, and a baseline before it, at least thrice as long."""
    start = (onset.earliest if onset else min(incident.started_at, now) - lookback / 4) - EDGE
    length = max(3 * (now - start), lookback / 2)
    return Window(start=start, end=now), Window(start=start - length, end=start)


def _named(entity: str) -> Entity:
    kind, _, name = entity.partition(":")
    return Entity(id=entity, kind=kind, name=name, learnt_from="alert")
