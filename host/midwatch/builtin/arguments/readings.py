"""Arguments from what a model read: capped, whatever it says, and never decisive by themselves.

Each document counts once, however often it is quoted. What one kind of telemetry says counts as one fair argument;
each further kind that agrees adds a little, up to three, and so does a second document of the same kind.
"""

from collections.abc import Iterable, Iterator, Sequence

from midwatch.builtin import weights as w
from midwatch.builtin.arguments.argument import argument
from midwatch.builtin.scene import Scene
from midwatch.records import Argument, Hypothesis
from midwatch_kit.records import Observation, ObservationKind

READING = "reading"
_MOST_MORE = 2


def readings(hypothesis: Hypothesis, scene: Scene) -> Iterator[Argument]:
    """What was read about a hypothesis, for and against it."""
    mine = [
        o
        for o in scene.observations
        if o.kind is ObservationKind.READING and o.attributes.get("hypothesis") == hypothesis.id
    ]
    for bearing, sign in (("supports", 1), ("refutes", -1)):
        documents = _one_of_each([o for o in mine if o.attributes.get("bearing") == bearing])
        if documents:
            kinds = len({o.signal for o in documents})
            more = min(_MOST_MORE, max(kinds - 1, len(documents) > 1))
            yield argument(READING, sign * (w.FAIR + more * w.SLIGHT), documents[0].statement, *documents)


def only_read(arguments: Iterable[Argument]) -> bool:
    """Whether all that speaks for a hypothesis is what a model read."""
    return {argument.name for argument in arguments if argument.weight > 0} == {READING}


def _one_of_each(seen: Sequence[Observation]) -> list[Observation]:
    """Return the first observation of each document."""
    return [*{o.citations[0].evidence: o for o in reversed(seen)}.values()][::-1]


ALL = (readings,)
