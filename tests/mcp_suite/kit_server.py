"""A server on the kit that offers what the suite asks for, served as every server of the suite of ours is."""

from typing import Any

from mcp.server import MCPServer
from tests.mcp_suite.fixtures import offer_fixtures

from midwatch_kit import Answer, BadInput, EvidenceServer, Role, ServerSettings, Signal, run


class Everything(EvidenceServer):
    """A server of the kit with the fixtures of the suite beside its own tools."""

    def build(self) -> MCPServer[Any]:
        """Return the kit's server, and the fixtures on it."""
        return offer_fixtures(super().build())


def build(settings: ServerSettings) -> EvidenceServer:
    """Return the server; the tools that answer with a text are the kit's."""
    server = Everything("everything", Signal.LOGS, settings, version="1", instructions="Answers the suite.")

    @server.tool(Role.DRILL_DOWN, "A text")
    def test_simple_text() -> Answer:
        """A text."""
        return Answer("", ["text"], ["This is a simple text response for testing."], 1)

    @server.tool(Role.DRILL_DOWN, "An error")
    def test_error_handling() -> Answer:
        """An error."""
        raise BadInput("This tool intentionally returns an error for testing")

    return server


if __name__ == "__main__":
    run(build, ServerSettings)
