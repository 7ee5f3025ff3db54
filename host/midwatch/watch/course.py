"""What follows from the looks at a watched incident: another look, its end, or its return. Pure; asks no clock.

Time is what the looks measured: windows that do not overlap, added up. A clock that jumps changes nothing here.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby, pairwise, takewhile
from typing import Final, Literal

from midwatch.records.watch import Watch
from midwatch.settings.watch import WatchSettings
from midwatch_kit.window import clock

SURE: Final = 2
"""So many looks in a row have to see a symptom again before an incident is taken for come back."""
FLAPS: Final = 3
"""So many returns, and a symptom is one that comes and goes: no look is hastened for its sake any more."""
_BLIND: Final = 3
"""So many looks without a figure, and the sender of an alert is believed that it is over."""
_LONGEST_PATIENCE: Final = 8
"""A symptom that came back has to be gone for twice as long each time, up to so many times."""


@dataclass(frozen=True)
class Facts:
    """What is known of a watched incident beside its looks; numbers count looks of this round.

    `closed` is how many looks there were when it was closed, None while it is open. `over` is how many there were when
    the sender said of its last alert that it is over, None when it has not. `requests` is how many have to go well
    before the symptom would have shown; `calls` were taken by earlier rounds.
    """

    mitigated: bool = False
    closed: int | None = None
    over: int | None = None
    reopened: int = 0
    requests: int = 1
    calls: int = 0


@dataclass(frozen=True)
class Next:
    """What follows: another look after `wait` seconds, or that the incident closes, returns, or is watched no more.

    `back` is a return that no investigation follows: there were enough.
    """

    what: Literal["look", "close", "reopen", "back", "stop"]
    wait: float = 0.0
    reason: str = ""


def follows(looks: Sequence[Watch], facts: Facts, settings: WatchSettings) -> Next:
    """Return what follows from the looks of a round, in order."""
    if not looks:
        return Next("look", settings.first_seconds)
    return _closed(looks, facts, settings) if facts.closed is not None else _open(looks, facts, settings)


def returned(looks: Sequence[Watch]) -> list[Watch]:
    """Return the looks at the end that see the symptom, with none between them that sees it gone."""
    telling = [look for look in looks if look.symptom in ("gone", "there")]
    return [*takewhile(lambda look: look.symptom == "there", reversed(telling))][::-1]


def flapping(looks: Sequence[Watch], facts: Facts, settings: WatchSettings) -> bool:
    """Return whether the symptom comes and goes."""
    returns = _returns(looks) >= FLAPS
    return returns or (facts.reopened >= max(1, settings.reopens) and _is_back(looks, facts))


def _closed(looks: Sequence[Watch], facts: Facts, settings: WatchSettings) -> Next:
    since = looks[facts.closed :]
    if _is_back(looks, facts):
        back = _told(returned(looks))
        if facts.reopened < settings.reopens:
            return Next("reopen", reason=f"the symptom came back: {back}")
        why = f"it was investigated again {facts.reopened} times; steer it to have it looked at anew"
        return Next("back", reason=f"the symptom came back: {back}. {why}")
    left = settings.reopen_seconds - sum(look.waited_seconds for look in since)
    if left <= 0 or _spent(looks, facts, settings):
        return Next("stop")
    longest = min(_grown(looks, facts, settings), settings.gone_seconds)
    return Next("look", _soon(looks, settings) or max(settings.first_seconds, min(longest, left)))


def _open(looks: Sequence[Watch], facts: Facts, settings: WatchSettings) -> Next:
    gone = _gone(looks)
    seconds, requests = _measured(gone)
    patience = settings.gone_seconds * min(2 ** _returns(looks), _LONGEST_PATIENCE)
    enough = looks[-1].symptom == "gone" and requests >= facts.requests
    if enough and seconds >= patience:
        return Next("close", reason=f"the symptom is gone for {_span(seconds)}: {_told(gone)}")
    if agreed := _as_the_sender_says(looks, facts, enough=enough):
        return Next("close", reason=agreed)
    if facts.mitigated and _is_back(looks, facts) and facts.reopened < settings.reopens:
        return Next("reopen", reason=f"the symptom came back after the mitigation: {_told(returned(looks))}")
    if sum(look.waited_seconds for look in looks) >= settings.seconds or _spent(looks, facts, settings):
        return Next("stop", reason=_given_up(looks))
    if facts.mitigated and (soon := _soon(looks, settings)):
        return Next("look", soon)
    grown = _grown(looks, facts, settings)
    left = max(patience - seconds, settings.first_seconds) if gone and looks[-1].symptom == "gone" else grown
    return Next("look", min(grown, left))


def _as_the_sender_says(looks: Sequence[Watch], facts: Facts, *, enough: bool) -> str:
    """Return why the sender's word closes an incident: the figures agree, or there are none; '' when it does not."""
    if facts.over is None or not (since := looks[facts.over :]):
        return ""
    if enough:
        return f"its alert is over, and the figures agree: {_told(_gone(looks))}"
    blind = [look for look in since if look.symptom in ("unknown", "quiet")]
    if len(blind) == len(since) and (since[-1].symptom == "unknown" or len(since) >= _BLIND):
        return f"its alert is over by its sender's word alone, which is believed: {since[-1].statement}"
    return ""


def _is_back(looks: Sequence[Watch], facts: Facts) -> bool:
    return len(returned(looks[facts.closed or 0 :])) >= SURE


def _soon(looks: Sequence[Watch], settings: WatchSettings) -> float:
    """Return how soon the look comes that makes sure whether a symptom is back; 0 when there is nothing to be sure of.

    For one that comes and goes nothing is hurried.
    """
    waits = looks[-1].symptom == "there" and len(returned(looks)) < SURE
    return settings.first_seconds if waits and _returns(looks) < FLAPS else 0.0


def _grown(looks: Sequence[Watch], facts: Facts, settings: WatchSettings) -> float:
    """Return the interval after the last look: doubled for each look in a row that saw the same.

    The sender's word that it is over is news: it counts from there.
    """
    runs = [len([*run]) for _, run in groupby(look.symptom for look in looks[facts.over or 0 :] or looks)]
    number = runs[-1] if _returns(looks) < FLAPS else len(looks)
    return min(settings.first_seconds * 2.0 ** min(number - 1, 30), settings.longest_seconds)


def _gone(looks: Sequence[Watch]) -> list[Watch]:
    """Return the looks at the end that saw the symptom gone, with none between them that saw it."""
    telling = [look for look in looks if look.symptom in ("gone", "there")]
    return [*takewhile(lambda look: look.symptom == "gone", reversed(telling))][::-1]


def _measured(looks: Sequence[Watch]) -> tuple[float, int]:
    seconds = sum(look.window.length.total_seconds() for look in looks)
    return seconds, sum(look.requests for look in looks)


def _returns(looks: Sequence[Watch]) -> int:
    """Return how often the symptom was there again after it had been gone."""
    runs = [symptom for symptom, _ in groupby(look.symptom for look in looks if look.symptom in ("gone", "there"))]
    return sum(1 for before, now in pairwise(runs) if (before, now) == ("gone", "there"))


def _spent(looks: Sequence[Watch], facts: Facts, settings: WatchSettings) -> bool:
    return facts.calls + sum(look.calls for look in looks) >= settings.calls


def _given_up(looks: Sequence[Watch]) -> str:
    count, waited = len(looks), sum(look.waited_seconds for look in looks)
    return f"not watched any more after {_span(waited)} and {count} looks; the last: {looks[-1].statement}"


def _told(looks: Sequence[Watch]) -> str:
    """Return what looks measured, in figures alone."""
    _, requests = _measured(looks)
    errors = sum(look.errors for look in looks)
    share = 100 * errors / requests if requests else 0.0
    slow = looks[-1].latency_p95_ms
    p95 = f", p95 {slow:,.0f} ms" if slow is not None else ""
    span = f"{clock(looks[0].window.start)} to {clock(looks[-1].window.end)}"
    return f"{errors:,} of {requests:,} requests failed ({share:.1f}%){p95}, {span}, in {_looks(len(looks))}"


def _looks(count: int) -> str:
    return "1 look" if count == 1 else f"{count} looks"


def _span(seconds: float) -> str:
    return (
        f"{seconds:.0f} s"
        if seconds < 120
        else f"{seconds / 60:.0f} min"
        if seconds < 7200
        else f"{seconds / 3600:.1f} h"
    )
