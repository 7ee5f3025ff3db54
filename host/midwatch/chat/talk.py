"""One question and its answer, the same at every edge: the journal first, then fresh looks, then a model.

Both are noted, in the incident's journal or, for the environment, in one of the day; what was asked before is read from
there. A question that a crash cuts off is asked anew by whoever asked it; what its calls cost is on record.
"""

from collections.abc import Callable, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Final

from ulid import ULID

from midwatch.chat.answers import (
    CAN_BE_ASKED,
    CAN_BE_ASKED_AROUND,
    around_of,
    cannot,
    way_of,
)
from midwatch.chat.book import Book
from midwatch.chat.findings import Asked, what_is_the_cause
from midwatch.chat.handles import line
from midwatch.chat.looks import BY, Fresh, Span, look, not_looked_at, span_of
from midwatch.chat.questions import LONGEST, Question, understood
from midwatch.chat.surroundings import Map, unnamed
from midwatch.declared import declared_topology
from midwatch.errors import HostError
from midwatch.host import Host
from midwatch.inquiry import Limits
from midwatch.mcp_client.toolbox import Answer
from midwatch.records import Conclusion, Incident, Message
from midwatch.records.message import Statement
from midwatch.scoping import discovered
from midwatch.settings import Settings
from midwatch.steering.files import forbidden_by
from midwatch.storage.journal import Entry, Journal
from midwatch.storage.privacy import hidden
from midwatch_kit.evidence import EvidenceStore
from midwatch_kit.records import ObservationKind, Window
from midwatch_topology import Topology

if TYPE_CHECKING:
    from midwatch.chat.reasoning import Put, Reasoner

ENVIRONMENT: Final = "environment"
_ASKED: Final = "asked:"
_ANSWERED: Final = "answered:"
_KNOWN_FOR: Final = timedelta(hours=1)
_REMEMBERED: Final = 6
_MOST: Final = 100
"""Lines of one answer."""
_LINES_REMEMBERED: Final = 6
Door = Callable[[Incident | None], AbstractAsyncContextManager[Host]]
"""Gives the host whose servers hold an incident's telemetry, or the environment's."""


@dataclass(frozen=True)
class Reply:
    """The answer to a question: what it states, and remarks on how it came to be, which state nothing.

    `answered_by` are those who had a part in it: journal, servers, model. It is empty for a question that nobody could
    answer; then the statements say what can be asked.
    """

    question: str
    statements: tuple[Statement, ...]
    remarks: tuple[str, ...] = ()
    answered_by: tuple[str, ...] = ()
    dropped: int = 0
    usd: float = 0.0

    @property
    def lines(self) -> list[str]:
        """The answer in lines, with what each cites."""
        return [*map(line, self.statements), *(f"({remark})" for remark in self.remarks)]


@dataclass
class _Draft:
    """An answer as it grows."""

    statements: list[Statement] = field(default_factory=list)
    remarks: list[str] = field(default_factory=list)
    by: list[str] = field(default_factory=list)
    dropped: int = 0
    usd: float = 0.0

    def add(self, by: str, statements: Sequence[Statement]) -> None:
        self.statements += statements
        self.by += [by] if statements else []


@dataclass
class Talk:
    """Who answers questions at one edge; `door` is opened only for what the journal cannot answer."""

    settings: Settings
    journal: Journal
    kept: EvidenceStore
    door: Door

    async def ask(
        self, text: str, incident: Incident | None, *, look: bool = False, model: bool = False, by: str = "a person"
    ) -> Reply:
        """Answer a question about an incident, or about the environment for None, and note both.

        `look` asks servers afresh; `model` asks a model even where code has an answer. Raises `HostError` for a
        question that cannot be read, and `BadSettings`.
        """
        name = incident.id if incident else environment_of(datetime.now(UTC))
        if not text.strip() or len(text) > LONGEST:
            raise HostError(f"a question has 1 to {LONGEST} characters, not {len(text)}")
        before, key, draft = self._before(name), str(ULID()), _Draft()
        self.journal.note(name, "message", f"{_ASKED}{key}", Message(text=hidden(text)), by)
        if incident:
            await self._about_incident(draft, text, Book.of(self.journal, incident), before, look=look, model=model)
        else:
            await self._about_environment(draft, text, name, before, model=model)
        if not draft.statements:
            draft.statements.append(Statement(text="Nothing is known that answers it."))
        if (rest := len(draft.statements) - _MOST) > 0:
            draft.statements[_MOST:] = [Statement(text=f"… and {rest} more lines: ask for less, by a name or a time.")]
        said = tuple(draft.statements), tuple(dict.fromkeys(draft.remarks)), tuple(draft.by)
        reply = Reply(text, *said, draft.dropped, round(draft.usd, 6))
        self._note(name, key, reply)
        return reply

    def answered(self, text: str, incident: Incident | None) -> Reply | None:
        """Return the latest answer on record to a question in these words; None when there is none."""
        name = incident.id if incident else environment_of(datetime.now(UTC))
        told = {entry.key: Message.model_validate(entry.body) for entry in self._said(name)}
        asked = [key for key, message in told.items() if key.startswith(_ASKED) and message.text == hidden(text)]
        answer = told.get(f"{_ANSWERED}{asked[-1].removeprefix(_ASKED)}") if asked else None
        return Reply(text, answer.statements, _remarks(answer), ("journal",)) if answer else None

    async def _about_incident(
        self, draft: _Draft, text: str, book: Book, before: Sequence[Message], *, look: bool, model: bool
    ) -> None:
        questions = [message.text for message in before if not message.statements]
        now = datetime.now(UTC)
        question = understood(text, book.known, book.scope.value.window.end if book.scope else now, questions)
        way = way_of(question, questions)
        if way and not (look and way.needs_a_look):
            draft.add("journal", way.respond(Asked(book, question)))
        if look:
            async with self.door(book.incident) as host:
                fresh = self._fresh(book.incident.id, host)
                span = span_of(question, now, book)
                draft.add("servers", await _looked(fresh, question, span, book))
                draft.remarks += not_looked_at(fresh)
        if (model or not way) and self._wants_model(draft, asked=model):
            async with self.door(book.incident) as host:
                fresh = self._fresh(book.incident.id, host)
                span, said = span_of(question, now, book), what_is_the_cause(Asked(book, question))[:_LINES_REMEMBERED]
                put = self._put(text, book.incident.id, before, draft, str(span), looks=look, concluded=said)
                await self._by_model(draft, put, fresh, host)
        if not draft.statements:
            draft.statements += cannot("the journal", CAN_BE_ASKED)

    async def _about_environment(
        self, draft: _Draft, text: str, name: str, before: Sequence[Message], *, model: bool
    ) -> None:
        questions = [message.text for message in before if not message.statements]
        now = datetime.now(UTC)
        async with self.door(None) as host:
            fresh = self._fresh(name, host)
            window = understood(text, (), now).window or Window(start=now - _KNOWN_FOR, end=now)
            over = await _drawn(fresh, window, declared_topology(self.settings))
            question = understood(text, over.topology.entities, now, questions)
            way = around_of(question, questions)
            span = span_of(question, now)
            if way and way.drawn:
                draft.add("servers", way.drawn(over, question))
            elif way:
                draft.add("servers", await _seen_around(fresh, question, span, over))
            draft.remarks += not_looked_at(fresh)
            if (model or not way) and self._wants_model(draft, asked=model):
                await self._by_model(draft, self._put(text, name, before, draft, str(span), looks=True), fresh, host)
        if not draft.statements:
            draft.statements += cannot("what servers tell", CAN_BE_ASKED_AROUND)

    def _wants_model(self, draft: _Draft, *, asked: bool) -> bool:
        """Return whether a model can be asked; says so where one was asked for, and there is none."""
        if self.settings.reasoner == "builtin" and asked:
            draft.remarks.append("no model takes part: MIDWATCH_REASONER is builtin")
        return self.settings.reasoner != "builtin"

    async def _by_model(self, draft: _Draft, put: "Put", fresh: Fresh, host: Host) -> None:
        """Let a model answer too; when it cannot, what code answered stands, with the reason."""
        reasoner, why_not = self._reasoner(host, fresh.investigation, draft)
        if reasoner is None:
            draft.remarks.append(f"no model answered: {why_not}")
            return
        answering, ended = await reasoner.answer(put, fresh)
        draft.add("model", answering.stated)
        draft.dropped += answering.dropped
        draft.remarks += [*answering.remarks(ended), *not_looked_at(fresh)]

    def _reasoner(self, host: Host, name: str, draft: _Draft) -> "tuple[Reasoner | None, str]":
        if host.models is None or host.models.lead is None:
            return None, host.models.why_not if host.models else "the settings want none"
        from midwatch.chat.reasoning import Reasoner  # noqa: PLC0415 - the client takes long to import
        from midwatch.claude.agent import Bounds  # noqa: PLC0415
        from midwatch.claude.day import DayPurse  # noqa: PLC0415
        from midwatch.claude.judgement import as_record  # noqa: PLC0415
        from midwatch.claude.model import Turn  # noqa: PLC0415
        from midwatch.claude.purse import Purse  # noqa: PLC0415

        s, lead = self.settings, host.models.lead

        def note(turn: Turn | Exception) -> None:
            call = as_record(lead.name, turn).model_copy(update={"purpose": "question"})
            draft.usd += call.usd
            self.journal.note(name, "model_call", f"{BY}:{ULID()}", call, BY)

        day = DayPurse.of_today(self.journal, s.model_day_usd)
        purse = Purse("the question", s.model_question_tokens, s.model_question_usd, day)
        bounds = Bounds(s.model_task_turns, s.model_task_seconds, s.model_prompt_tokens, s.model_output_tokens)
        return Reasoner(lead, purse, bounds, note), ""

    def _put(
        self,
        text: str,
        name: str,
        before: Sequence[Message],
        draft: _Draft,
        window: str,
        *,
        looks: bool,
        concluded: Sequence[Statement] = (),
    ) -> "Put":
        from midwatch.chat.reasoning import Put  # noqa: PLC0415 - as above

        return Put(
            text,
            tuple(self.journal.entries(name)),
            earlier=[part for message in before for part in _remembered(message)],
            remembered=[each for message in before for each in message.statements[:_LINES_REMEMBERED]],
            answered=tuple(draft.statements),
            concluded=concluded,
            looks=looks,
            window=window,
        )

    def _fresh(self, name: str, host: Host) -> Fresh:
        s = self.settings
        limits = Limits(s.question_seconds, s.question_calls, s.call_seconds, at_once=s.parallel_calls)
        return Fresh(name, self.journal, host.eyes, self.kept, limits, forbidden_by(host.steering))

    def _before(self, name: str) -> list[Message]:
        """Return the last questions and answers of this conversation, in order."""
        return [Message.model_validate(entry.body) for entry in self._said(name)[-2 * _REMEMBERED :]]

    def _said(self, name: str) -> list[Entry]:
        said = self.journal.entries(name, kind="message")
        return [entry for entry in said if entry.key.startswith((_ASKED, _ANSWERED))]

    def _note(self, name: str, key: str, reply: Reply) -> None:
        who = " and ".join(reply.answered_by) or "nobody"
        said = f"answered by {who}: {len(reply.statements)} statements, {reply.dropped} dropped, ${reply.usd:.4f}"
        answer = Message(text="\n".join([said, *reply.remarks]), statements=reply.statements)
        self.journal.note(name, "message", f"{_ANSWERED}{key}", answer, BY)


def environment_of(day: datetime) -> str:
    """Return the name under which questions about the environment are on record, one for each day (UTC)."""
    return f"{ENVIRONMENT}-{day.astimezone(UTC):%Y-%m-%d}"


async def _looked(fresh: Fresh, question: Question, span: Span, book: Book) -> list[Statement]:
    """Look at what a question names, or else at the symptom and the cause."""
    last = book.last(Conclusion)
    causes = [cause.entity for cause in last.value.root_causes] if last else []
    entities = question.entities or tuple(dict.fromkeys([book.incident.service, *causes]))
    changes = [
        noted.value.attributes.get("change_id", "")
        for noted in book.observations.values()
        if noted.value.kind is ObservationKind.CHANGE
    ]
    found = await look(fresh, question, span, entities, changes)
    if not found and not fresh.calls:
        return [Statement(text="No server was there to be asked.")]
    return [Statement(text=f"A fresh look at {', '.join(entities)}, {span}:"), *found]


async def _seen_around(fresh: Fresh, question: Question, span: Span, over: Map) -> list[Statement]:
    if not question.entities and question.near:
        return unnamed(over, question)
    found = await look(fresh, question, span, question.entities)
    return found or [Statement(text=f"Nothing was seen in {span}.")]


async def _drawn(fresh: Fresh, window: Window, declared: Topology) -> Map:
    """Return what servers know of the application, and which answers say so."""
    topology = declared
    answers: dict[str, list[Answer]] = {}
    for tool, answer in await discovered(fresh, window):
        topology |= Topology.merge({tool.server: answer.fragment})
        answers.setdefault(tool.server, []).append(answer)
    return Map(topology, answers)


def _remarks(answer: Message) -> tuple[str, ...]:
    return tuple(answer.text.split("\n")[1:])


def _remembered(message: Message) -> list[str]:
    """Return a question, or the beginning of an answer, as a later question may remember it."""
    if not message.statements:
        return [f"The person asked: {message.text}"]
    return ["midwatch answered:", *(f"  {line(each)}" for each in message.statements[:_LINES_REMEMBERED])]
