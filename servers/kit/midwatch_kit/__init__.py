"""The evidence contract that every midwatch server shares.

A server's author needs `EvidenceServer`, `Finding` and `run`, and `Answer` for tools that need the long way; the rest
is here to be used when it helps. What is deliberately not here: any backend, and anything of the host.

A name is imported when it is first asked for: who needs a window or a record need not wait for the SDK of MCP.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from midwatch_kit.abandoned import given_up
    from midwatch_kit.check import Check, answer_checks, lag_of
    from midwatch_kit.errors import BackendDown, BadInput, KitError, NotFound
    from midwatch_kit.paging import Page, open_page
    from midwatch_kit.records import (
        Basis,
        Binding,
        Citation,
        Entity,
        EntityId,
        Evidence,
        Finding,
        Moment,
        Observation,
        ObservationKind,
        Record,
        Relation,
        Signal,
        TopologyFragment,
        Window,
    )
    from midwatch_kit.reply import Answer, CitedFinding, Reply
    from midwatch_kit.serve import run
    from midwatch_kit.server import EvidenceServer, Role
    from midwatch_kit.settings import ServerSettings
    from midwatch_kit.window import clock, parse_time, resolve_baseline, resolve_window, rfc3339

_HERE: Final = {
    "abandoned": "given_up",
    "check": "Check answer_checks lag_of",
    "errors": "BackendDown BadInput KitError NotFound",
    "paging": "Page open_page",
    "records": "Basis Binding Citation Entity EntityId Evidence Finding Moment Observation ObservationKind Record "
    "Relation Signal TopologyFragment Window",
    "reply": "Answer CitedFinding Reply",
    "serve": "run",
    "server": "EvidenceServer Role",
    "settings": "ServerSettings",
    "window": "clock parse_time resolve_baseline resolve_window rfc3339",
}
_MODULE_OF: Final = {name: module for module, names in _HERE.items() for name in names.split()}

__all__ = [
    "Answer",
    "BackendDown",
    "BadInput",
    "Basis",
    "Binding",
    "Check",
    "Citation",
    "CitedFinding",
    "Entity",
    "EntityId",
    "Evidence",
    "EvidenceServer",
    "Finding",
    "KitError",
    "Moment",
    "NotFound",
    "Observation",
    "ObservationKind",
    "Page",
    "Record",
    "Relation",
    "Reply",
    "Role",
    "ServerSettings",
    "Signal",
    "TopologyFragment",
    "Window",
    "answer_checks",
    "clock",
    "given_up",
    "lag_of",
    "open_page",
    "parse_time",
    "resolve_baseline",
    "resolve_window",
    "rfc3339",
    "run",
]


if not TYPE_CHECKING:  # else a name that is not here would be one of any type

    def __getattr__(name: str) -> Any:
        """Import what is asked for (PEP 562)."""
        if name not in _MODULE_OF:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        value = globals()[name] = getattr(import_module(f"{__name__}.{_MODULE_OF[name]}"), name)
        return value


def __dir__() -> list[str]:
    return __all__
