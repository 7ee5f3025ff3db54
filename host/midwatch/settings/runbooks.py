"""Settings of runbooks: how documents are found and read at a server, as the servers file declares it.

The host knows no wiki. Which tools search and fetch, how their arguments are filled in, and where ids, titles and texts
stand in what they answer, is said here; or that the documents are resources, and which. Places are JSON Pointers
(RFC 6901) into what a tool answered.
"""

import re
from collections.abc import Iterator, Mapping
from typing import Annotated, Final
from urllib.parse import quote

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, JsonValue, model_validator

_PLACE: Final = re.compile(r"\{(\w+)\}")
_ID: Final = r"(?P<id>\w[\w.~+-]{0,199})"
"""An id in an address: nothing that could lead a server out of its folder, or be read as a query."""


def _is_pointer(text: str) -> str:
    if text and not text.startswith("/"):
        raise ValueError(f"{text!r} is no JSON Pointer: begin it with /, as /metadata/title; '' is the whole")
    return text


Pointer = Annotated[str, AfterValidator(_is_pointer)]


class _Declared(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Search(_Declared):
    """The tool that finds documents; in its arguments stand `{query}` and `{service}`.

    `results` is where the list of what was found stands, `id`, `title` and `link` are places in each of them.
    """

    tool: str = Field(min_length=1)
    arguments: dict[str, JsonValue]
    results: Pointer = ""
    id: Pointer = "/id"
    title: Pointer = "/title"
    link: Pointer | None = None

    @model_validator(mode="after")
    def _says_what_is_sought(self) -> "Search":
        _must_have(self.arguments, "arguments", ("query", "service"))
        return self


class Fetch(_Declared):
    """The tool that gives one document; in its arguments stands `{id}`. Without a title, it has the search's."""

    tool: str = Field(min_length=1)
    arguments: dict[str, JsonValue]
    text: Pointer = ""
    title: Pointer | None = None
    link: Pointer | None = None

    @model_validator(mode="after")
    def _says_which(self) -> "Fetch":
        _must_have(self.arguments, "arguments", ("id",))
        return self


class Resources(_Declared):
    """Documents that are resources: which of those that the server lists (a glob), and addresses to be filled in."""

    listed: str = ""
    uris: tuple[str, ...] = ()

    @model_validator(mode="after")
    def _says_which(self) -> "Resources":
        if not self.listed and not self.uris:
            raise ValueError("say which: listed, as docs://runbooks/*, or uris, as docs://runbooks/{service}")
        for uri in self.uris:
            _must_have(uri, f"uris {uri!r}", ("service", "id"))
        return self


class RunbookBinding(_Declared):
    """How a server's documents are found; by search and fetch, or as resources.

    `addresses` are how links to its documents look, with `{id}` where the id stands and `*` for anything. `documents`
    is how many an investigation takes at most, `kilobytes` how much of them all together, `seconds` how long it looks.
    """

    search: Search | None = None
    fetch: Fetch | None = None
    resources: Resources | None = None
    addresses: tuple[str, ...] = ()
    documents: int = Field(3, ge=1, le=10)
    kilobytes: int = Field(200, ge=1, le=4000)
    seconds: float = Field(10, gt=0, le=120)

    @model_validator(mode="after")
    def _finds_and_reads(self) -> "RunbookBinding":
        if bool(self.fetch) == bool(self.resources):
            raise ValueError("documents are read by fetch or they are resources: say one of the two")
        if self.search and not self.fetch:
            raise ValueError("search finds documents for fetch: say fetch too")
        if self.fetch and not (self.search or self.addresses):
            raise ValueError("fetch needs search, or addresses: else nobody knows which document")
        for address in self.addresses:
            if address.count("{id}") != 1:
                raise ValueError(f"addresses: {address!r} has not one {{id}}, where the document's id stands")
        return self

    @property
    def tools(self) -> tuple[str, ...]:
        """The names of the tools that are asked."""
        return tuple(declared.tool for declared in (self.search, self.fetch) if declared)

    def id_in(self, address: str) -> str | None:
        """Return the id of the document that an address leads to; None for an address that looks like none of ours."""
        for pattern in self.addresses:
            parts = [".*".join(map(re.escape, part.split("*"))) for part in pattern.split("{id}")]
            if found := re.fullmatch(_ID.join(parts), address, re.DOTALL):
                return found["id"]
        return None


def filled(value: JsonValue, words: Mapping[str, JsonValue]) -> JsonValue:
    """Return an argument with words in the places of `{name}`; what is only a place keeps the word's own type."""
    if isinstance(value, str):
        whole = _PLACE.fullmatch(value)
        return words[whole[1]] if whole else _PLACE.sub(lambda found: str(words[found[1]]), value)
    if isinstance(value, list):
        return [filled(each, words) for each in value]
    if isinstance(value, dict):
        return {name: filled(each, words) for name, each in value.items()}
    return value


def filled_in_uri(uri: str, words: Mapping[str, str]) -> str | None:
    """Return an address with words in its places, quoted as addresses want it; None when it wants one we have not."""
    if not words.keys() >= set(_PLACE.findall(uri)):
        return None
    return _PLACE.sub(lambda found: quote(words[found[1]], safe=""), uri)


def _must_have(value: JsonValue, where: str, known: tuple[str, ...]) -> None:
    """Raise `ValueError` unless places of these names stand in a value, one at least, and none of another name."""
    places = set(_places(value))
    among = " or ".join(f"{{{name}}}" for name in known)
    if unknown := sorted(places - {*known}):
        raise ValueError(f"{where}: nobody knows {{{unknown[0]}}}: {among} can stand there")
    if not places:
        raise ValueError(f"{where}: nothing is filled in: write {among} where it belongs")


def _places(value: JsonValue) -> Iterator[str]:
    if isinstance(value, str):
        yield from _PLACE.findall(value)
    elif isinstance(value, list):
        for each in value:
            yield from _places(each)
    elif isinstance(value, dict):
        for each in value.values():
            yield from _places(each)
