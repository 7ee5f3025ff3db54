"""Runbooks of other places: found at the servers whose settings say how, kept as evidence, noted in the journal.

What an alert's runbook leads to comes first, then what is found by its name, by service and title, and by the service
alone. Each document's bytes are kept, so that it can be quoted. What is written in them is from outside: it is shown to
people and to a model as data, and changes nothing by itself.
"""

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from urllib.parse import unquote_plus

import anyio
from pydantic import JsonValue

from midwatch.claude.untrusted import visible
from midwatch.inquiry import Inquiry
from midwatch.mcp_client.toolbox import LIST_RESOURCES, READ_RESOURCE, Answer
from midwatch.records import Incident
from midwatch.records.runbook import Runbook
from midwatch.settings.runbooks import RunbookBinding, filled, filled_in_uri
from midwatch.storage.privacy import hidden
from midwatch_kit.evidence import value_at

_BY = "runbooks"
_HIDES = "what the team knows of this alert"
_WORD = re.compile(r"\w[\w.-]*")
_NOT_IN_LINKS = re.compile(r"[\s<>\"'`]")
_MOST_WORDS = 12
_LONGEST_TITLE = 200
_LONGEST_OPENING = 160
_LONGEST_LINK = 500
_LOOKED_THROUGH = 4_000
"""Characters of a document in which its heading and first line are looked for."""
_MOST_LOOKED_AT = 50
"""Results of a search that are looked at; a document that comes later is none that was looked for."""


@dataclass(frozen=True)
class Hit:
    """A document that may be a runbook: its id or URI, and what is known of it before it is read."""

    document: str | int
    title: str = ""
    link: str = ""
    named: bool = False


@dataclass
class Finder:
    """Finds the runbooks of one incident at one server; `found` are those that were read, in order."""

    inquiry: Inquiry
    incident: Incident
    server: str
    binding: RunbookBinding
    found: list[Runbook] = field(default_factory=list)

    async def find(self) -> None:
        """Find and read; what cannot be had leaves a gap."""
        with anyio.move_on_after(self.binding.seconds) as limit:
            hits = await (self._listed() if self.binding.resources else self._searched())
            await self._read(ranked(hits, self.service, self.named)[: self.binding.documents])
        if limit.cancelled_caught:
            self.inquiry.gap(f"runbooks of {self.server}", f"it took longer than {self.binding.seconds:g} s", _HIDES)

    @property
    def service(self) -> str:
        """The service's bare name."""
        return self.incident.service.partition(":")[2] or self.incident.service

    @property
    def named(self) -> str:
        """The name of the runbook that the alert names, without what leads there; '' for none."""
        return name_in(self.incident.runbook)

    async def _searched(self) -> list[Hit]:
        """Return what the alert's runbook leads to, and what a search finds, one after the other until it is enough."""
        led_to = self.binding.id_in(self.incident.runbook)
        hits = {led_to: Hit(led_to, link=self.incident.runbook, named=True)} if led_to else {}
        if (search := self.binding.search) is None:
            return [*hits.values()]
        tool = self.inquiry.eyes.bound(self.server, search.tool)
        title = self.incident.title
        for query in dict.fromkeys(map(words, ("" if led_to else self.named, f"{self.service} {title}", self.service))):
            if not query or len(hits) >= self.binding.documents:
                continue
            places: dict[str, JsonValue] = {"query": query, "service": words(self.service)}
            arguments = {name: filled(value, places) for name, value in search.arguments.items()}
            answer = await self.inquiry.ask(tool, arguments, _BY)
            if answer is None:
                break
            for one in results_in(answer, search.results)[:_MOST_LOOKED_AT]:
                said = value_at(one, search.id)
                if isinstance(said, str | int) and str(said) not in hits:
                    hits[str(said)] = Hit(said, _text_at(one, search.title), _text_at(one, search.link))
        return [*hits.values()]

    async def _listed(self) -> list[Hit]:
        """Return the resources whose address follows from the incident, and of those that are listed what fits it."""
        resources = self.binding.resources
        if resources is None:
            return []
        led_to = self.binding.id_in(self.incident.runbook)
        places = {"service": self.service, **({"id": led_to} if led_to else {})}
        uris = {uri: "{id}" in form for form in resources.uris if (uri := filled_in_uri(form, places))}
        hits = [Hit(uri, named=named) for uri, named in uris.items()]
        if not resources.listed:
            return hits
        answer = await self.inquiry.ask(self.inquiry.eyes.bound(self.server, LIST_RESOURCES), {}, _BY)
        wanted = {*words(f"{self.service} {self.named}").split()}
        for one in answer.rows if answer else []:
            uri, title = _text_at(one, "/uri"), _text_at(one, "/title") or _text_at(one, "/name")
            about = words(f"{title} {_text_at(one, '/description')} {uri.rpartition('/')[2]}", most=200).split()
            if fnmatchcase(uri, resources.listed) and uri not in uris and wanted & {*about}:
                hits.append(Hit(uri, title))
        return hits

    async def _read(self, hits: Sequence[Hit]) -> None:
        """Read documents one after the other, for as long as they are within what an investigation takes."""
        left = self.binding.kilobytes * 1000
        for hit in hits:
            if left <= 0:
                why = f"the documents before it have the {self.binding.kilobytes} kB that an investigation takes"
                self.inquiry.gap(f"runbook {_line(hit.title or str(hit.document))}", why, _HIDES)
                continue
            if (answer := await self._fetched(hit)) is None:
                continue
            left -= len(answer.kept.get(answer.evidence))
            if runbook := self._runbook(hit, answer):
                self.found.append(runbook)

    async def _fetched(self, hit: Hit) -> Answer | None:
        if (fetch := self.binding.fetch) is None:
            tool = self.inquiry.eyes.bound(self.server, READ_RESOURCE)
            return await self.inquiry.ask(tool, {"uri": hit.document}, _BY)
        arguments = {name: filled(value, {"id": hit.document}) for name, value in fetch.arguments.items()}
        return await self.inquiry.ask(self.inquiry.eyes.bound(self.server, fetch.tool), arguments, _BY)

    def _runbook(self, hit: Hit, answer: Answer) -> Runbook | None:
        """Return a document as it goes on record; None, and a gap, when there is no text where it should be."""
        fetch = self.binding.fetch
        whole, at = whole_of(answer)
        text = text_of(value_at(whole, fetch.text) if fetch else whole)
        title = _text_at(whole, fetch.title if fetch else None) or hit.title or _heading(text) or str(hit.document)
        if not text.strip():
            where = f" at {fetch.text}" if fetch and fetch.text else ""
            said = _text_at(whole, "/error")
            why = f"what {self.server} gave has no text{where}{f': {_line(said)}' if said else ''}"
            self.inquiry.gap(f"runbook {_line(hit.title or str(hit.document))}", why, _HIDES)
            return None
        return Runbook(
            server=self.server,
            document=str(hit.document)[:_LONGEST_LINK],
            title=_line(title),
            link=_address(_text_at(whole, fetch.link if fetch else None) or hit.link or str(hit.document)),
            opening=_line(_opening(text), _LONGEST_OPENING),
            evidence=answer.evidence,
            where=at + (fetch.text if fetch else ""),
            chars=len(text),
            named=hit.named or _same(self.named, title),
        )


async def find_runbooks(inquiry: Inquiry, incident: Incident) -> list[Runbook]:
    """Return the documents that servers hold of an incident, those first that its alert names; notes each."""
    finders = [Finder(inquiry, incident, server, how) for server, how in inquiry.eyes.runbooks().items()]
    async with anyio.create_task_group() as group:
        for finder in finders:
            group.start_soon(finder.find)
    found = sorted((runbook for finder in finders for runbook in finder.found), key=lambda runbook: not runbook.named)
    noted = {f"{runbook.server}:{runbook.document}": runbook for runbook in found}
    return [*inquiry.journal.note_all(incident.id, "runbook", noted, _BY).values()]


def ranked(hits: Iterable[Hit], service: str, named: str) -> list[Hit]:
    """Return documents with the likeliest first: the one that is named, then those with the service in their title."""

    def rank(hit: Hit) -> tuple[bool, bool]:
        return not (hit.named or _same(named, hit.title)), words(service) not in words(hit.title, most=50)

    return sorted(hits, key=rank)


def words(text: str, most: int = _MOST_WORDS) -> str:
    """Return the words of a text for a search: no sign and no capital that a query language could take for its own."""
    return " ".join(word.rstrip(".-").lower() for word in _WORD.findall(text)[:most])[:_LONGEST_TITLE]


def name_in(runbook: str) -> str:
    """Return a runbook's name, where an alert gives a name or an address."""
    path = runbook.partition("#")[0].partition("?")[0].rstrip("/")
    return unquote_plus(path.rpartition("/")[2]).removesuffix(".md") if "/" in path else path


def text_of(value: JsonValue) -> str:
    """Return a document's text: a text itself, or lines."""
    if isinstance(value, str):
        return value
    lines = value if isinstance(value, list) else []
    return "\n".join(line for line in lines if isinstance(line, str))


def results_in(answer: Answer, where: str) -> list[JsonValue]:
    """Return the list of what was found; nothing when there is none where it should be."""
    found = value_at(whole_of(answer)[0], where) if where else answer.rows
    return found if isinstance(found, list) else []


def whole_of(answer: Answer) -> tuple[JsonValue, str]:
    """Return what a tool answered, and where it stands in the document that is kept: one object, or a list."""
    rows = answer.rows
    return (rows[0], "/rows/0") if len(rows) == 1 and isinstance(rows[0], dict) else (rows, "/rows")


def _text_at(value: JsonValue, pointer: str | None) -> str:
    found = value_at(value, pointer) if pointer else None
    return found.strip() if isinstance(found, str) else ""


def _lines_of(text: str) -> Iterator[str]:
    beginning = text[:_LOOKED_THROUGH]
    yield from (bare for line in beginning.splitlines() if (bare := visible(line).strip()))


def _heading(text: str) -> str:
    return next((line.lstrip("# ") for line in _lines_of(text) if line.startswith("#")), "")


def _opening(text: str) -> str:
    """Return the first line that says something: no heading, and no rule above front matter or a table."""
    return next((line for line in _lines_of(text) if not line.startswith(("#", "---", "|"))), "")


def _line(text: str, most: int = _LONGEST_TITLE) -> str:
    """Return a text from outside as one line that may stand in the journal."""
    return hidden(" ".join(visible(text[:_LOOKED_THROUGH]).split()))[:most]


def _address(text: str) -> str:
    """Return a link that people may follow; '' for anything else."""
    good = text.startswith(("https://", "http://")) and len(text) <= _LONGEST_LINK and not _NOT_IN_LINKS.search(text)
    return hidden(visible(text)) if good else ""


def _same(named: str, title: str) -> bool:
    return bool(named) and words(named.replace("-", " ").replace("_", " ")) == words(
        title.replace("-", " ").replace("_", " ")
    )
