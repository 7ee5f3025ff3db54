"""Where in a file something stands: lines and columns of keys and values, in TOML, JSON and YAML.

What a file means is told by `tomllib`, `json` and PyYAML; what is here only finds the place again.
"""

import json
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

import tree_sitter
import tree_sitter_json
import tree_sitter_toml
import yaml

Path = tuple[str | int, ...]
"""Keys and indices on the way to something: `("slack", "channels", 0)`."""


@dataclass(frozen=True, order=True)
class Place:
    """A place in a text; both count from 1, columns in characters."""

    line: int
    column: int


@dataclass(frozen=True)
class Found:
    """Where a key stands, and where its value begins; of an item of a list both are the same."""

    key: Place
    value: Place


@dataclass(frozen=True)
class Positions:
    """Where everything in one text stands."""

    found: Mapping[Path, Found]
    faults: tuple[Place, ...] = ()
    """Where the text cannot be read."""
    twice: Mapping[Path, Place] = field(default_factory=dict)
    """Where a key stands for the second time; what it says there goes before what was said first."""

    def nearest(self, path: Sequence[str | int]) -> Path:
        """Return as much of a path as there is in the text; what validation puts in between is left out."""
        at: Path = ()
        for step in path:
            if (*at, step) in self.found:
                at = (*at, step)
        return at

    def of(self, path: Sequence[str | int]) -> Found:
        """Return where something stands, or else that in which it is missing."""
        return self.found.get(self.nearest(path), _BEGINNING)


_BEGINNING: Final = Found(Place(1, 1), Place(1, 1))


def of_toml(text: str) -> Positions:
    """Return where the keys and values of a TOML text stand."""
    source = text.encode()
    root = tree_sitter.Parser(tree_sitter.Language(tree_sitter_toml.language())).parse(source).root_node
    walk = _Toml(source.split(b"\n"))
    walk.document(root)
    return Positions(walk.found, tuple(walk.lines.faults(root)))


def of_json(text: str) -> Positions:
    """Return where the keys and values of a JSON text stand."""
    source = text.encode()
    root = tree_sitter.Parser(tree_sitter.Language(tree_sitter_json.language())).parse(source).root_node
    lines = _Lines(source.split(b"\n"))
    found: dict[Path, Found] = {}
    twice: dict[Path, Place] = {}
    for value in root.named_children:
        found |= _json(value, (), lines, twice)
    return Positions(found, tuple(lines.faults(root)), twice)


def of_yaml(text: str, first_line: int = 1) -> Positions:
    """Return where the keys and values of a YAML text stand that begins on a line of its file; none if it is broken."""
    try:
        root = yaml.compose(text, Loader=yaml.SafeLoader)
    except yaml.YAMLError:
        return Positions({})
    return Positions(dict(_yaml(root, (), first_line)))


class _Lines:
    """The lines of a source; places in it are told in bytes."""

    def __init__(self, lines: list[bytes]) -> None:
        self._lines = lines

    def place(self, node: tree_sitter.Node) -> Place:
        row, column = node.start_point
        return Place(row + 1, len(self._lines[row][:column].decode(errors="replace")) + 1)

    def faults(self, node: tree_sitter.Node) -> Iterator[Place]:
        """Yield the places of what is no part of the language, outermost first."""
        if node.is_error or node.is_missing:
            yield self.place(node)
        elif node.has_error:
            for child in node.children:
                yield from self.faults(child)


class _Toml:
    """One walk through a TOML document, top to bottom: what a header means depends on those before it."""

    def __init__(self, lines: list[bytes]) -> None:
        self.lines = _Lines(lines)
        self.found: dict[Path, Found] = {}
        self._counted: dict[Path, int] = {}

    def document(self, root: tree_sitter.Node) -> None:
        for node in root.named_children:
            match node.type:
                case "pair":
                    self._pair(node, ())
                case "table" | "table_array_element":
                    self._table(node)

    def _table(self, node: tree_sitter.Node) -> None:
        header, *pairs = node.named_children
        at = self._header(header, appends=node.type == "table_array_element")
        for pair in pairs:
            if pair.type == "pair":
                self._pair(pair, at)

    def _header(self, header: tree_sitter.Node, *, appends: bool) -> Path:
        """Return the path that a table's header means: of a list of tables it is the last one so far."""
        at: Path = ()
        keys = list(_keys(header))
        for index, (name, node) in enumerate(keys):
            at = (*at, name)
            self._note(at, node)
            if appends and index == len(keys) - 1:
                self._counted[at] = self._counted.get(at, -1) + 1
            if at in self._counted:
                at = (*at, self._counted[at])
                self._note(at, node)
        return at

    def _pair(self, pair: tree_sitter.Node, at: Path) -> None:
        named = [node for node in pair.named_children if not node.is_error]
        if len(named) < 2:
            return
        for name, node in _keys(named[0]):
            at = (*at, name)
            self._note(at, node)
        self._value(named[1], at)

    def _value(self, value: tree_sitter.Node, at: Path) -> None:
        place = self.lines.place(value)
        self.found[at] = Found(self.found[at].key if at in self.found else place, place)
        items = [node for node in value.named_children if node.type != "comment"]
        if value.type == "array":
            for index, item in enumerate(items):
                self._value(item, (*at, index))
        elif value.type == "inline_table":
            for pair in items:
                self._pair(pair, at)

    def _note(self, at: Path, node: tree_sitter.Node) -> None:
        place = self.lines.place(node)
        self.found.setdefault(at, Found(place, place))


def _keys(node: tree_sitter.Node) -> Iterator[tuple[str, tree_sitter.Node]]:
    """Yield the names that a key is made of, with their nodes."""
    if node.type == "dotted_key":
        for child in node.named_children:
            yield from _keys(child)
        return
    text = (node.text or b"").decode(errors="replace")
    try:
        yield (next(iter(tomllib.loads(f"{text} = 0"))) if node.type == "quoted_key" else text), node
    except tomllib.TOMLDecodeError:
        yield text, node


def _json(value: tree_sitter.Node, at: Path, lines: _Lines, twice: dict[Path, Place]) -> dict[Path, Found]:
    place = lines.place(value)
    found = {at: Found(place, place)}
    items = [node for node in value.named_children if node.type != "comment" and not node.is_error]
    if value.type == "array":
        for index, item in enumerate(items):
            found |= _json(item, (*at, index), lines, twice)
    elif value.type == "object":
        for pair in items:
            if len(pair.named_children) == 2:
                key, inside = pair.named_children
                path = (*at, str(json.loads(key.text or b'""')))
                if path in found:
                    twice[path] = lines.place(key)
                below = _json(inside, path, lines, twice)
                found |= below | {path: Found(lines.place(key), below[path].value)}
    return found


def _yaml(node: yaml.Node | None, at: Path, first_line: int) -> Iterator[tuple[Path, Found]]:
    def place(node: yaml.Node) -> Place:
        return Place(node.start_mark.line + first_line, node.start_mark.column + 1)

    if isinstance(node, yaml.MappingNode):
        for key, value in node.value:
            path = (*at, str(key.value))
            yield path, Found(place(key), place(value))
            yield from _yaml(value, path, first_line)
    elif isinstance(node, yaml.SequenceNode):
        for index, item in enumerate(node.value):
            yield (*at, index), Found(place(item), place(item))
            yield from _yaml(item, (*at, index), first_line)
