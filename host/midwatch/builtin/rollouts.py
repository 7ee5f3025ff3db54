"""Rollouts: deploys that name the instances they put in place of others, and how these do beside those that stay.

While a rollout is under way, old and new instances answer the same callers at the same time: what else goes on hurts
both alike. So what tells a bad version from a good one is not that requests fail, but that they fail at the new
instances and not at the old ones; or that a new instance never takes any, while its siblings do.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import Enum

from midwatch.builtin import weights as w
from midwatch.builtin.observed import amount
from midwatch.records import Scope
from midwatch_kit.records import EntityId, Observation, ObservationKind

SERVED_BY = "served_by"
_FAILING, _SLOWER = ("error_rate",), ("latency_mean", "latency_p95")


class Use(Enum):
    """How the new instances of a rollout are used, by the requests that they took."""

    TAKES_REQUESTS = "takes requests"
    PASSED_OVER = "passed over"
    NOT_YET = "not yet"
    UNKNOWN = "unknown"


@dataclass(frozen=True)
class Rollouts:
    """What was seen of the deploys that name their new instances; `observations` are all that were made."""

    scope: Scope
    observations: tuple[Observation, ...]

    def all(self) -> tuple[Observation, ...]:
        """Return the changes that are rollouts, in the order in which they were seen."""
        return tuple(o for o in self.observations if o.kind is ObservationKind.CHANGE and new_instances(o))

    def use(self, change: Observation) -> Use:
        """Return whether the new instances took requests; passed over are those that should have long since."""
        served = self.served(change)
        if served is None or not new_instances(change):
            return Use.UNKNOWN
        if new_instances(change) & set(served.attributes["instances"].split(",")):
            return Use.TAKES_REQUESTS
        ready, last = ready_at(change), datetime.fromisoformat(served.attributes["last"])
        long_since = ready is not None and (last - ready).total_seconds() >= w.TAKES_UP_SECONDS
        return Use.PASSED_OVER if long_since else Use.NOT_YET

    def served(self, change: Observation) -> Observation | None:
        """Return what says which instances of the changed service took requests."""
        return next((o for o in self._of(change) if o.subject == SERVED_BY), None)

    def fails_more(self, change: Observation) -> Observation | None:
        """Return that requests fail at the new version more than at the others, if they do."""
        return self._worse(change, _FAILING)

    def slower(self, change: Observation) -> Observation | None:
        """Return that the new version is slower than the others, if it is."""
        return self._worse(change, _SLOWER)

    def fails_alike(self, change: Observation) -> Observation | None:
        """Return that requests fail at the new version and as much at the others, if they do."""
        alike = (o for o in self._beside(change, _FAILING) if o.kind is ObservationKind.NORMAL)
        return next((o for o in alike if (o.baseline or 0.0) >= w.FAILS_PERCENT), None)

    def follows(self, change: Observation) -> Observation | None:
        """Return what says how failures went with the share of instances at the new version, if steps enough were."""
        return next((o for o in self._beside(change, _FAILING) if "follows" in o.attributes), None)

    def stuck(self) -> tuple[Observation, ...]:
        """Return the rollouts whose new instances are passed over."""
        return tuple(change for change in self.all() if self.use(change) is Use.PASSED_OVER)

    def came_with(self, change: Observation) -> bool:
        """Whether the symptom began just when the new instances were ready, as closely as times are known.

        A figure stands for the time since the one before it, so the onset may lie one step earlier than it shows.
        """
        ready, first, last = ready_at(change), self.scope.onset_earliest, self.scope.onset_latest
        if ready is None or first is None or last is None:
            return False
        slack = timedelta(seconds=w.ROLLOUT_SECONDS)
        return first - (last - first) - slack <= ready <= last

    def _worse(self, change: Observation, subjects: Iterable[str]) -> Observation | None:
        worse = (o for o in self._beside(change, subjects) if o.direction == "up" and o.score >= w.SHIFTED)
        return max(worse, key=lambda o: (amount(o), o.id), default=None)

    def _beside(self, change: Observation, subjects: Iterable[str]) -> list[Observation]:
        """Return what was said of the changed version beside the others; of one operation's requests is not asked."""
        version = change.attributes.get("version")
        about = (o for o in self._of(change) if o.subject in subjects and "operation" not in o.attributes)
        return [o for o in about if version and o.attributes.get("version") == version]

    def _of(self, change: Observation) -> list[Observation]:
        service: EntityId = change.related or change.entity
        return [o for o in self.observations if o.entity == service]


def new_instances(change: Observation) -> frozenset[str]:
    """Return the names of the instances that a change put in place of others; none where it does not say."""
    return frozenset(filter(None, change.attributes.get("instances", "").split(",")))


def ready_at(change: Observation) -> datetime | None:
    """Return when a change was complete; None while it goes on."""
    ended = change.attributes.get("ended")
    return datetime.fromisoformat(ended) if ended else None
