"""All troubles of the matrix by name: what the proxy does, and what an investigation has to say of it."""

from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from typing import Final

from starlette.responses import HTMLResponse, JSONResponse
from tests.trouble import ways
from tests.trouble.proxy import Memory, Proxy, Respond

PATIENT: Final = 60.0
HURRIED: Final = 0.5
"""Seconds for one call where the trouble is that the server takes too long."""


@dataclass(frozen=True)
class Trouble:
    """One trouble: its name completes "a server that …", and a gap says `says` of it, unless it costs nothing."""

    name: str
    respond: Respond
    says: str = ""
    restarts: bool = False
    call_seconds: float = PATIENT
    connect_seconds: float = PATIENT

    @property
    def harmless(self) -> bool:
        """Whether the investigation must be what it would be without this trouble."""
        return not self.says

    def before(self, server: str, memory: Memory) -> AbstractAsyncContextManager[str]:
        """Put a proxy with this trouble before a server, for the length of a block; gives the proxy's URL."""
        proxy = Proxy(server, memory, self.respond)
        return proxy.restarting() if self.restarts else proxy.listening()


_LATE = f"did not answer within {HURRIED:g} s"
_GONE = "connection closed"

TROUBLES: Final = (
    Trouble("answers late, in streams of events", ways.slow_stream),
    Trouble("answers after the deadline", ways.late(2 * HURRIED), _LATE, call_seconds=HURRIED),
    Trouble("never answers", ways.instead(lambda _: ways.Silence()), _LATE, call_seconds=HURRIED),
    Trouble("never says hello", ways.mute, "did not come up within 1 s", connect_seconds=1),
    Trouble("stalls in the middle of an answer", ways.halfway(ways.Silence), _LATE, call_seconds=HURRIED),
    Trouble("closes the connection in the middle of an answer", ways.halfway(ways.Cut), "broke off"),
    Trouble("cuts its streams", ways.halfway(ways.CutStream), _GONE),
    Trouble("is restarted in the middle", ways.crash_once, _GONE, restarts=True),
    Trouble("forgets its sessions", ways.lose_sessions, _GONE),
    Trouble("fails with HTTP 500 and 503", ways.fail_in_turns, "error response"),
    Trouble("shows a page to log in", ways.instead(lambda _: HTMLResponse("<h1>Who are you?</h1>")), "content type"),
    Trouble("answers with JSON-RPC errors", ways.instead(lambda q: JSONResponse(q.refused(-32603, "no"))), ": no"),
    Trouble("has tools that fail", ways.results(ways.failed), "the index is red"),
    Trouble("renames its tools between calls", ways.rename_tools, "Unknown tool"),
    Trouble("lists tools without end", ways.endless_tools, "tools without end"),
    Trouble("gives results of another shape", ways.results(ways.other_shape), "breaks the protocol"),
    Trouble("gives records of other types", ways.records(ways.other_types), "break the evidence contract"),
    Trouble("quotes what its evidence does not hold", ways.records(ways.unfounded), "do not stand"),
    Trouble("gives other bytes than it named", ways.unfaithful_bytes, "do not have the hash"),
    Trouble("gives evidence without end", ways.results(ways.endless_evidence), "more than can be kept"),
    Trouble("gives answers of tens of MB", ways.results(ways.huge), "longer than"),
)
