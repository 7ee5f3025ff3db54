"""The suite's tools that ask the person or the model at the client, in both ways that the protocol has had for it.

The tools ask as `request_approval` of the host does: the SDK turns a question into a request to the client, or, since
2026-07-28, into an answer that the client completes and sends back.
"""

from typing import Annotated, Any, Literal

from mcp import types
from mcp.server import MCPServer
from mcp.server.mcpserver import Context, Elicit, ListRoots, Resolve, Sample
from pydantic import BaseModel, Field


class Person(BaseModel):
    """A name."""

    name: str


class Color(BaseModel):
    """A colour."""

    color: str


class Confirmed(BaseModel):
    """A yes or no."""

    ok: bool


class Reachable(BaseModel):
    """Who someone is, and where."""

    username: str = Field(description="User's response")
    email: str = Field(description="User's email address")


class Defaults(BaseModel):
    """A default of each kind."""

    name: str = "John Doe"
    age: int = 30
    score: float = 95.5
    status: Literal["active", "inactive", "pending"] = "active"
    verified: bool = True


def choices(*names: str) -> list[dict[str, str]]:
    return [{"const": name, "title": name.capitalize()} for name in names]


class Choices(BaseModel):
    """A choice in each form that there is for one."""

    untitledSingle: Literal["option1", "option2", "option3"]  # noqa: N815 - the suite's names
    titledSingle: Annotated[str, Field(json_schema_extra={"oneOf": choices("value1", "value2")})]  # noqa: N815
    legacyEnum: Annotated[str, Field(json_schema_extra={"enum": ["opt1", "opt2"], "enumNames": ["One", "Two"]})]  # noqa: N815
    untitledMulti: list[Literal["option1", "option2", "option3"]]  # noqa: N815
    titledMulti: Annotated[list[str], Field(json_schema_extra={"items": {"anyOf": choices("value1", "value2")}})]  # noqa: N815


def asked_name() -> Elicit[Person]:
    return Elicit("What is your name?", Person)


def asked_confirmation() -> Elicit[Confirmed]:
    return Elicit("Please confirm", Confirmed)


def asked_color(person: Annotated[Person, Resolve(asked_name)]) -> Elicit[Color]:
    return Elicit(f"What is your favorite color, {person.name}?", Color)


def asked_model() -> Sample:
    question = types.TextContent(text="What is the capital of France?")
    return Sample([types.SamplingMessage(role="user", content=question)], max_tokens=100)


def asked_prompt(prompt: str) -> Sample:
    return Sample([types.SamplingMessage(role="user", content=types.TextContent(text=prompt))], max_tokens=100)


def asked_roots() -> ListRoots:
    return ListRoots()


def asked_message(message: str) -> Elicit[Reachable]:
    return Elicit(message, Reachable)


def asked_defaults() -> Elicit[Defaults]:
    return Elicit("Please provide user information", Defaults)


def asked_choices() -> Elicit[Choices]:
    return Elicit("Please choose", Choices)


Named = Annotated[Person, Resolve(asked_name)]
Sampled = Annotated[types.CreateMessageResult, Resolve(asked_model)]
Rooted = Annotated[types.ListRootsResult, Resolve(asked_roots)]


def offer_questions(server: MCPServer[Any]) -> None:
    """Put the tools that ask on a server."""
    offer_forms(server)
    offer_rounds(server)
    offer_models(server)


def offer_forms(server: MCPServer[Any]) -> None:
    @server.tool()
    def test_elicitation(message: str, told: Annotated[Reachable, Resolve(asked_message)]) -> str:
        """Asks a person."""
        return f"User response: {told.model_dump_json()}"

    @server.tool()
    def test_elicitation_sep1034_defaults(told: Annotated[Defaults, Resolve(asked_defaults)]) -> str:
        """Asks a person, with defaults."""
        return f"Elicitation completed: action=accept, content={told.model_dump_json()}"

    @server.tool()
    def test_elicitation_sep1330_enums(told: Annotated[Choices, Resolve(asked_choices)]) -> str:
        """Asks a person to choose."""
        return f"Elicitation completed: action=accept, content={told.model_dump_json()}"


def form(message: str, name: str) -> types.ElicitRequest:
    """Return a question with one text for its answer."""
    schema = {"type": "object", "properties": {name: {"type": "string"}}, "required": [name]}
    return types.ElicitRequest(params=types.ElicitRequestFormParams(message=message, requested_schema=schema))


def offer_rounds(server: MCPServer[Any]) -> None:
    @server.tool(structured_output=False)
    def test_input_required_result_elicitation(ctx: Context[Any]) -> str | types.InputRequiredResult:
        """Asks under the name that the suite answers to."""
        match (ctx.input_responses or {}).get("user_name"):
            case types.ElicitResult(action="accept", content={"name": name}):
                return f"Hello, {name}!"
        return types.InputRequiredResult(input_requests={"user_name": form("What is your name?", "name")})

    @server.prompt()
    def test_input_required_result_prompt(ctx: Context) -> str | types.InputRequiredResult:
        """A prompt that asks a person first."""
        if ctx.input_responses:
            return "The context is known."
        asked = form("What context should the prompt use?", "context")
        return types.InputRequiredResult(input_requests={"user_context": asked})

    @server.tool()
    def test_input_required_result_request_state(told: Annotated[Confirmed, Resolve(asked_confirmation)]) -> str:
        """Asks, and knows the answer for that of its own question."""
        return f"state-ok, {told.ok}"

    @server.tool()
    def test_input_required_result_tampered_state(told: Annotated[Confirmed, Resolve(asked_confirmation)]) -> str:
        """Asks, and takes no answer to another question."""
        return f"state-ok, {told.ok}"

    @server.tool()
    def test_input_required_result_multi_round(told: Annotated[Color, Resolve(asked_color)]) -> str:
        """Asks one thing after another."""
        return f"{told.color} it is"


def offer_models(server: MCPServer[Any]) -> None:
    @server.tool()
    def test_sampling(prompt: str, told: Annotated[types.CreateMessageResult, Resolve(asked_prompt)]) -> str:
        """Asks a model."""
        return f"LLM response: {told.content}"

    @server.tool()
    def test_missing_capability(told: Sampled) -> str:
        """Needs a model to ask."""
        return f"LLM response: {told.content}"

    @server.tool()
    def test_input_required_result_sampling(told: Sampled) -> str:
        """Asks a model."""
        return f"LLM response: {told.content}"

    @server.tool()
    def test_input_required_result_capabilities(told: Sampled) -> str:
        """Asks a model, and no person."""
        return f"LLM response: {told.content}"

    @server.tool()
    def test_input_required_result_list_roots(roots: Rooted) -> str:
        """Asks for roots."""
        return f"Roots: {[str(root.uri) for root in roots.roots]}"

    @server.tool()
    def test_input_required_result_multiple_inputs(person: Named, told: Sampled, roots: Rooted) -> str:
        """Asks a person and a model, and for roots."""
        return f"{person.name}, {told.content}, {len(roots.roots)} roots"
