"""Arguments for tools that nobody here has met: the times that are asked about, and values that the server told."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from mcp import types
from pydantic import JsonValue

from midwatch.mcp_client.toolbox import Answer
from midwatch_kit.records import TopologyFragment, Window
from midwatch_kit.window import rfc3339

FILLED = ("start", "end", "baseline_start", "baseline_end", "entities")
"""The arguments of a survey that a host fills."""
_ROWS = 50
_ENTITIES = 5


@dataclass
class Values:
    """The windows that are asked about, and what is known to put into arguments; `given` comes from a person."""

    window: Window
    baseline: Window
    given: Mapping[str, JsonValue]
    entities: tuple[str, ...] = ()
    seen: dict[str, JsonValue] = field(default_factory=dict)

    def learn(self, answer: Answer) -> None:
        """Remember one value for each name in an answer's rows and in what its observations say of them."""
        said = [row for row in answer.rows[:_ROWS] if isinstance(row, dict)]
        said += [{**observation.attributes} for observation in answer.observations[:_ROWS]]
        for name, value in (pair for row in said for pair in row.items()):
            if value not in ("", None) and isinstance(value, str | int | float):
                self.seen.setdefault(name, value)

    def learn_of(self, fragment: TopologyFragment) -> None:
        """Remember what there is: services to survey, and a name for each kind of thing."""
        self.entities = tuple(entity.id for entity in fragment.entities if entity.kind == "service")[:_ENTITIES]
        for entity in fragment.entities:
            self.seen.setdefault(entity.kind, entity.name)
            self.seen.setdefault("entity", entity.id)

    def arguments(self, tool: types.Tool) -> dict[str, JsonValue]:
        """Return the arguments to ask a tool with; raises `LookupError` that names what is needed and not known."""
        known = {**self.seen, **self._times(), **self.given}
        taken = properties(tool)
        unknown = [name for name in required(tool) if name not in known]
        if unknown:
            raise LookupError(f"{tool.name} needs {', '.join(unknown)}, of which no value is known: --argument")
        wanted = {*required(tool), *self._times(), *self.given}
        asked = {name: known[name] for name in taken if name in wanted}
        return {**self._pinned(taken), **asked}

    def _pinned(self, taken: Mapping[str, JsonValue]) -> dict[str, JsonValue]:
        """Return the end of the window for every argument that would mean another moment each time it is left out."""
        return {
            name: rfc3339(self.window.end)
            for name, s in taken.items()
            if isinstance(s, dict) and s.get("default") == "now"
        }

    def _times(self) -> dict[str, JsonValue]:
        return {
            "start": rfc3339(self.window.start),
            "end": rfc3339(self.window.end),
            "baseline_start": rfc3339(self.baseline.start),
            "baseline_end": rfc3339(self.baseline.end),
        }


def properties(tool: types.Tool) -> Mapping[str, JsonValue]:
    """Return the arguments that a tool takes, with their schemas."""
    taken = tool.input_schema.get("properties")
    return taken if isinstance(taken, dict) else {}


def required(tool: types.Tool) -> Sequence[str]:
    """Return the arguments that a tool cannot do without."""
    needed = tool.input_schema.get("required")
    return [str(name) for name in needed] if isinstance(needed, list) else []
