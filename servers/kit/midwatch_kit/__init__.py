"""The evidence contract that every midwatch server shares.

A server's author needs `EvidenceServer`, `Finding` and `run`, and `Answer` for tools that need the long way; the rest
is here to be used when it helps. What is deliberately not here: any backend, and anything of the host.
"""

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
