"""The window that a person chose: between two times, or one wave of the symptom alone, with a baseline that fits it.

The waves are found by asking the symptom's surveys about slices of all the time that is in question. That is paid for
like any other question of the look, and takes at most a third of the calls that it has left.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from itertools import chain
from math import ceil

from midwatch.builtin.observed import PARTS
from midwatch.builtin.waves import Slice, baseline_before, waves
from midwatch.inquiry import Inquiry
from midwatch.records import Incident, Scope, Steer
from midwatch.scoping import EDGE, course_of, survey_arguments
from midwatch.steering.steers import chooses_window
from midwatch_kit.records import EntityId, Observation, Signal, Window
from midwatch_kit.server import Role
from midwatch_kit.window import clock

_SLICES, _FEWEST_SLICES = 24, 8
"""So many slices are asked about; with fewer than the second, no wave could be told from the next."""
_PART_OF_CALLS = 3
_LATER = 3
"""What came after the incident was seen is searched up to so many times the time that was looked at for it."""
_FIGURES = frozenset({"error_rate", "latency_p95", "request_rate"})


@dataclass(frozen=True)
class _Choice:
    """The window that was chosen, and why it is that; the waves beside it that are none of its own."""

    window: Window
    why: str
    others: tuple[Window, ...]


async def steered(inquiry: Inquiry, incident: Incident, scope: Scope, heard: Iterable[Steer]) -> Scope:
    """Return a scope with the window that was chosen last; as it is when nobody chose one, or the whole one.

    A wave that cannot be told leaves the window as it is, a gap, and the reason in `chosen`.
    """
    wish = next((steer for steer in reversed([*heard]) if chooses_window(steer)), None)
    if wish is None or wish.whole:
        return scope
    searched = _searched(scope, wish)
    slices = await _slices(inquiry, scope, searched)
    edge = slices[0].window.length if slices else timedelta()
    found = waves(slices, scope.watched)
    choice = _span(scope, wish, found, searched) if wish.wave is None else _wave(wish.wave, found, edge)
    if isinstance(choice, str):
        inquiry.gap(f"the waves of {scope.symptom}", choice, "to which of them the cause belongs")
        return scope.model_copy(update={"waves": found, "chosen": choice})
    if wish.at and (wish.wave or 0) < 0 and wish.at - searched.end > edge:
        why = "waves so long after the incident are not searched for: name their times"
        inquiry.gap(f"waves of {scope.symptom} after {clock(searched.end)}", why, "a later wave")
    seen = await _seen(inquiry, incident, scope, choice, searched, edge, follow=wish.wave is not None)
    return seen.model_copy(update={"waves": found, "chosen": choice.why})


def _searched(scope: Scope, wish: Steer) -> Window:
    """Return all the time that is in question: what was looked at, what came until it was told, what was asked for."""
    start, end = scope.baseline.start, scope.window.end
    if wish.at and end < wish.at <= end + _LATER * (end - start):
        end = wish.at
    until = wish.until or end
    if wish.since and wish.since < scope.window.start:
        start = min(start, wish.since - (until - wish.since))
    return Window(start=min(start, until - scope.window.length), end=max(end, until))


def _span(scope: Scope, wish: Steer, found: Sequence[Window], searched: Window) -> _Choice | str:
    """Return the window between two times of which one may be left to us."""
    end = wish.until or (scope.window.end if wish.since and wish.since < scope.window.end else searched.end)
    start = wish.since or (scope.window.start if scope.window.start < end else end - scope.window.length)
    if start >= end:
        return f"nothing was looked at after {clock(start)}"
    window = Window(start=start, end=end)
    return _Choice(window, "as it was told", tuple(wave for wave in found if wave.start < start))


def _wave(wanted: int, found: Sequence[Window], edge: timedelta) -> _Choice | str:
    """Return one wave with what is just before it: it may have begun there, in too few requests to be seen."""
    if not found:
        return "no wave could be told: nothing rose above what was usual, as far as it was measured"
    number = wanted if wanted > 0 else len(found) + 1 + wanted
    if not 1 <= number <= len(found):
        return f"there is no wave {wanted}: {len(found)} could be told"
    wave, before = found[number - 1], found[: number - 1]
    start = max(wave.start - edge, *(each.end for each in before)) if before else wave.start - edge
    others = tuple(each for each in found if each != wave)
    return _Choice(Window(start=start, end=wave.end), f"wave {number} of {len(found)}", others)


async def _seen(
    inquiry: Inquiry,
    incident: Incident,
    scope: Scope,
    choice: _Choice,
    searched: Window,
    edge: timedelta,
    *,
    follow: bool,
) -> Scope:
    """Return the scope over the chosen window; `follow` lets it begin just before the symptom does."""
    window = choice.window
    as_of = incident.model_copy(
        update={"first_seen": window.end, "started_at": min(incident.started_at, window.end - EDGE)}
    )
    baseline = baseline_before(window, choice.others, searched, edge)
    course = await course_of(inquiry, as_of, window, baseline)
    if follow and course.onset and window.start < course.onset.earliest - EDGE < window.end:
        window = Window(start=course.onset.earliest - EDGE, end=window.end)
        baseline = baseline_before(window, choice.others, searched, edge)
        again = await course_of(inquiry, as_of, window, baseline)
        course = again if again.onset else course
    onset = course.onset
    return scope.model_copy(
        update={
            "window": window,
            "baseline": baseline,
            "onset": onset.at if onset else None,
            "onset_earliest": onset.earliest if onset else None,
            "onset_latest": onset.latest if onset else None,
            "symptoms": course.symptoms,
        }
    )


async def _slices(inquiry: Inquiry, scope: Scope, searched: Window) -> list[Slice]:
    """Return the symptom's figures slice by slice, as traces have them, or else metrics; none where neither has."""
    for signal in (Signal.TRACES, Signal.METRICS):
        tools = inquiry.eyes.tools(Role.SURVEY, signal)
        count = min(_SLICES, (inquiry.limits.calls - inquiry.calls) // (_PART_OF_CALLS * max(1, len(tools))))
        if count < _FEWEST_SLICES:
            inquiry.gap(f"the waves of {scope.symptom}", "too few tool calls are left of the budget", "when it was bad")
            return []
        parts = [*_cut(searched, count)]
        asked = [
            (
                tool,
                survey_arguments(tool, part, Window(start=part.start - part.length, end=part.start), [scope.symptom]),
            )
            for part in parts
            for tool in tools
        ]
        answers = await inquiry.try_all(asked, "waves")
        told = [inquiry.checked(answer.observations) if answer else [] for answer in answers]
        each = len(tools)
        slices = [_slice(part, chain(*told[n * each : (n + 1) * each]), scope.symptom) for n, part in enumerate(parts)]
        if any(one.requests or one.levels for one in slices):
            return slices
    return []


def _cut(searched: Window, count: int) -> Iterator[Window]:
    """Yield slices of whole seconds, one after the other; what is left at the end goes to the last."""
    length = timedelta(seconds=max(1, ceil(searched.length.total_seconds() / count)))
    start = searched.start
    while start + 1.5 * length <= searched.end:
        yield Window(start=start, end=start + length)
        start += length
    yield Window(start=start, end=searched.end)


def _slice(part: Window, seen: Iterable[Observation], symptom: EntityId) -> Slice:
    """Return the figures of one slice from what surveys say of the whole symptom."""
    own = [o for o in seen if o.entity == symptom and not PARTS & o.attributes.keys()]
    counted: Mapping[str, str] = next((o.attributes for o in own if "requests" in o.attributes), {})
    levels = {o.subject: o.magnitude for o in own if o.subject in _FIGURES and o.magnitude is not None}
    if "latency_p95" in counted:
        levels.setdefault("latency_p95", float(counted["latency_p95"]))
    return Slice(part, float(counted.get("requests", 0)), float(counted.get("errors", 0)), levels)
