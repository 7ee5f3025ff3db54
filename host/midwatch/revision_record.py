"""What makes a conclusion another one than the version before it."""

from midwatch_kit.records import Record


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
