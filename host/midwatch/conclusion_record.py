"""The parts of a conclusion that stand by themselves: what died, what to look at next, what was hit, what is new."""

from midwatch_kit.records import Record


class RuledOut(Record):
    """A hypothesis that died, and of what."""

    hypothesis: str
    statement: str
    reason: str
    observations: tuple[str, ...]


class NextCheck(Record):
    """A look that would tell rivals apart."""

    what: str
    why: str
    cost: str


class Impact(Record):
    """What was hit, how much, since when, and how that was measured."""

    statement: str
    observations: tuple[str, ...] = ()


class Difference(Record):
    """One thing that is not as it was; `because` are the arguments that made the difference, where there are any."""

    what: str
    was: str
    now: str
    because: tuple[str, ...] = ()


class Revision(Record):
    """How a further look's conclusion differs from version `of`, and what people said since; no change, no version."""

    of: int
    steers: tuple[str, ...]
    changes: tuple[Difference, ...] = ()
