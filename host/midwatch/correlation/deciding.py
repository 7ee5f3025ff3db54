"""What becomes of an alert: one pure function from what is known to a decision that says why.

First the alert's own history (is it a repeat, does it resolve, does it come back?), then what rules and people say, and
then which outage it goes with best.
"""

from dataclasses import dataclass, replace
from datetime import datetime
from typing import Literal

from ulid import ULID

from midwatch.correlation.kinds import kind_of
from midwatch.correlation.likeness import Match, Part, Seen, different_faults, match
from midwatch.correlation.neighbourhood import Neighbourhood
from midwatch.correlation.ongoing import Known, Ongoing, Outage, fingerprint, moment_key, service_id
from midwatch.correlation.rules import Rules
from midwatch.correlation.weights import LINK, NEARLY, NOTICED_SECONDS, RELATED, SPREAD_SECONDS
from midwatch.correlation.words import plain
from midwatch.records import Alert, Severity, Status
from midwatch.settings.correlation import CorrelationSettings
from midwatch_kit.records import EntityId

Verb = Literal["new", "linked", "repeat", "resolves", "skipped", "recurrence", "late"]
_MOST_RELATED = 3
_GIVEN_UP = frozenset({Status.SKIPPED, Status.CANCELLED, Status.FAILED, Status.LINKED})
"""Nobody looks at these any more, so that what comes has to open an incident of its own."""


@dataclass(frozen=True)
class Decision:
    """What became of one alert.

    `incident` is the one it is part of, if of any; `history` the one that comes back with it; `merges` names incidents
    that turn out to be part of it too; `joins` says whether the alert tells something new of its incident; `first` of a
    repeat when the same came first, by our clock, and None where that is not known any more.
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
    first: datetime | None = None


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
    episode = known.ended_by(alert) if known else None
    if episode is None:
        return Decision("resolves", None, "it is over, and its beginning never came; kept in case that is late")
    incident = around.ongoing.target(episode.incident) if episode.incident else None
    if episode.ended is not None:
        return Decision("repeat", incident, "it was resolved before", first=episode.end_came)
    return Decision("resolves", incident, "it is over" + ("" if incident else ", and was part of no incident"))


def _sent_before(alert: Alert, known: Known, around: Circumstances) -> Decision | None:
    episode = known.episode(alert)
    if episode is None or episode.incident is None:
        return None
    over = ", and is over by now" if episode.ended else ""
    incident = around.ongoing.target(episode.incident)
    return Decision("repeat", incident, f"the same alert was sent before{over}", first=episode.came)


def _comes_back(alert: Alert, known: Known, around: Circumstances) -> Decision | None:
    """Return what becomes of an alert that fired before and fires anew; None when it is placed like any other."""
    latest = known.latest
    outage = around.ongoing.outage(latest.incident) if latest else None
    if outage is None or latest is None:
        return None
    if alert.started_at < latest.start:
        return _earlier_time(alert, known, outage, around)
    if _effect_of_another(alert, known, outage, around):
        return None
    flapping = around.rules.flapping(alert)
    times = known.starts_within(60 * flapping.minutes, alert.started_at)
    said = f"it fires for the {_nth(times)} time within {flapping.minutes:g} minutes" if times > 1 else "it fires anew"
    comes_and_goes = times >= flapping.times
    if not outage.over:
        why = f"{said}, in an incident that is open" + (": it is flapping" if comes_and_goes else "")
        return Decision("repeat", outage.id, why, joins=True, flapping=comes_and_goes, first=known.came)
    if comes_and_goes:
        return Decision(
            "repeat",
            outage.id,
            f"{said}: it is flapping, no incident is opened for it",
            flapping=True,
            first=known.came,
        )
    return _right_after(alert, outage, around, "the same alert")


def _effect_of_another(alert: Alert, known: Known, outage: Outage, around: Circumstances) -> bool:
    """Return whether an alert that fires anew is an effect of another outage, which is open, rather than of its own."""
    for found in _matches(alert, known, around):
        if found.outage is outage and not outage.over:
            return False
        if found.is_effect and found.score >= LINK and not found.kept_apart and not found.outage.over:
            return found.outage is not outage
    return False


def _earlier_time(alert: Alert, known: Known, outage: Outage, around: Circumstances) -> Decision | None:
    """Return that it is of the same incident; None where there is none so near, or another one is nearer."""
    nearest = next(iter(_matches(alert, known, around)), None)
    if nearest is None or nearest.outage is not outage:
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
    if alert.severity is Severity.INFO:
        return Decision("skipped", None, "its severity is info, and it goes with no incident")
    related = tuple(found.outage.id for found in matches if found.score >= RELATED or found.kept_apart)[:_MOST_RELATED]
    return _opens(alert, known, matches, replace(_NEW, related=related), around)


_NEW = Decision("new", None, "", joins=True, opens=True)


def _opens(
    alert: Alert, known: Known | None, matches: list[Match], opened: Decision, around: Circumstances
) -> Decision:
    incident = incident_id(alert, around.now)
    early = known.episode(alert) if known else None
    over = "; it was over before it came" if early and early.ended else ""
    if known and (latest := known.latest) and latest.incident:
        past = around.ongoing.target(latest.incident)
        why = f"the same alert was part of {past}, which is over: it comes back{over}"
        return replace(opened, verb="recurrence", incident=incident, why=why, history=past)
    nearest = max(matches, key=lambda found: found.score, default=None)
    if nearest is None:
        return replace(opened, incident=incident, why=f"nothing that is going on is close to it{over}")
    reason = nearest.kept_apart or f"{nearest.score:.2f} of 1, and {LINK:g} would be needed"
    why = f"apart from {nearest.outage.id}: {reason}{over}"
    return replace(opened, incident=incident, why=why, parts=nearest.parts)


def _into(alert: Alert, best: Match, fitting: list[Match], around: Circumstances) -> Decision | None:
    outage = best.outage
    why = f"{best.score:.2f} of 1: " + "; ".join(str(part) for part in best.parts) + _as_well(best, fitting)
    decision = Decision("linked", outage.id, why, best.parts, joins=True)
    settled = outage.over and outage.over_at is not None
    if settled:
        back = _right_after(alert, outage, around, "an alert close to it")
        if back is None:
            return None
        decision = replace(back, why=f"{back.why}; {why}", parts=best.parts)
    tied = [other for other in fitting if other is not best and _one_cause(best, other, alert.started_at, around.area)]
    if not tied:
        return decision
    stays, *others = sorted([outage.id, *(other.outage.id for other in tied)])  # whoever works on it goes on with it
    return replace(decision, incident=stays, merges=tuple(others))


def _as_well(best: Match, fitting: list[Match]) -> str:
    """Return in words which other outages would explain an alert nearly as well: it may be an effect of any of them."""
    near = [f"{other.outage.id} ({other.score:.2f})" for other in fitting if other.rank >= best.rank - NEARLY]
    others = [said for said in near if not said.startswith(best.outage.id)]
    return f"; nearly as well explained by {', '.join(others[:_MOST_RELATED])}" if best.is_effect and others else ""


def _one_cause(one: Match, other: Match, at: datetime, area: Neighbourhood) -> bool:
    """Return whether one component that alerts would explain two outages that went on then, so that they are one."""
    if not (one.outage.went_on(at) and other.outage.went_on(at)) or different_faults(one.outage, other.outage):
        return False
    for cause in one.common & other.common & {one.entity, *one.outage.places, *other.outage.places}:
        places = (each.outage.places.get(cause) for each in (one, other))
        noticed = min((place.starts[0] for place in places if place), default=at.timestamp())
        if all(_comes_of(each.outage, cause, noticed, area) for each in (one, other)):
            return True
    return False


def _comes_of(outage: Outage, cause: EntityId, noticed: float, area: Neighbourhood) -> bool:
    """Return whether an outage began when a cause that was noticed at a moment would have come to where it began."""
    start, first = min((place.starts[0], name) for name, place in outage.places.items())
    hops = max(1, area.upstream(first).get(cause, 0))
    return -NOTICED_SECONDS <= start - noticed <= hops * SPREAD_SECONDS


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
    return sorted(found, key=lambda each: (bool(each.kept_apart), -each.rank, -each.score, each.outage.id))


def _name(alert: Alert, known: Known | None) -> str:
    return known.name if known else fingerprint(alert)


def _nth(times: int) -> str:
    suffix = "th" if times % 100 in (11, 12, 13) else {1: "st", 2: "nd", 3: "rd"}.get(times % 10, "th")
    return f"{times}{suffix}"
