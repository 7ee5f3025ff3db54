"""What an operator would check: desired against actual state, one small pure function for each thing that goes wrong.

A check takes a `State` and tells each `Problem` that it sees. Only what is wrong *now* is one: an old event about an
object that is well says nothing.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from midwatch_cluster.checks import (
    admission,
    nodes,
    performance,
    routes,
    routing,
    runtime,
    scheduling,
    startup,
    storage,
)
from midwatch_cluster.checks.problem import Problem
from midwatch_cluster.state import State

Look = Callable[[State], Iterator[Problem]]


@dataclass(frozen=True, slots=True)
class NamedCheck:
    """One check: its name, the stage of an object's life that it looks at, and what it says of Kubernetes."""

    name: str
    stage: str
    about: str
    look: Look


def _named(stage: str, looks: Sequence[Look]) -> list[NamedCheck]:
    return [NamedCheck(look.__name__, stage, (look.__doc__ or "").strip(), look) for look in looks]


CHECKS: Sequence[NamedCheck] = [
    *_named("admission", admission.CHECKS),
    *_named("scheduling", [*scheduling.CHECKS, *storage.CHECKS]),
    *_named("start-up", startup.CHECKS),
    *_named("run time", runtime.CHECKS),
    *_named("routing", [*routing.CHECKS, *routes.CHECKS]),
    *_named("performance", performance.CHECKS),
    *_named("node", nodes.CHECKS),
]
"""All checks, in the order of an object's life."""
