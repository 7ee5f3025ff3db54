"""Tools by what they are for: eyes, which only read, and hands, which may change something.

Which is which is settled in `trust`; a tool that is neither is not used at all. Whoever holds `Eyes` can ask but not
act: subagents get nothing else. An answer's bytes are fetched whole, checked against their hash and kept, so that
what is cited later can be looked up.
"""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property

import anyio
from mcp import types
from pydantic import JsonValue, TypeAdapter, ValidationError

from midwatch.mcp_client import plain
from midwatch.mcp_client.failing import failure_in, is_denial
from midwatch.mcp_client.links import Link, Unanswered, without
from midwatch.mcp_client.trust import Standing, Use, pin_of, standings, use_of
from midwatch.settings.runbooks import RunbookBinding
from midwatch.storage.places import NoPlace, Places
from midwatch_kit.errors import KitError
from midwatch_kit.evidence import EvidenceStore, broken_citations, evidence_id
from midwatch_kit.records import Observation, TopologyFragment
from midwatch_kit.server import Role

_OBSERVATIONS = TypeAdapter(tuple[Observation, ...])
_MOST_PAGES = 1000
_FIRST_LOOKED_AT = 3
LIST_RESOURCES, READ_RESOURCE = "resources/list", "resources/read"
LIST_PROMPTS, GET_PROMPT = "prompts/list", "prompts/get"
_NONE_ALLOWED = "the settings allow none of its tools: see midwatch doctor"


@dataclass(frozen=True)
class Tool:
    """One tool of one server, with what the server declared of it.

    `read_only` says that it may be asked freely; `barred` says why it may not be used at all, and is mostly empty.
    `said` and `schema` are its own description, and the JSON Schema of its arguments; `ours` is whether it is the
    suite's, `of_protocol` whether it is no tool but a question of the protocol's own, about resources, and `for_models`
    whether the settings let a model use it.
    `destructive` is what a server of others says of it; the suite's say so of all that write.
    """

    server: str
    name: str
    role: Role | None
    signal: str
    key: str | None
    arguments: frozenset[str]
    read_only: bool
    idempotent: bool = False
    barred: str = ""
    said: str = ""
    schema: Mapping[str, JsonValue] = field(default_factory=dict, compare=False)
    ours: bool = False
    of_protocol: bool = False
    for_models: bool = True
    destructive: bool = False


@dataclass(frozen=True)
class Answer:
    """What a tool answered: the reply's own fields, and the ids under which its bytes are kept.

    The documents behind it never change, so each is read once, when it is first asked for.
    """

    reply: Mapping[str, JsonValue]
    evidence: str
    records: str | None
    kept: EvidenceStore

    @cached_property
    def rows(self) -> list[JsonValue]:
        """The rows of the evidence document."""
        rows = _document(self.kept.get(self.evidence)).get("rows")
        if not isinstance(rows, list):
            raise ValueError("the evidence has no rows")
        return rows

    @cached_property
    def observations(self) -> tuple[Observation, ...]:
        """The typed observations that came with the evidence; none for a drill-down."""
        return _OBSERVATIONS.validate_python(self._records.get("observations", []))

    @cached_property
    def fragment(self) -> TopologyFragment:
        """The piece of topology that came with the evidence; empty when there was none."""
        return TopologyFragment.model_validate(self._records.get("fragment", {}))

    @cached_property
    def _records(self) -> dict[str, JsonValue]:
        return _document(self.kept.get(self.records)) if self.records else {}


@dataclass(frozen=True)
class Words:
    """What a server says of itself, and which of its resources (by URI) and prompts (by name) may be read: patterns."""

    instructions: str
    resources: tuple[str, ...]
    prompts: tuple[str, ...]

    @property
    def readable(self) -> bool:
        """Whether anything of it may be read."""
        return bool(self.resources or self.prompts)


class Eyes:
    """The tools that only read: declared so by a server of the suite, or allowed by the settings."""

    def __init__(
        self, links: Mapping[str, Link], kept: EvidenceStore, places: Places | None = None, at_once: int | None = None
    ) -> None:
        self._links = links
        self.kept = kept
        self._places = places
        self._at_once = at_once

    def tools(self, role: Role, signal: str | None = None, key: str | None = None) -> list[Tool]:
        """Return the reading tools with a role (and a signal, and a key), in a stable order, whether up or not."""
        known = (tool for tool in tools_of(self._links.values()) if tool.read_only and tool.role is role)
        return [t for t in known if signal in (None, t.signal) and key in (None, t.key)]

    def all(self) -> list[Tool]:
        """Return every reading tool that may be used, also one without a role, by server and name."""
        return [tool for tool in tools_of(self._links.values()) if tool.read_only]

    def runbooks(self) -> dict[str, RunbookBinding]:
        """Return how runbooks are found, by server, for those whose settings say so; whether up or not."""
        return {name: link.spec.runbooks for name, link in sorted(self._links.items()) if link.spec.runbooks}

    def words(self) -> dict[str, Words]:
        """Return what servers that are not of the suite say of themselves, or may be asked of: those that are up."""
        others = {name: link for name, link in sorted(self._links.items()) if link.up and not link.spec.suite}
        said = {n: Words(link.instructions, link.spec.resources, link.spec.prompts) for n, link in others.items()}
        used = {tool.server for tool in self.all() if tool.for_models}
        return {n: each for n, each in said.items() if each.readable or (each.instructions and n in used)}

    def bound(self, server: str, name: str) -> Tool:
        """Return what is asked of a server: a tool by its name, or a question about resources or prompts."""
        if name in (LIST_RESOURCES, READ_RESOURCE, LIST_PROMPTS, GET_PROMPT):
            return Tool(server, name, None, "", None, frozenset(), read_only=True, of_protocol=True)
        found = next((tool for tool in tools_of([self._links[server]]) if tool.name == name), None)
        why = f"{server} offers no tool {name}"
        return found or Tool(server, name, None, "", None, frozenset(), read_only=False, barred=why)

    async def tried(self) -> None:
        """Wait until each server was tried for the first time, so that one that is missing is known."""
        for link in self._links.values():
            await link.tried()

    def missing(self) -> dict[str, str]:
        """Return the servers that never came up or are gone, or may not be asked anything, each with the reason."""
        mute = {name: _NONE_ALLOWED for name, link in self._links.items() if _unheard(link)}
        return {**mute, **self.down()}

    def down(self) -> dict[str, str]:
        """Return the servers that never came up or are gone, each with the reason."""
        gone = [link for link in self._links.values() if not link.up]
        return {link.name: without(link.trouble or "not connected", link.spec.secrets) for link in gone}

    def standings(self) -> list[Standing]:
        """Return how every tool that was offered stands, by server and name: also those that are not used."""
        links = sorted(self._links.values(), key=lambda link: link.name)
        return [standing for link in links for standing in standings(link.name, link.tools, link.spec)]

    async def ask(self, tool: Tool, arguments: Mapping[str, JsonValue], seconds: float) -> Answer:
        """Ask a reading tool, once a place is free at its server, and keep the bytes behind its answer.

        Raises `Unanswered`.
        """
        if self._places is None:
            return await self._ask(tool, arguments, seconds)
        most = self._links[tool.server].spec.at_once or self._at_once
        try:
            async with self._places.holding(f"server {tool.server}", most, seconds):
                return await self._ask(tool, arguments, seconds)
        except NoPlace as error:
            raise Unanswered(str(error), down=False, asked=False) from None

    async def _ask(self, tool: Tool, arguments: Mapping[str, JsonValue], seconds: float) -> Answer:
        if not tool.read_only:
            raise Unanswered(tool.barred or f"{tool.name} is not declared read-only", down=False, asked=False)
        link = self._links[tool.server]
        if tool.of_protocol:
            return await _of_protocol(link, tool.name, arguments, seconds, self.kept)
        if not tool.ours:
            await link.refresh(seconds)
            use, why = _use_of(link, tool.name)
            if use is not Use.EYES:
                raise Unanswered(why or f"{tool.name} may not be asked any more", down=False, asked=False)
        return await ask(self._links[tool.server], tool.name, arguments, seconds, self.kept)


class Hands:
    """The tools that may change something; only the gate holds these."""

    def __init__(self, links: Mapping[str, Link], kept: EvidenceStore) -> None:
        self._links = links
        self.kept = kept

    def tools(self) -> list[Tool]:
        """Return the tools that may change something, and may be used."""
        return [tool for tool in tools_of(self._links.values()) if not (tool.read_only or tool.barred)]

    def repeatable(self, server: str, tool: str) -> bool:
        """Whether a tool declares that calling it twice does what calling it once does."""
        return any(known.idempotent for known in self.tools() if (known.server, known.name) == (server, tool))

    async def act(self, server: str, tool: str, arguments: Mapping[str, JsonValue], seconds: float) -> Answer:
        """Call a tool by name, whatever it does, unless it may not be used; raises `Unanswered`."""
        if server not in self._links:
            raise Unanswered(f"no server {server} is configured", down=True, asked=False)
        if not self._links[server].spec.suite:
            await self._links[server].refresh(seconds)
        if why := _use_of(self._links[server], tool)[1]:
            raise Unanswered(why, down=False, asked=False)
        return await ask(self._links[server], tool, arguments, seconds, self.kept)


def tools_of(links: Iterable[Link]) -> list[Tool]:
    """Return every tool that the servers offered when last seen, ordered by server and name."""
    by_name = sorted(links, key=lambda link: link.name)
    return [_described(link, tool) for link in by_name for tool in _sorted(link)]


async def ask(link: Link, tool: str, arguments: Mapping[str, JsonValue], seconds: float, kept: EvidenceStore) -> Answer:
    """Call a tool and keep the documents behind its answer, within `seconds` for all of it; raises `Unanswered`."""
    with anyio.move_on_after(seconds):
        try:
            return await _ask(link, tool, arguments, seconds, kept)
        except Unanswered as error:  # what a server says of what it refuses may repeat the key that it was given
            raise error.without(link.spec.secrets) from None
    raise Unanswered(f"{link.name} did not answer within {seconds:g} s", down=True)


async def _ask(
    link: Link, tool: str, arguments: Mapping[str, JsonValue], seconds: float, kept: EvidenceStore
) -> Answer:
    result = await link.call(tool, arguments, seconds)
    if result.is_error:
        code = (result.meta or {}).get("midwatch/error")
        said = text_of(result)
        down = code in ("backend_down", "timed_out", "internal")
        denied = code not in ("bad_input", "not_found") and is_denial(said)
        raise Unanswered(f"{tool}: {said[:500]}", down=down, denied=denied)
    return await keep(link, tool, result, seconds, kept)


async def keep(link: Link, tool: str, result: types.CallToolResult, seconds: float, kept: EvidenceStore) -> Answer:
    """Fetch and keep the documents behind a result; raises `Unanswered` when they break the evidence contract.

    Of a tool that declares no role none is expected: then what it said is kept as it is.
    """
    meta, reply = result.meta or {}, result.structured_content
    if "midwatch/evidence" not in meta and not _has_role(link, tool):
        if failure := failure_in(result):
            raise Unanswered(f"{tool}: {failure.said}", down=False, denied=failure.denied)
        document = plain.document_of(link.name, tool, result)
        return Answer(plain.reply_of(document), kept.put(plain.stored(document)), None, kept)
    evidence = await _fetch(link, meta.get("midwatch/evidence"), seconds, kept)
    records = await _fetch(link, meta["midwatch/records"], seconds, kept) if "midwatch/records" in meta else None
    answer = Answer(reply if isinstance(reply, dict) else {}, evidence, records, kept)
    try:
        answer.rows, answer.fragment  # noqa: B018 - a malformed answer is found here, not later
        fault = _unfounded(answer.observations, {evidence: kept.get(evidence)})
    except (ValueError, RecursionError) as error:
        raise Unanswered(f"{tool} gave records that break the evidence contract: {_fault(error)}", down=False) from None
    if fault:
        raise Unanswered(f"{tool} gave nothing but observations that do not stand: {fault}", down=False)
    return answer


def _unfounded(seen: Sequence[Observation], stored: dict[str, bytes]) -> str:
    """Return what is wrong with the first observation when none of the first few stands on the evidence, or ''.

    A server that is wrong in everything that it says has not looked for whoever asked.
    """
    faults = [faults[0] if (faults := broken_citations(o, stored)) else "" for o in seen[:_FIRST_LOOKED_AT]]
    return faults[0] if faults and all(faults) else ""


async def _of_protocol(
    link: Link, name: str, arguments: Mapping[str, JsonValue], seconds: float, kept: EvidenceStore
) -> Answer:
    """Return what a server says of its resources and prompts as one keeps what a tool says; raises `Unanswered`."""
    try:
        said = await _said_of(link, name, arguments, seconds)
    except Unanswered as error:
        raise error.without(link.spec.secrets) from None
    content = types.TextContent(type="text", text=said)
    document = plain.document_of(link.name, name, types.CallToolResult(content=[content]))
    return Answer(plain.reply_of(document), kept.put(plain.stored(document)), None, kept)


async def _said_of(link: Link, name: str, arguments: Mapping[str, JsonValue], seconds: float) -> str:
    if name == READ_RESOURCE:
        return await link.read(str(arguments.get("uri", "")), seconds)
    if name == GET_PROMPT:
        given = arguments.get("arguments")
        texts = {key: str(value) for key, value in given.items()} if isinstance(given, dict) else {}
        return await link.prompt(str(arguments.get("name", "")), texts, seconds)
    listed = await (link.prompts(seconds) if name == LIST_PROMPTS else link.resources(seconds))
    return json.dumps([each.model_dump(mode="json", by_alias=True, exclude_none=True) for each in listed])


async def _fetch(link: Link, where: object, seconds: float, kept: EvidenceStore) -> str:
    known = where if isinstance(where, dict) else {}
    name, count = known.get("id"), known.get("pages")
    if not isinstance(name, str) or not isinstance(count, int):
        raise Unanswered(f"{link.name} gave an answer without evidence", down=False)
    try:
        kept.get(name)
    except KitError:
        if count > _MOST_PAGES:
            raise Unanswered(f"{link.name} has {count} pages of evidence: more than can be kept", down=False) from None
        pages = [await link.read(f"midwatch://evidence/{name}/page/{n}", seconds) for n in range(count)]
        stored = "".join(pages).encode()
        if evidence_id(stored) != name:
            raise Unanswered(f"{link.name} gave bytes that do not have the hash it named", down=False) from None
        kept.put(stored)
    return name


def _sorted(link: Link) -> list[types.Tool]:
    return sorted(link.tools, key=lambda tool: tool.name)


def _has_role(link: Link, name: str) -> bool:
    return any(tool.name == name and "midwatch/role" in (tool.meta or {}) for tool in link.tools)


def _unheard(link: Link) -> bool:
    """Whether a server offers tools of which none may be used, and nothing else that is."""
    if link.spec.runbooks and link.spec.runbooks.resources:
        return False
    return bool(link.tools) and all(_use(tool, link)[0] is Use.NOTHING for tool in link.tools)


def _use_of(link: Link, name: str) -> tuple[Use, str]:
    """Return what a tool may be used for now, and why not; of a server that is up, none that it does not offer."""
    known = next((tool for tool in link.tools if tool.name == name), None)
    if known:
        return _use(known, link)
    return Use.NOTHING, f"{link.name} offers no tool {name}" if link.up else ""


def _use(tool: types.Tool, link: Link) -> tuple[Use, str]:
    """Return what a tool may be used for; one that is not what it was is as good as unknown, unless it is pinned."""
    use, barred = use_of(tool, link.spec)
    pinned = f"{tool.name}@{pin_of(tool)}"
    if link.spec.suite or use is Use.NOTHING or not link.has_changed(tool):
        return use, barred
    if pinned in (*link.spec.allow, *link.spec.hands):
        return use, barred
    why = f"{tool.name} is not what it was when midwatch first saw it: read it again, and if it is well name {pinned}"
    return Use.NOTHING, why


def _described(link: Link, tool: types.Tool) -> Tool:
    server, spec = link.name, link.spec
    use, barred = _use(tool, link)
    meta, arguments = tool.meta or {}, tool.input_schema.get("properties")
    role, key = meta.get("midwatch/role"), meta.get("midwatch/key")
    return Tool(
        server=server,
        name=tool.name,
        role=Role(role) if isinstance(role, str) and role in set(Role) else None,
        signal=str(meta.get("midwatch/signal", "")),
        key=key if isinstance(key, str) else None,
        arguments=frozenset(arguments if isinstance(arguments, dict) else ()),
        read_only=use is Use.EYES,
        idempotent=bool(tool.annotations and tool.annotations.idempotent_hint),
        barred=barred,
        said=tool.description or "",
        schema=tool.input_schema,
        ours=spec.suite,
        for_models=spec.models is None or tool.name in spec.models,
        destructive=bool(tool.annotations and tool.annotations.destructive_hint) and not spec.suite,
    )


def _document(stored: bytes) -> dict[str, JsonValue]:
    """Return a stored document; raises `ValueError` for what is not an object, or has figures without a value."""
    document = json.loads(stored, parse_constant=_no_figure)
    if not isinstance(document, dict):
        raise ValueError("a stored document is no JSON object")
    return document


def _no_figure(text: str) -> JsonValue:
    raise ValueError(f"{text} is no figure")


def _fault(error: Exception) -> str:
    if isinstance(error, ValidationError):
        first = error.errors()[0]
        return f"{'.'.join(map(str, first['loc']))}: {first['msg']}"
    return str(error)[:200]


def text_of(result: types.CallToolResult) -> str:
    """Return what a result says in words."""
    return " ".join(part.text for part in result.content if isinstance(part, types.TextContent))
