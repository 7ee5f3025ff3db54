"""What becomes of an alert: one pure function from what is known to a decision that says why.

First the alert's own history (is it a repeat, does it resolve, does it come back?), then what rules and people say, and
then which outage it goes with best.
"""

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Literal

from ulid import ULID

from midwatch.correlation.kinds import kind_of
from midwatch.correlation.likeness import Match, Part, Seen, different_faults, match
from midwatch.correlation.neighbourhood import Neighbourhood
from midwatch.correlation.ongoing import Known, Ongoing, Outage, fingerprint, moment_key, service_id
from midwatch.correlation.rules import Rules
from midwatch.correlation.weights import LINK, RELATED
from midwatch.correlation.words import plain
from midwatch.records import Alert, Severity, Status
from midwatch.settings.correlation import CorrelationSettings

Verb = Literal["new", "linked", "repeat", "resolves", "skipped", "recurrence", "late"]
_MOST_RELATED = 3
_GIVEN_UP = frozenset({Status.SKIPPED, Status.CANCELLED, Status.FAILED, Status.LINKED})
"""Nobody looks at these any more, so that what comes has to open an incident of its own."""


@dataclass(frozen=True)
class Decision:
    """What became of one alert.

    `incident` is the one it is part of, if of any; `history` the one that comes back with it; `merges` names incidents
    that turn out to be part of it too; `joins` says whether the alert tells something new of its incident.
    """

    verb: Verb
    incident: str | None
    why: str
    parts: tuple[Part, ...] = ()
    history: str | None = None
    related: tuple[str, ...] = ()
    merges: tuple[str, ...] = ()
    joins: bool = False
    opens: bool = False
    reopens: bool = False
    flapping: bool = False


@dataclass(frozen=True)
class Circumstances:
    """Everything that a decision rests on, beside the alert."""

    ongoing: Ongoing
    area: Neighbourhood
    rules: Rules
    settings: CorrelationSettings
    now: datetime


def incident_id(alert: Alert, now: datetime) -> str:
    """Return a ULID (github.com/ulid/spec) of the moment whose other bits are the alert's hash instead of chance."""
    return str(ULID(ULID.from_datetime(now).bytes[:6] + moment_key(alert, now)))


def decide(alert: Alert, around: Circumstances) -> Decision:
    """Return what becomes of an alert."""
    known = around.ongoing.of(alert)
    if alert.action == "resolved":
        return _resolves(alert, known, around)
    if known and (again := _sent_before(alert, known, around)):
        return again
    if _name(alert, known) in around.ongoing.by_hand.skip:
        return Decision("skipped", None, "a person decided that this alert is skipped")
    at = around.now if known and known.episode(alert) else alert.started_at  # what outlasts maintenance is trouble
    if why := around.rules.skipped(alert, at):
        return Decision("skipped", None, f"a rule skips it: {why}")
    if known and (again := _comes_back(alert, known, around)):
        return again
    return _placed(alert, known, around)


def _resolves(alert: Alert, known: Known | None, around: Circumstances) -> Decision:
    incident = around.ongoing.target(known.incident) if known and known.incident else None
    episode = (known.episode(alert) or known.firing(alert.started_at)) if known else None
    if episode is None:
        return Decision("resolves", incident, "it is over, and its beginning never came; kept in case that is late")
    if episode.ended is not None:
        return Decision("repeat", incident, "it was resolved before")
    return Decision("resolves", incident, "it is over" + ("" if incident else ", and was part of no incident"))


def _sent_before(alert: Alert, known: Known, around: Circumstances) -> Decision | None:
    episode = known.episode(alert)
    if episode is None or known.incident is None:
        return None
    over = ", and is over by now" if episode.ended else ""
    return Decision("repeat", around.ongoing.target(known.incident), f"the same alert was sent before{over}")


def _comes_back(alert: Alert, known: Known, around: Circumstances) -> Decision | None:
    """Return what becomes of an alert that fired before and fires anew; None when it is placed like any other."""
    outage = around.ongoing.outage(known.incident)
    if outage is None or not known.episodes:
        return None
    if alert.started_at < known.episodes[-1].start:
        return _earlier_time(alert, outage, around)
    flapping = around.rules.flapping(alert)
    times = known.starts_within(60 * flapping.minutes, alert.started_at)
    said = f"it fires for the {_nth(times)} time within {flapping.minutes:g} minutes"
    comes_and_goes = times >= flapping.times
    if not outage.over:
        why = f"{said}, in an incident that is open" + (": it is flapping" if comes_and_goes else "")
        return Decision("repeat", outage.id, why, joins=True, flapping=comes_and_goes)
    if comes_and_goes:
        return Decision("repeat", outage.id, f"{said}: it is flapping, no incident is opened for it", flapping=True)
    return _right_after(alert, outage, around, "the same alert")


def _earlier_time(alert: Alert, outage: Outage, around: Circumstances) -> Decision | None:
    window = around.rules.window_seconds(alert, 60 * around.settings.window_minutes)
    if alert.started_at < outage.first - timedelta(seconds=window):
        return None
    return Decision("late", outage.id, "an earlier time that the same alert fired, told late", joins=True)


def _right_after(alert: Alert, outage: Outage, around: Circumstances, what: str) -> Decision | None:
    """Return what becomes of an alert of an outage that is over: late, or it is back; None when it is another one."""
    if outage.status in _GIVEN_UP:
        return None
    ended = outage.over_at or outage.last
    if alert.started_at <= ended:
        return Decision("late", outage.id, f"{what} began before the incident was over", joins=True)
    reopen = around.rules.reopen_seconds(alert, 60 * around.settings.reopen_minutes)
    after = (alert.started_at - ended).total_seconds()
    if after > reopen:
        return None
    why = f"{what} is back {after / 60:.0f} min after the incident was over: it is open again"
    return Decision("recurrence", outage.id, why, history=outage.id, joins=True, reopens=True)


def _placed(alert: Alert, known: Known | None, around: Circumstances) -> Decision:
    """Return the outage that an alert goes with, or that it opens one."""
    matches = _matches(alert, known, around)
    fitting = [found for found in matches if found.score >= LINK and not found.kept_apart]
    for best in fitting:
        if decision := _into(alert, best, fitting, around):
            return decision
    if known and known.incident is None and (over := known.episode(alert)) and over.ended:
        return Decision("skipped", None, "it was over before it came, and goes with no incident")
    if alert.severity is Severity.INFO:
        return Decision("skipped", None, "its severity is info, and it goes with no incident")
    related = tuple(found.outage.id for found in matches if found.score >= RELATED or found.kept_apart)[:_MOST_RELATED]
    return _opens(alert, known, matches, replace(_NEW, related=related), around)


_NEW = Decision("new", None, "", joins=True, opens=True)


def _opens(
    alert: Alert, known: Known | None, matches: list[Match], opened: Decision, around: Circumstances
) -> Decision:
    incident = incident_id(alert, around.now)
    if known and known.incident:
        past = around.ongoing.target(known.incident)
        why = f"the same alert was part of {past}, which is over: it comes back"
        return replace(opened, verb="recurrence", incident=incident, why=why, history=past)
    nearest = max(matches, key=lambda found: found.score, default=None)
    if nearest is None:
        return replace(opened, incident=incident, why="nothing that is going on is close to it")
    reason = nearest.kept_apart or f"{nearest.score:.2f} of 1, and {LINK:g} would be needed"
    return replace(opened, incident=incident, why=f"apart from {nearest.outage.id}: {reason}", parts=nearest.parts)


def _into(alert: Alert, best: Match, fitting: list[Match], around: Circumstances) -> Decision | None:
    outage = best.outage
    why = f"{best.score:.2f} of 1: " + "; ".join(str(part) for part in best.parts)
    settled = outage.over and outage.over_at is not None
    if settled:
        back = _right_after(alert, outage, around, "an alert close to it")
        return replace(back, why=f"{back.why}; {why}", parts=best.parts) if back else None
    merges = tuple(other.outage.id for other in fitting if other is not best and _one_cause(best, other))
    if merges:  # the oldest stays: whoever works on it need not begin anew
        stays, *others = sorted([outage.id, *merges])
        return Decision("linked", stays, why, best.parts, merges=tuple(others), joins=True)
    return Decision("linked", outage.id, why, best.parts, joins=True)


def _one_cause(one: Match, other: Match) -> bool:
    """Return whether one component that alerts would explain two outages, which the alert then ties to each other."""
    if other.outage.over or one.outage.over or different_faults(one.outage, other.outage):
        return False
    return bool(one.common & other.common & {one.entity, *one.outage.places, *other.outage.places})


def _matches(alert: Alert, known: Known | None, around: Circumstances) -> list[Match]:
    """Return the outages that an alert has anything with, best first; what people put together comes before all."""
    window = around.rules.window_seconds(alert, 60 * around.settings.window_minutes)
    entity, hand = service_id(alert.service), around.ongoing.by_hand
    seen = Seen(
        entity,
        alert.started_at.timestamp(),
        kind_of(alert),
        plain(alert.title, alert.service),
        around.rules.marks(alert),
    )
    found = []
    for outage in around.ongoing.near(alert, window):
        pair = (_name(alert, known), outage.root)
        if pair in hand.apart or around.rules.apart(alert.service, outage.places):
            continue
        if pair in hand.together:
            by_hand = Part(name="by hand", points=1.0, most=1.0, said="a person put the two together")
            found.append(Match(entity, outage, (by_hand,)))
        elif (matched := match(seen, outage, around.area, window)) is not None:
            found.append(matched)
    return sorted(found, key=lambda each: (bool(each.kept_apart), -each.score, each.outage.id))


def _name(alert: Alert, known: Known | None) -> str:
    return known.name if known else fingerprint(alert)


def _nth(times: int) -> str:
    suffix = "th" if times % 100 in (11, 12, 13) else {1: "st", 2: "nd", 3: "rd"}.get(times % 10, "th")
    return f"{times}{suffix}"
