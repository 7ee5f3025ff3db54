"""A person's free words as a steer, by code: a small grammar that takes the whole sentence, or does not understand it.

Times are UTC: RFC 3339, a time of day (the one nearest to the incident), `-10m` and `+5m` around its start, or `now`
and before it. Nothing here guesses: a word that is not in the grammar is left to a model, or to the person.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

from midwatch.records import HypothesisKind
from midwatch_kit.errors import BadInput
from midwatch_kit.window import parse_time

Fields = Mapping[str, Any]
"""Fields of a `Steer`."""
CAN_BE_SAID: Final = (
    "look only at the latest wave (or: the first wave, wave 2)",
    "since 14:03; until 14:40; between 14:03 and 14:40; the last 10 minutes; the whole window again",
    "leave out ENTITY",
    'ignore "TEXT"',
    f"test KIND at ENTITY (kinds: {', '.join(HypothesisKind)})",
)
_COUNTED: Final = {"first": 1, "earliest": 1, "second": 2, "third": 3, "fourth": 4, "last": -1, "latest": -1}
_COUNTED_TOO: Final = {"newest": -1, "most recent": -1}
_KINDS: Final = {
    **{kind.value: kind for kind in HypothesisKind},
    **dict.fromkeys(("deploy", "release", "rollout", "config change"), HypothesisKind.CHANGE),
    **dict.fromkeys(("memory", "cpu", "disk", "pool", "shortage"), HypothesisKind.RESOURCE),
    **dict.fromkeys(("load", "surge"), HypothesisKind.TRAFFIC),
    **dict.fromkeys(("permission", "credential", "quota"), HypothesisKind.ACCESS),
    **dict.fromkeys(("node", "network"), HypothesisKind.PLATFORM),
}
_DATE_TIME: Final = r"\d{4}-\d\d-\d\d[T ][\d:.]+(?:Z|[+-]\d\d:?\d\d)?"
_TIME: Final = rf"(?:{_DATE_TIME}|\d\d:\d\d(?::\d\d)?|(?:now)?-(?:\d+[smhd])+|\+(?:\d+[smhd])+|now)"
_ZONE: Final = r"(?: ?(?:utc|z))?"
_LOOK: Final = (
    r"(?:please )?(?:only |just )?(?:(?:look|focus|concentrate)(?: only| just)? ?(?:at|on)?|take|use|only|just)? ?"
)
_WAVE: Final = r"(?:wave|spike|burst|episode|peak)"
_FAR: Final = timedelta(hours=24)


@dataclass(frozen=True)
class Around:
    """What words are about: when the incident began, the present moment, and who is meant by a name; raises if none."""

    began: datetime
    now: datetime
    entity: Callable[[str], str]

    def time(self, text: str) -> datetime:
        """Return the moment that a text means; raises `BadInput` for none, or one that is far from the incident."""
        text = (
            re.sub(rf"{_ZONE}$", "", text.strip(), flags=re.I) if re.match(r"\d\d:\d\d", text.strip()) else text.strip()
        )
        moment = self._time(text)
        if abs(moment - self.began) > _FAR:
            raise BadInput(f"{text} is more than a day from the incident's start ({self.began:%Y-%m-%d %H:%M:%S}Z)")
        return moment

    def _time(self, text: str) -> datetime:
        if text.startswith("+"):
            return self.began + (self.began - parse_time(f"-{text[1:]}", self.began))
        if text.startswith("-"):
            return parse_time(text, self.began)
        if re.fullmatch(r"\d\d:\d\d(:\d\d)?", text):
            last = parse_time(text, self.began)
            return min((last, last + timedelta(days=1)), key=lambda moment: abs(moment - self.began))
        return parse_time(text, self.now)


def understood(words: str, around: Around) -> Fields:
    """Return what words ask for as fields of a steer; none when they are not understood.

    Raises `BadInput` for a time that cannot be, and what `around.entity` raises for a name that nobody has.
    """
    said = " ".join(words.split()).rstrip(".!?")
    if fields := _one(said, around):
        return fields
    parts = [part for part in re.split(r"(?:[,;]| and | then )+ ?", said) if part]
    each = [_one(part, around) for part in parts]
    if len(parts) < 2 or not all(each) or sum(map(len, each)) > len({name for fields in each for name in fields}):
        return {}  # what is asked for twice is asked for by two steers
    return {name: value for fields in each for name, value in fields.items()}


def window_of(text: str, around: Around) -> Fields:
    """Return the window that a short text names: latest, first, 2, whole, or START/END of which one may be left out.

    Raises `BadInput`.
    """
    said = text.strip()
    number = _number(said.casefold().removesuffix(" wave").removeprefix("wave "))
    if number is not None:
        return {"wave": number}
    if said.casefold() in ("whole", "all"):
        return {"whole": True}
    start, slash, end = said.partition("/")
    if not slash or not (start or end):
        raise BadInput(f"window {text[:80]!r} is none of latest, first, 2, whole, START/END, START/, /END")
    return _between(start, end, around)


def _one(said: str, around: Around) -> Fields:
    for pattern, fields in _SENTENCES:
        if found := re.fullmatch(pattern, said, re.IGNORECASE):
            return fields(found, around)
    return {}


def _number(text: str) -> int | None:
    said = _COUNTED.get(text.casefold(), _COUNTED_TOO.get(text.casefold()))
    if said is not None:
        return said
    digits = re.sub(r"(?:st|nd|rd|th)$", "", text.casefold())
    return int(digits) if re.fullmatch(r"-?\d{1,3}", digits) and int(digits) else None


def _of_wave(found: re.Match[str], _: Around) -> Fields:
    number = _number(found["which"])
    return {} if number is None else {"wave": number}


def _between(start: str, end: str, around: Around) -> Fields:
    since, until = (around.time(text) if text else None for text in (start, end))
    if since and until and since >= until:
        raise BadInput(f"the window would be empty: it starts at {start} and ends at {end}")
    return {name: moment for name, moment in (("since", since), ("until", until)) if moment}


def _last_minutes(found: re.Match[str], around: Around) -> Fields:
    length = _length(found["length"])
    return {"since": around.now - length, "until": around.now}


def _before_alert(found: re.Match[str], around: Around) -> Fields:
    return {"since": around.began - _length(found["length"]), "until": around.began}


def _length(text: str) -> timedelta:
    count, _, unit = re.sub(r"(\d+) ?(.*)", r"\1 \2", text.casefold()).partition(" ")
    return timedelta(**{{"s": "seconds", "m": "minutes", "h": "hours"}[unit[0]]: int(count)})


def _tests(found: re.Match[str], around: Around) -> Fields:
    kind = _KINDS.get(found["kind"].casefold())
    return {"kind": kind, "entity": around.entity(found["entity"])} if kind else {}


_KIND: Final = rf"(?P<kind>{'|'.join(sorted(_KINDS, key=len, reverse=True))})s?"
_ENTITY: Final = r"(?P<entity>[\w.:/@-]+)"
_LENGTH: Final = r"(?P<length>\d{1,4} ?(?:seconds?|minutes?|hours?|[smh]))"
_SENTENCES: Final[tuple[tuple[str, Callable[[re.Match[str], Around], Fields]], ...]] = (
    (rf"{_LOOK}(?:the )?(?P<which>[\w]+|most recent) {_WAVE}(?: only| alone)?", _of_wave),
    (rf"{_LOOK}wave (?P<which>\d+)(?: only| alone)?", _of_wave),
    (rf"{_LOOK}(?:the )?(?:whole|entire|full) (?:window|time|incident)(?: again)?", lambda _f, _a: {"whole": True}),
    (rf"{_LOOK}all (?:the )?{_WAVE}s(?: again)?", lambda _f, _a: {"whole": True}),
    (
        rf"{_LOOK}(?:the time )?(?:between|from) (?P<since>{_TIME}){_ZONE} "
        rf"(?:and|to|until|till) (?P<until>{_TIME}){_ZONE}",
        lambda found, around: _between(found["since"], found["until"], around),
    ),
    (
        rf"{_LOOK}(?:what (?:happened|came) )?(?:since|from|after) (?P<since>{_TIME}){_ZONE}(?: on(?:wards)?)?",
        lambda found, around: _between(found["since"], "", around),
    ),
    (
        rf"{_LOOK}(?:what (?:happened|came) )?(?:until|till|before|up to) (?P<until>{_TIME}){_ZONE}",
        lambda found, around: _between("", found["until"], around),
    ),
    (rf"{_LOOK}(?:the )?last {_LENGTH}", _last_minutes),
    (rf"{_LOOK}(?:the )?{_LENGTH} before the (?:alert|incident)", _before_alert),
    (
        r"(?:please )?ignore (?:(?:all |the )?(?:lines|messages|observations|whatever|what|everything) "
        r"(?:that )?(?:says?|contains?|with) )?[\"'“](?P<text>.{3,200})[\"'”]",
        lambda found, _: {"ignore": found["text"]},
    ),
    (
        r"(?:please )?(?:ignore|leave out|skip|exclude|forget|disregard) (?:everything (?:of|from|at) )?(?:the )?"
        rf"{_ENTITY}",
        lambda found, around: {"leave_out": around.entity(found["entity"])},
    ),
    (
        rf"(?:the )?{_ENTITY} is (?:only |just )?noise",
        lambda found, around: {"leave_out": around.entity(found["entity"])},
    ),
    (
        r"(?:please )?(?:(?:check|test|suspect|consider|try|look at|look into|could it be|is it|was it|what about|"
        rf"maybe|perhaps) )?(?:it (?:was|is) )?(?:an? |the )?{_KIND} (?:of|at|in|on|from) (?:the )?{_ENTITY}",
        _tests,
    ),
)
