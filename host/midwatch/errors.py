"""What can go wrong in the host, in words for the person at the terminal.

HostError
├── BadAlert         an alert or a sentence cannot be understood
├── BadSteering      a steering file cannot be used
├── BadSnapshot      a snapshot cannot be taken, is not whole, or was changed
├── BadParcel        an exported investigation cannot be written or read, is not whole, or was changed
├── BadSettings      the settings contradict each other or name something that isn't there
├── Unreachable      a server cannot be connected to
├── NotUnderstood    what a person tells an investigation means nothing to it
├── LostClaim        another host works on an investigation now
├── UnknownIncident  no such incident is in the journal
├── UnknownRecommendation  no such recommendation is in the journal
├── Busy             more alerts wait to be stored than can
├── NotKept          alerts could not be stored, through no fault of theirs
├── CannotTriage     a decision about an alert cannot be made by hand
└── JournalDamaged   the journal cannot be used, or its chain of hashes is broken
    └── DatabaseDown it does not answer or takes nothing now: what was begun can go on later
"""


class HostError(Exception):
    """An error whose text is meant to be read."""


def first_of(group: BaseExceptionGroup[Exception]) -> BaseException:
    """Return the first error in a group, however deep."""
    first = group.exceptions[0]
    return first_of(first) if isinstance(first, BaseExceptionGroup) else first


def stopping(error: BaseException) -> "DatabaseDown | LostClaim | None":
    """Return the error, alone or in a group, by which an investigation stops where it is: that is no gap in it."""
    if isinstance(error, BaseExceptionGroup):
        return next((found for each in error.exceptions if (found := stopping(each))), None)
    return error if isinstance(error, DatabaseDown | LostClaim) else None


class BadAlert(HostError):
    """Raised when an alert cannot be understood; the message names the field."""


class BadSteering(HostError):
    """Raised when a steering file cannot be used; the message names the file and the line."""


class BadSettings(HostError):
    """Raised when the settings name something that isn't there."""


class BadSnapshot(HostError):
    """Raised when a snapshot cannot be taken or used; the message names the file or what is needed."""


class BadParcel(HostError):
    """Raised when an exported investigation cannot be written or taken in; the message says what is wrong with it."""


class Unreachable(HostError):
    """Raised when a server cannot be connected to; the message says why."""


class LostClaim(HostError):
    """Raised when a host notes something in an investigation that another host has taken over."""


class UnknownIncident(HostError):
    """Raised when no incident has the id that was given."""


class UnknownRecommendation(HostError):
    """Raised when no recommendation, or more than one, has the id that was given."""


class NotUnderstood(HostError):
    """Raised when words are no steer; the message says what can be said, or which part is wrong."""


class JournalDamaged(HostError):
    """Raised when the journal's file cannot be used, or a record is not what was written."""


class DatabaseDown(JournalDamaged):
    """Raised when the database does not answer, or is full: nothing is damaged, and what was begun can go on later.

    `what` is what was wrong, `do` what a person can do about it.
    """

    def __init__(self, what: str, do: str = "") -> None:
        super().__init__(f"{what}; {do}" if do else what)
        self.what, self.do = what, do


class Busy(HostError):
    """Raised when more alerts wait to be stored than can; `retry_after` is in how many seconds to send it again."""

    retry_after = 2


class NotKept(HostError):
    """Raised when alerts could not be put on record, through no fault of theirs: nothing of them is."""

    retry_after = 5


class CannotTriage(HostError):
    """Raised when what a person decided about an alert or an incident cannot be; the message says why."""
