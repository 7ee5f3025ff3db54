"""Fresh looks: the surveys and drill-downs that fit a question, asked now, kept as evidence, within a budget.

Calls are on record like those of an investigation. What could not be looked at is told to whoever asked, and is no gap
of the investigation: a question must not make its next conclusion any less sure.
"""

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final

from pydantic import JsonValue
from ulid import ULID

from midwatch.builtin.weights import SHIFTED
from midwatch.chat.book import Book, seen_line
from midwatch.chat.questions import Question
from midwatch.inquiry import Inquiry
from midwatch.mcp_client.toolbox import Answer, Tool
from midwatch.records import Gap
from midwatch.records.message import Statement
from midwatch.scoping import survey_arguments
from midwatch.storage.privacy import hidden
from midwatch_kit.evidence import cite
from midwatch_kit.records import EntityId, Observation, ObservationKind, Signal, Window
from midwatch_kit.server import Role
from midwatch_kit.window import resolve_baseline, rfc3339

BY: Final = "question"
_MOST: Final = 15
_QUIET_SHOWN: Final = 4
_LINES: Final = 8
_LONGEST: Final = 200
_LATELY: Final = timedelta(minutes=15)
_QUIET: Final = (ObservationKind.NORMAL, ObservationKind.ABSENCE)
_SIGNALS: Final = (
    (Signal.CHANGES, re.compile(r"\bchang\w*|\bdeploy\w*|\brelease\w*|\bconfig\w*|\bcommit\w*", re.IGNORECASE)),
    (Signal.LOGS, re.compile(r"\blogs?\b|\blogged\b|\blines?\b|\bsays?\b|\bmessages?\b", re.IGNORECASE)),
    (Signal.METRICS, re.compile(r"\bmetrics?\b|\bcpu\b|\bmemory\b|\bdisk\b|\bpool\b|\bsaturat\w*", re.IGNORECASE)),
    (Signal.TRACES, re.compile(r"\btraces?\b|\blatency\b|\bslow\w*|\berror rate\b|\brequests?\b", re.IGNORECASE)),
)
_IDS: Final = re.compile(r"[\w.:@/-]{3,}")
_TRACE: Final = re.compile(r"\b[0-9a-f]{16,32}\b")


@dataclass
class Fresh(Inquiry):
    """The questions to servers that one question of a person leads to; `unseen` is what could not be looked at."""

    unseen: list[Gap] = field(default_factory=list)
    name: str = field(default_factory=lambda: str(ULID()))

    def __post_init__(self) -> None:
        super().__post_init__()
        self._shut.clear()  # whoever was refused before may be let in by now

    def key_of(self, tool: Tool, arguments: Mapping[str, JsonValue]) -> str:
        """Return a key of this question's own: what was answered before is asked afresh, but once."""
        return f"{BY}:{self.name}:{super().key_of(tool, arguments)}"

    def gap(self, what: str, why: str, may_hide: str) -> None:
        """Remember what could not be looked at; it is told with the answer."""
        self.unseen.append(Gap(what=what, why=hidden(why)[:600], may_hide=may_hide))


@dataclass(frozen=True)
class Span:
    """The window that is looked at, and the one that it is compared with."""

    window: Window
    baseline: Window

    def __str__(self) -> str:
        return f"{rfc3339(self.window.start)} to {rfc3339(self.window.end)}"


def span_of(question: Question, now: datetime, book: Book | None = None, otherwise: timedelta = _LATELY) -> Span:
    """Return what a question is about: the window it names, the last minutes for `now`, or the incident's own."""
    scope = book.scope.value if book and book.scope else None
    named = question.window
    if named is None and scope and not question.is_about_now:
        return Span(scope.window, scope.baseline)
    window = named or Window(start=now - otherwise, end=now)
    if scope and scope.baseline.end <= window.start:
        return Span(window, scope.baseline)
    return Span(window, resolve_baseline(window, None, None))


async def look(
    fresh: Fresh, question: Question, span: Span, entities: Sequence[EntityId], changes: Iterable[str] = ()
) -> list[Statement]:
    """Look at entities, or at everything when there are none, and return what was seen, with what it cites.

    `changes` are ids that the question may name, to have one of them read in full.
    """
    if found := await _one_thing(fresh, question, span, changes):
        return found
    signals = [signal for signal, words in _SIGNALS if words.search(question.text)]
    lines = await _surveyed(fresh, span, entities, signals)
    if Signal.LOGS in signals or question.quoted:
        lines += await _logged(fresh, question, span, entities)
    return lines


def not_looked_at(fresh: Fresh) -> list[str]:
    """Return what could not be looked at, in words."""
    return list(dict.fromkeys(f"could not be looked at: {gap.what}: {gap.why}" for gap in fresh.unseen))


async def _surveyed(
    fresh: Fresh, span: Span, entities: Sequence[EntityId], signals: Sequence[Signal]
) -> list[Statement]:
    every = fresh.eyes.tools(Role.SURVEY)
    tools = [tool for tool in every if not signals or tool.signal in signals]
    asked = [(tool, survey_arguments(tool, span.window, span.baseline, entities)) for tool in tools]
    answers = await fresh.ask_all(asked, BY)
    seen = [o for _, answer in answers for o in fresh.checked(answer.observations) if _is_meant(o, entities)]
    in_time = [o for o in seen if o.kind is not ObservationKind.CHANGE or _within(o, span.window)]
    loud = [o for o in in_time if o.kind is ObservationKind.CHANGE or (o.kind not in _QUIET and o.score >= SHIFTED)]
    quiet = [o for o in in_time if o not in loud]
    ranked = sorted(loud, key=lambda o: (o.kind is not ObservationKind.CHANGE, -o.score, o.id))
    shown = [*ranked[:_MOST], *sorted(quiet, key=lambda o: (-o.score, o.id))[:_QUIET_SHOWN]]
    lines = [seen_line(o, f"{o.signal}: {_told(o)}") for o in shown]
    silent = [answer.evidence for _, answer in answers if not any(o in shown for o in answer.observations)]
    if silent and not loud:
        lines.append(Statement(text=f"Nothing else shifted in {span}.", evidence=tuple(dict.fromkeys(silent))))
    if len(ranked) > _MOST:
        rest = tuple(dict.fromkeys(answer.evidence for _, answer in answers))
        lines.append(Statement(text=f"… and {len(ranked) - _MOST} more that shifted", evidence=rest))
    return lines


async def _logged(fresh: Fresh, question: Question, span: Span, entities: Sequence[EntityId]) -> list[Statement]:
    """Read lines: those with the text that is quoted, or errors."""
    tools = fresh.eyes.tools(Role.DRILL_DOWN, Signal.LOGS)
    tool = next((t for t in tools if t.arguments & {"services", "text"} and t.key is None), None)
    if tool is None:
        return []
    services = [entity.partition(":")[2] for entity in entities if entity.startswith("service:")]
    wanted: dict[str, JsonValue] = {
        "start": rfc3339(span.window.start),
        "end": rfc3339(span.window.end),
        "limit": _LINES,
        **({"services": [*services]} if services else {}),
        **({"text": question.quoted} if question.quoted else {"level": "error"}),
    }
    asked = {name: value for name, value in wanted.items() if name in tool.arguments}
    answer = await fresh.ask(tool, asked, BY)
    if answer is None:
        return []
    what = f"lines with {question.quoted!r}" if question.quoted else "error lines" if "level" in asked else "lines"
    head = Statement(text=f"{_matched(answer)} {what} in {span}", evidence=(answer.evidence,))
    return [head, *_rows(fresh, answer, _LINES)]


async def _one_thing(fresh: Fresh, question: Question, span: Span, changes: Iterable[str]) -> list[Statement]:
    """Read the change or the trace that a question names by its id; nothing when it names none."""
    said = set(_IDS.findall(question.text))
    named = [("change_id", Signal.CHANGES, change) for change in changes if change in said]
    named += [("trace_id", Signal.TRACES, trace) for trace in _TRACE.findall(question.text)]
    lines: list[Statement] = []
    for key, signal, value in dict.fromkeys(named):
        times: dict[str, JsonValue] = {"start": rfc3339(span.baseline.start), "end": rfc3339(span.window.end)}
        for tool in fresh.eyes.tools(Role.DRILL_DOWN, signal, key)[:1]:
            where = {name: time for name, time in times.items() if name in tool.arguments}
            if answer := await fresh.ask(tool, {key: value, **where}, BY):
                lines.append(Statement(text=f"{key} {value}:", evidence=(answer.evidence,)))
                lines += _rows(fresh, answer, _MOST)
    return lines


def _rows(fresh: Fresh, answer: Answer, most: int) -> list[Statement]:
    """Return the first rows of a drill-down, each by the text in it that says most, and checked."""
    lines = []
    for number, row in enumerate(answer.rows[:most]):
        place, text = _most_telling(row)
        if not place:
            lines.append(Statement(text=f"  {text}", evidence=(answer.evidence,)))
            continue
        [found] = cite(answer.evidence, {"rows": answer.rows}, [f"/rows/{number}{place}"])
        seen = Observation(
            id=f"{answer.evidence[:26]}{number}",
            entity="",
            signal=Signal.STATE,
            kind=ObservationKind.READING,
            subject="row",
            statement=text,
            citations=(found.model_copy(update={"quote": str(found.quote)[:_LONGEST]}),),
            by=BY,
        )
        lines += [seen_line(o, f"  {_when(row)}{o.statement}") for o in fresh.checked([seen])]
    return lines


def _most_telling(row: JsonValue) -> tuple[str, str]:
    """Return the place in a row whose text says most, and the text: its message, or else the longest there is."""
    if not isinstance(row, dict):
        return "", hidden(str(row))[:_LONGEST]
    texts = {key: value for key, value in row.items() if isinstance(value, str) and value}
    if not texts:
        return "", hidden(json.dumps(row, ensure_ascii=False))[:_LONGEST]
    key = "message" if "message" in texts else max(texts, key=lambda name: len(texts[name]))
    told = " ".join(f"{name}={texts[name]}" for name in ("service", "instance", "level", "status") if name in texts)
    place = key.replace("~", "~0").replace("/", "~1")
    return f"/{place}", hidden(f"{told} {texts[key]}".strip())[:_LONGEST]


def _when(row: JsonValue) -> str:
    at = next((row[k] for k in ("time", "at", "start") if k in row), None) if isinstance(row, dict) else None
    return f"{at}  " if isinstance(at, str) else ""


def _is_meant(seen: Observation, entities: Sequence[EntityId]) -> bool:
    return not entities or bool({seen.entity, seen.related} & {*entities})


def _within(seen: Observation, window: Window) -> bool:
    return seen.onset is None or window.start <= seen.onset < window.end


def _told(seen: Observation) -> str:
    return f"{rfc3339(seen.onset)} {seen.statement}" if seen.onset else seen.statement


def _matched(answer: Answer) -> int:
    told = answer.reply.get("matched")
    return told if isinstance(told, int) else len(answer.rows)
