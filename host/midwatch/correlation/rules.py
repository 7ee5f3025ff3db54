"""Rules of a team about its alerts, as steering files tell them: what to skip, what goes together, what never does."""

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from typing import Literal, Self

from pydantic import Field, model_validator

from midwatch.records import Alert, Severity
from midwatch_kit.records import Moment, Record

Day = Literal["mon", "tue", "wed", "thu", "fri", "sat", "sun"]
_DAYS: tuple[Day, ...] = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
_CLOCK = r"^((?:[01]\d|2[0-3]):[0-5]\d|24:00)$"


class During(Record):
    """When a rule holds: between two moments, or at a time of day (UTC), on some days or on all.

    A window over midnight belongs to the day on which it began.
    """

    start: Moment | None = None
    end: Moment | None = None
    days: tuple[Day, ...] = ()
    since: str = Field("00:00", pattern=_CLOCK)
    until: str = Field("24:00", pattern=_CLOCK)

    @model_validator(mode="after")
    def _has_an_order(self) -> Self:
        if self.start and self.end and self.start >= self.end:
            raise ValueError("end must be after start")
        if self.since == self.until:
            raise ValueError("since and until are the same time")
        return self

    def holds(self, at: datetime) -> bool:
        """Return whether a moment lies in it."""
        at = at.astimezone(UTC)
        if (self.start and at < self.start) or (self.end and at >= self.end):
            return False
        clock, over_midnight = at.strftime("%H:%M"), self.until < self.since
        if not (clock >= self.since or clock < self.until if over_midnight else self.since <= clock < self.until):
            return False
        began = at.weekday() - (over_midnight and clock < self.until)
        return not self.days or _DAYS[began % 7] in self.days


class Skip(Record):
    """Alerts that open nothing: those of which all holds that is given."""

    services: tuple[str, ...] = ()
    severities: tuple[Severity, ...] = ()
    text: str = Field("", description="stands in the title or the description, in whatever case")
    labels: dict[str, str] = Field(default_factory=dict)
    during: During | None = None
    because: str = Field(min_length=1)

    @model_validator(mode="after")
    def _says_which(self) -> Self:
        if not (self.services or self.severities or self.text or self.labels or self.during):
            raise ValueError("it would skip every alert: say which, by services, severities, text, labels or during")
        return self

    def meets(self, alert: Alert, at: datetime) -> bool:
        """Return whether an alert is one of these at a moment."""
        said = f"{alert.title}\n{alert.description}".casefold()
        return (
            (not self.services or _bare(alert.service) in self.services)
            and (not self.severities or alert.severity in self.severities)
            and self.text.casefold() in said
            and self.labels.items() <= alert.labels.items()
            and (self.during is None or self.during.holds(at))
        )


class Flapping(Record):
    """From how many starts on, within how long, an alert is taken to come and go."""

    times: int = Field(3, ge=2, le=12)
    minutes: float = Field(60, gt=0, le=1440)


class AlertRules(Record):
    """What a steering file says about alerts; those of the services it applies to, or of all."""

    skip: tuple[Skip, ...] = ()
    group_by: tuple[str, ...] = Field((), description="labels: alerts close in time with the same value are one outage")
    never_group: tuple[tuple[str, ...], ...] = Field((), description="services whose alerts are never of one outage")
    flapping: Flapping | None = None
    window_minutes: float | None = Field(
        None, gt=0, le=1440, description="starts further apart are never of one outage"
    )
    reopen_minutes: float | None = Field(None, ge=0, le=1440, description="what comes back sooner is the same incident")


class Rules:
    """The rules of all files together, asked about one alert at a time; where several set a figure the first counts."""

    def __init__(self, files: Iterable[tuple[str, Sequence[str], AlertRules]] = ()) -> None:
        """Take each file's name, the services that it applies to (none: all), and its rules."""
        self._files = [*files]

    def skipped(self, alert: Alert, at: datetime) -> str:
        """Return why an alert is to be skipped at a moment; '' when no rule says so."""
        for name, rules in self._of(alert):
            if found := next((skip for skip in rules.skip if skip.meets(alert, at)), None):
                return f"{name}: {found.because}"
        return ""

    def marks(self, alert: Alert) -> frozenset[tuple[str, str]]:
        """Return the labels of an alert by which it is grouped, with their values."""
        labels = {label for _, rules in self._of(alert) for label in rules.group_by}
        return frozenset((label, alert.labels[label]) for label in labels if alert.labels.get(label))

    def apart(self, service: str, others: Iterable[str]) -> str:
        """Return the service among others with which one is never grouped; '' when there is none."""
        near = {_bare(other) for other in others} - {_bare(service)}
        for _, _, rules in self._files:
            for group in rules.never_group:
                if _bare(service) in group and (found := sorted(near.intersection(group))):
                    return found[0]
        return ""

    def flapping(self, alert: Alert) -> Flapping:
        """Return when an alert counts as flapping."""
        return next((rules.flapping for _, rules in self._of(alert) if rules.flapping), Flapping())

    def window_seconds(self, alert: Alert, default: float) -> float:
        """Return how far apart two starts of one outage can be."""
        said = (rules.window_minutes for _, rules in self._of(alert))
        return next((60 * minutes for minutes in said if minutes is not None), default)

    def reopen_seconds(self, alert: Alert, default: float) -> float:
        """Return how soon after its end an outage that comes back is the same one."""
        said = (rules.reopen_minutes for _, rules in self._of(alert))
        return next((60 * minutes for minutes in said if minutes is not None), default)

    def _of(self, alert: Alert) -> Iterable[tuple[str, AlertRules]]:
        bare = _bare(alert.service)
        return ((name, rules) for name, services, rules in self._files if not services or bare in services)


def _bare(service: str) -> str:
    return service.removeprefix("service:")
