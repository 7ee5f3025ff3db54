"""Asking on behalf of one investigation: journalled, cached, within budget, with gaps where there is no answer.

All subagents of an investigation share one `Inquiry`: a question that one has asked is not asked again, not even
after a crash, because the cache is the journal itself.
"""

import hashlib
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

import anyio
from pydantic import JsonValue

from midwatch.mcp_client.links import Unanswered
from midwatch.mcp_client.toolbox import Answer, Eyes, Tool
from midwatch.records import Budget, Gap, ToolCall
from midwatch.storage.journal import Journal
from midwatch.storage.privacy import hidden, without_personal_data
from midwatch_kit.errors import KitError
from midwatch_kit.evidence import EvidenceStore, broken_citations, canonical
from midwatch_kit.records import Evidence, Observation, Window
from midwatch_kit.server import Role

_HIDES = {
    "logs": "errors and new messages that only logs hold",
    "metrics": "resource trouble: CPU, memory, pools, queues",
    "traces": "where errors begin and which calls are slow",
    "changes": "a deploy, a configuration change or a person's hand",
}
DENIALS = 2
"""So many refusals in a row, with no answer between them, and a server is asked no more."""
_CREDENTIALS = "the credentials of "
_LAG_SECONDS = 15.0
"""Less than this is how telemetry is, everywhere."""
_LINE = 1_000
"""Characters of a line that are journalled; what was said in full is in the evidence."""


@dataclass(frozen=True)
class Limits:
    """What one investigation may spend on questions, up to its conclusion."""

    seconds: float
    calls: int
    call_seconds: float
    at_once: int = 16


@dataclass
class Inquiry:
    """The questions of one investigation, and what they have cost so far; `forbidden` says why a tool is not asked."""

    investigation: str
    journal: Journal
    eyes: Eyes
    kept: EvidenceStore
    limits: Limits
    forbidden: Callable[[str, str], str] = lambda _server, _tool: ""
    calls: int = 0
    _began: float = field(default_factory=time.monotonic)
    _places: anyio.CapacityLimiter = field(init=False)
    _asking: dict[str, anyio.Lock] = field(default_factory=dict)
    _unanswered: dict[str, str] = field(default_factory=dict)
    _answers: dict[str, Answer] = field(default_factory=dict)
    """What was answered since this process began, as it was told; the journal has the bytes of all that was."""
    _denied: dict[str, int] = field(default_factory=dict)
    _shut: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._places = anyio.CapacityLimiter(self.limits.at_once)
        for gap in self.journal.values(self.investigation, Gap):
            if gap.what.startswith(_CREDENTIALS):
                self._shut[gap.what.removeprefix(_CREDENTIALS)] = gap.why

    async def ask(
        self, tool: Tool, arguments: Mapping[str, JsonValue], by: str, *, may_fail: bool = False
    ) -> Answer | None:
        """Return the answer to a question, asked once; None when there is none.

        Then a gap is on record, unless the question `may_fail`: who asks it says by itself what is missing.
        """
        key = self.key_of(tool, arguments)
        async with self._asking.setdefault(key, anyio.Lock()):
            if known := self._known(key):
                return known
            if key in self._unanswered:  # whoever waited for the same answer need not wait out another deadline
                return None
            if no := self.forbidden(tool.server, tool.name):
                self._unanswered[key] = no
                self._gap(tool, no, unless=may_fail)
                return None
            if shut := self._shut.get(_door(tool)):  # that is one gap, which is there already
                self._unanswered[key] = shut
                return None
            async with self._places:
                if over := self._over_budget():
                    self._gap(tool, over, unless=may_fail)
                    return None
                return await self._ask(tool, arguments, key, by, may_fail=may_fail)

    async def ask_all(
        self, questions: Iterable[tuple[Tool, Mapping[str, JsonValue]]], by: str
    ) -> list[tuple[Tool, Answer]]:
        """Ask several questions at once and return the answers that came, with the tool, in the order asked."""
        asked = list(questions)
        answers = await self.try_all(asked, by, may_fail=False)
        return [(tool, answer) for (tool, _), answer in zip(asked, answers, strict=True) if answer is not None]

    async def try_all(
        self, questions: Sequence[tuple[Tool, Mapping[str, JsonValue]]], by: str, *, may_fail: bool = True
    ) -> list[Answer | None]:
        """Ask several questions at once and return an answer, or None, for each; see `ask` for `may_fail`."""
        answers: list[Answer | None] = [None] * len(questions)

        async def put(place: int) -> None:
            answers[place] = await self.ask(*questions[place], by, may_fail=may_fail)

        async with anyio.create_task_group() as group:
            for place in range(len(questions)):
                group.start_soon(put, place)
        return answers

    def why_not(self, tool: Tool, arguments: Mapping[str, JsonValue]) -> str:
        """Return why a question that was asked has no answer."""
        return self._unanswered.get(self.key_of(tool, arguments)) or self._over_budget() or "it has not been asked"

    def key_of(self, tool: Tool, arguments: Mapping[str, JsonValue]) -> str:
        """Return the key under which a question is on record: the same one is not asked twice."""
        return f"{tool.server}.{tool.name}:{hashlib.sha256(canonical(dict(arguments))).hexdigest()[:16]}"

    def checked(self, observations: Iterable[Observation]) -> list[Observation]:
        """Return the observations whose every citation stands in the stored bytes; the others become gaps.

        What they say of persons is hidden: from here on they go into the journal, and into whatever is told.
        """
        good: list[Observation] = []
        told = list(observations)
        cited = dict.fromkeys(c.evidence for observation in told for c in observation.citations)
        stored = {name: kept for name in cited if (kept := self._stored(name))}
        for observation in told:
            if faults := broken_citations(observation, stored):
                by = f" by {observation.by}" if observation.by else ""
                self.gap(f"observation of {observation.entity}{by}", "; ".join(faults), "nothing: it was dropped")
            else:
                good.append(without_personal_data(observation))
        return good

    def gap(self, what: str, why: str, may_hide: str) -> None:
        """Put on record what could not be looked at."""
        key = hashlib.sha256(f"{what}|{why}".encode()).hexdigest()[:16]
        self.journal.note(self.investigation, "gap", key, Gap(what=what, why=hidden(why)[:600], may_hide=may_hide))

    def spent(self) -> Budget:
        """Return what has been spent so far, beside what may be."""
        return Budget(
            seconds=round(time.monotonic() - self._began, 2),
            seconds_allowed=self.limits.seconds,
            tool_calls=self.calls,
            tool_calls_allowed=self.limits.calls,
        )

    def _known(self, key: str) -> Answer | None:
        """Return what was answered before, if its bytes are still kept."""
        if key in self._answers:
            return self._answers[key]
        call = self.journal.recall(self.investigation, "tool_call", key, ToolCall)
        if call is None or call.evidence is None:
            return None
        kept = [self._stored(name) for name in (call.evidence.id, call.records) if name]
        return Answer({}, call.evidence.id, call.records, self.kept) if all(kept) else None

    def _stored(self, name: str) -> bytes | None:
        try:
            return self.kept.get(name)
        except KitError:
            return None

    async def _ask(
        self, tool: Tool, arguments: Mapping[str, JsonValue], key: str, by: str, *, may_fail: bool
    ) -> Answer | None:
        self.calls += 1
        began = time.monotonic()
        try:
            answer = await self.eyes.ask(tool, arguments, self.limits.call_seconds)
        except Unanswered as error:
            failed = ToolCall(
                server=tool.server,
                tool=tool.name,
                arguments=dict(arguments),
                error=hidden(str(error))[:600],
                seconds=_since(began),
            )
            self.journal.note(self.investigation, "tool_call", f"{key}:failed:{self.calls}", failed, by)
            self._gap(tool, str(error), unless=may_fail)
            self._unanswered[key] = str(error)
            if error.denied:
                self._was_denied(_door(tool), str(error))
            return None
        self._denied.pop(_door(tool), None)
        call = _as_record(tool, arguments, answer, _since(began))
        self.journal.note(self.investigation, "tool_call", key, call, by)
        self._answers[key] = answer
        for doubt in _doubts(tool, answer, call.evidence):
            self._gap(tool, doubt, unless=may_fail)
        return answer

    def _was_denied(self, door: str, said: str) -> None:
        """Knock no more where every question is refused; one answer shows that the credentials are good."""
        self._denied[door] = self._denied.get(door, 0) + 1
        if self._denied[door] < DENIALS or door in self._shut:
            return
        why = (
            f"it refused {DENIALS} questions in a row, the last with: {said[:300]}. It is asked no more. Are its "
            "credentials still good? See its headers, env or oauth in the servers file"
        )
        self._shut[door] = hidden(why)
        self.gap(f"{_CREDENTIALS}{door}", why, f"everything that only {door} knows")

    def _over_budget(self) -> str | None:
        if self.calls >= self.limits.calls:
            return f"the budget of {self.limits.calls} tool calls is spent"
        if time.monotonic() - self._began >= self.limits.seconds:
            return f"the budget of {self.limits.seconds:g} s is spent"
        return None

    def _gap(self, tool: Tool, why: str, *, unless: bool) -> None:
        if unless:
            return
        hides = _HIDES.get(tool.signal, f"what only {tool.server} knows")
        self.gap(f"{tool.server}: {tool.name}", why.removeprefix(f"{tool.name}: "), hides)


def _door(tool: Tool) -> str:
    """Return what one set of credentials opens: a server; of the suite a tool, since each has backends of its own."""
    return f"{tool.server}.{tool.name}" if tool.ours else tool.server


def _doubts(tool: Tool, answer: Answer, evidence: Evidence | None) -> Iterator[str]:
    """Yield what makes an answer doubtful: what the server says itself, and data that end long before the window."""
    caveats = answer.reply.get("caveats")
    yield from (str(caveat) for caveat in (caveats if isinstance(caveats, list) else []))
    if tool.role is Role.SURVEY and evidence and evidence.window and evidence.lag_seconds is not None:
        length = evidence.window.length.total_seconds()
        if evidence.lag_seconds >= max(_LAG_SECONDS, length / 2):
            yield f"its newest data is {evidence.lag_seconds:.0f} s older than the window's end: more may still come"


def _as_record(tool: Tool, arguments: Mapping[str, JsonValue], answer: Answer, seconds: float) -> ToolCall:
    reply = answer.reply
    lines = reply.get("lines")
    evidence = Evidence(
        id=answer.evidence,
        server=tool.server,
        tool=tool.name,
        arguments=dict(arguments),
        window=_window(reply.get("window")),
        query=str(reply.get("query", "")),
        rows_matched=_whole(reply.get("matched")),
        returned_rows=_whole(reply.get("returned")),
        truncated=bool(reply.get("truncated")),
        lag_seconds=lag if isinstance(lag := reply.get("lag_seconds"), int | float) else None,
        url=url if isinstance(url := reply.get("url"), str) else None,
        bytes=len(answer.kept.get(answer.evidence)),
    )
    return ToolCall(
        server=tool.server,
        tool=tool.name,
        arguments=dict(arguments),
        evidence=evidence,
        records=answer.records,
        lines=tuple(hidden(str(line))[:_LINE] for line in lines[:20]) if isinstance(lines, list) else (),
        seconds=seconds,
    )


def _window(text: JsonValue) -> Window | None:
    if not isinstance(text, str):
        return None
    start, _, end = text.partition("/")
    try:
        return Window(start=datetime.fromisoformat(start), end=datetime.fromisoformat(end))
    except ValueError:
        return None  # it is told for the reader; nothing rests on it


def _whole(value: JsonValue) -> int:
    return value if isinstance(value, int) else 0


def _since(began: float) -> float:
    return round(time.monotonic() - began, 3)
