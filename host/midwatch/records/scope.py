"""What an investigation looks at."""

from pydantic import Field

from midwatch_kit.records import EntityId, Moment, Observation, Record, TopologyFragment, Window


class Scope(Record):
    """What is looked at: the part of the graph that can hurt the symptom, and the two windows to compare.

    `watched` are the subjects that the alert is about, as surveys name them. `onset` is when the symptom itself
    began, with its uncertainty; None when no shift that lasts was found in it.
    """

    symptom: EntityId
    watched: tuple[str, ...] = ("error_rate", "latency_p95", "request_rate")
    window: Window
    baseline: Window
    onset: Moment | None
    onset_earliest: Moment | None = None
    onset_latest: Moment | None = None
    symptoms: tuple[Observation, ...] = ()
    topology: TopologyFragment
    age_seconds: float | None = None
    lookback_seconds: float | None = Field(None, description="how long before the alert the onset was looked for")
    changes_since: Moment | None = Field(None, description="how far back changes are looked for: they may bite late")
    waves: tuple[Window, ...] = Field((), description="when the symptom was bad, where somebody asked for its waves")
    chosen: str = Field("", description="why this is the window, where a person chose it")
