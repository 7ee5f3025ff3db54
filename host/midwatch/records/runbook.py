"""A document of another place that was found for an incident."""

from pydantic import Field

from midwatch_kit.records import Record


class Runbook(Record):
    """A document of another place that may say what to do; its text stands at `where` (RFC 6901) in the evidence."""

    server: str
    document: str = Field(description="its id or address at that server")
    title: str
    link: str = ""
    opening: str = Field("", description="the first line that says something")
    evidence: str
    where: str
    chars: int
    named: bool = Field(False, description="whether it is the one that the alert names")
