"""A tool that refuses what it does not know, and says so in words; its schemas are published without noise.

The SDK drops unknown arguments silently and answers wrong ones with a validator's dump: neither helps a caller.
"""

import functools
from collections.abc import Callable, Iterator, Sequence
from typing import Any, Self

from mcp import types
from mcp.server.mcpserver import Context
from mcp.server.mcpserver.tools import Tool
from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from midwatch_kit.schema import lean

MAX_NAMED_VALUE = 80
PUBLISHED = frozenset({"matched", "truncated", "lines", "evidence", "next_cursor"})
"""Fields of a reply that the output schema names; further ones are allowed."""


class StrictTool(Tool):
    """A tool of the SDK whose arguments are all known and whose refusals can be acted on."""

    @classmethod
    def of(
        cls,
        body: Callable[..., Any],
        *,
        reply: type[BaseModel],
        title: str,
        annotations: types.ToolAnnotations,
        meta: dict[str, Any],
    ) -> Self:
        """Return `body` as a tool, named and described as the function is; its results hold a `reply`."""
        tool = super().from_function(body, title=title, annotations=annotations, meta=meta, structured_output=False)
        published = {"output_schema": _promised(reply)}
        return cls(
            **{
                **dict(tool),
                "parameters": lean({"additionalProperties": False, **tool.parameters}),
                "fn_metadata": tool.fn_metadata.model_copy(update=published),
            }
        )

    async def run(self, arguments: dict[str, Any], context: Context[Any, Any], convert_result: bool = False) -> Any:
        """Run the tool, or refuse with every fault of the arguments in words."""
        if faults := [*self._wrong(arguments), *self._unknown(arguments)]:
            return failure("bad_input", "; ".join(faults))
        return await super().run(arguments, context, convert_result)

    def _wrong(self, arguments: dict[str, Any]) -> Sequence[str]:
        try:
            self.fn_metadata.validate_arguments(arguments)
        except ValidationError as error:
            return [self._fault(fault) for fault in error.errors()]
        return []

    def _unknown(self, arguments: dict[str, Any]) -> Iterator[str]:
        properties = self.parameters.get("properties", {})
        known = ", ".join(properties) or "no arguments"
        for name in arguments:
            if name not in properties:
                yield f"{self.name} has no argument {name[:MAX_NAMED_VALUE]!r}: it takes {known}"

    def _fault(self, fault: ErrorDetails) -> str:
        name = ".".join(map(str, fault["loc"]))
        if fault["type"] == "missing":
            known = ", ".join(self.parameters.get("properties", {})) or "no arguments"
            return f"{self.name} needs the argument {name!r}: it takes {known}"
        return f"{name}: {fault['msg']} (got {repr(fault['input'])[:MAX_NAMED_VALUE]})"


@functools.cache
def _promised(reply: type[BaseModel]) -> dict[str, Any]:
    """Keep what a client's code steers by: the whole reply is documented, and need not be paid for with each tool."""
    schema = lean(reply.model_json_schema(), "description")
    kept = {name: each for name, each in schema["properties"].items() if name in PUBLISHED}
    return {**schema, "properties": kept, "required": [name for name in schema.get("required", ()) if name in kept]}


def failure(code: str, text: str) -> types.CallToolResult:
    """Return the result of a call that failed: `text` for the caller, `code` for code."""
    return types.CallToolResult(
        content=[types.TextContent(type="text", text=text)], is_error=True, _meta={"midwatch/error": code}
    )
