"""What the official conformance suite asks a server for by name: tools, resources and prompts with fixed answers.

They are put on servers that are otherwise ours, so that what is tested is how our servers are built and served. What
none of our servers does (logging over the protocol, completion, subscriptions) has no fixture; `not_applicable.yaml`
says so. What asks a person or a model is in `questions.py`.
"""

import base64
import json
from typing import Annotated, Any

from mcp import types
from mcp.server import MCPServer
from mcp.server.mcpserver import Audio, Context, Image, UserMessage
from pydantic import Field
from tests.mcp_suite.questions import offer_questions

PNG = base64.b64decode(
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mP8z8BQDwAEhQGAhKmMIQAAAABJRU5ErkJggg=="
)
WAV = b"RIFF$\0\0\0WAVEfmt \x10\0\0\0\1\0\1\0" + b"\x40\x1f\0\0" * 2 + b"\1\0\x08\0data\0\0\0\0"


def offer_fixtures(server: MCPServer[Any]) -> MCPServer[Any]:
    """Put everything that the suite asks for on a server, and return it."""
    offer_tools(server)
    offer_resources(server)
    offer_prompts(server)
    offer_questions(server)
    return server


def offer_tools(server: MCPServer[Any]) -> None:
    @server.tool(structured_output=False)
    def test_image_content() -> Image:
        """An image."""
        return Image(data=PNG, format="png")

    @server.tool(structured_output=False)
    def test_audio_content() -> Audio:
        """A sound."""
        return Audio(data=WAV, format="wav")

    @server.tool(structured_output=False)
    def test_embedded_resource() -> types.EmbeddedResource:
        """A resource within the answer."""
        return embedded("test://embedded-resource", "text/plain", "This is an embedded resource content.")

    @server.tool(structured_output=False)
    def test_multiple_content_types() -> list[Any]:
        """A text, an image and a resource."""
        mixed = embedded("test://mixed-content-resource", "application/json", '{"test": "data", "value": 123}')
        return ["Multiple content types test:", Image(data=PNG, format="png"), mixed]

    @server.tool(structured_output=False)
    async def test_tool_with_progress(ctx: Context[Any]) -> str:
        """Tells how far it is."""
        for done in (0, 50, 100):
            await ctx.report_progress(done, 100)
        return "done"

    @server.tool(structured_output=False)
    def test_argument_in_a_header(
        region: Annotated[str, Field(json_schema_extra={"x-mcp-header": "Region"})] = "",
    ) -> str:
        """Takes an argument that is in a header as well."""
        return region


def embedded(uri: str, mime_type: str, text: str) -> types.EmbeddedResource:
    return types.EmbeddedResource(resource=types.TextResourceContents(uri=uri, mime_type=mime_type, text=text))


def offer_resources(server: MCPServer[Any]) -> None:
    @server.resource("test://static-text", mime_type="text/plain")
    def static_text() -> str:
        """A text."""
        return "This is the content of the static text resource."

    @server.resource("test://static-binary", mime_type="image/png")
    def static_binary() -> bytes:
        """An image."""
        return PNG

    @server.resource("test://template/{id}/data", mime_type="application/json")
    def template(id: str) -> str:
        """What the address says."""
        return json.dumps({"id": id, "templateTest": True, "data": f"Data for ID: {id}"})


def offer_prompts(server: MCPServer[Any]) -> None:
    @server.prompt()
    def test_simple_prompt() -> str:
        """A prompt."""
        return "This is a simple prompt for testing."

    @server.prompt()
    def test_prompt_with_arguments(arg1: str, arg2: str) -> str:
        """A prompt with arguments."""
        return f"Prompt with arguments: arg1='{arg1}', arg2='{arg2}'"

    @server.prompt()
    def test_prompt_with_embedded_resource(resourceUri: str) -> list[UserMessage]:  # noqa: N803 - the suite's name
        """A prompt with a resource in it."""
        resource = embedded(resourceUri, "text/plain", "Embedded resource content for testing.")
        return [UserMessage(resource), UserMessage("Please process the embedded resource above.")]

    @server.prompt()
    def test_prompt_with_image() -> list[UserMessage]:
        """A prompt with an image in it."""
        image = types.ImageContent(data=base64.b64encode(PNG).decode(), mime_type="image/png")
        return [UserMessage(image), UserMessage("Please analyze the image above.")]
