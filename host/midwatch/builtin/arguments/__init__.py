"""The arguments for and against a hypothesis: each a pure function from a hypothesis and a scene.

An argument rests on observations and weighs in log-odds; one that kills weighs minus infinity. Each looks at one
independent thing: when (time, course), where (path, place, health, spread, victims), what (content, words, arrivals),
rollout (new instances beside old ones),
what is wrong with the state of things (mismatch, complaint), and what a model read (reading).
None knows of any application.
"""

from collections.abc import Callable, Iterator

from midwatch.builtin.arguments import readings, rollout, state, what, when, where
from midwatch.builtin.scene import Scene
from midwatch.records import Argument, Hypothesis

_ALL: tuple[Callable[[Hypothesis, Scene], Iterator[Argument]], ...] = (
    *when.ALL,
    *where.ALL,
    *what.ALL,
    *rollout.ALL,
    *state.ALL,
    *readings.ALL,
)


def arguments(hypothesis: Hypothesis, scene: Scene) -> tuple[Argument, ...]:
    """Return what speaks for and against a hypothesis in this scene."""
    return tuple(argument for weigh in _ALL for argument in weigh(hypothesis, scene))
