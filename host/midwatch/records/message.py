"""What is said in an investigation, and what that rests on."""

from pydantic import Field

from midwatch_kit.records import Citation, Record


class Statement(Record):
    """One line of an answer, and what it rests on: places in stored bytes, whole documents, records of the journal.

    `records` are numbers, of `incident` where that is named, or else of the investigation that was asked about.
    """

    text: str
    citations: tuple[Citation, ...] = ()
    evidence: tuple[str, ...] = Field((), description="documents that it rests on as a whole")
    records: tuple[int, ...] = ()
    incident: str = ""


class Message(Record):
    """Something said in an investigation; `evidence` is the document that it speaks of, `statements` an answer's."""

    text: str
    evidence: str | None = None
    statements: tuple[Statement, ...] = ()
