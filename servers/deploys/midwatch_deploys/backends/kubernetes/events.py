"""Events of a cluster that are changes: scaling, cordons, evictions. A rollout's own are told by that. Pure."""

from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta
from typing import Final

from midwatch_deploys.backend import Change
from midwatch_deploys.backends.kubernetes.fields import moment, name_of
from midwatch_deploys.resources import Resources
from midwatch_kit.kubernetes import Json

_SCALING: Final = "ScalingReplicaSet"
_REASONS: Final = frozenset(
    {
        *(_SCALING, "SuccessfulRescale", "TriggeredScaleUp", "ScaleDown"),
        *("NodeNotSchedulable", "NodeSchedulable", "RegisteredNode", "RemovingNode", "Rebooted"),
        *("Evicted", "Preempted", "TaintManagerEviction"),
    }
)
_THINGS: Final = frozenset({"Pod", "Node"})
_EARLY: Final = timedelta(seconds=10)
_ROLLS_FOR: Final = timedelta(minutes=10)


def event_changes(events: Sequence[Json], rollouts: Sequence[Change], resources: Resources) -> list[Change]:
    """Return the events that are changes, but for those that only carry a rollout out."""
    return [change for event in events for change in _told(event, rollouts, resources)]


def _told(event: Json, rollouts: Sequence[Change], resources: Resources) -> Iterator[Change]:
    reason = event.get("reason", "")
    about = event.get("involvedObject") or event.get("regarding") or {}
    kind, name, space = about.get("kind", ""), about.get("name", ""), about.get("namespace", "")
    begin, end = _times(event)
    if reason not in _REASONS or begin is None:
        return
    if reason == _SCALING and any(_carries_out(rollout, f"{kind} {space}/{name}", begin) for rollout in rollouts):
        return
    times = (event.get("series") or {}).get("count") or event.get("count") or 1
    facts = {
        "reason": reason,
        "about": f"{kind} {f'{space}/' if space else ''}{name}",
        "namespace": space,
        "times": str(times) if times > 1 else "",
    }
    yield Change(
        id=f"kubernetes:event/{name_of(event)}",
        at=begin,
        kind="infrastructure",
        service="" if kind in _THINGS else resources.service_of(f"{space}/{name}", name),
        instance=name if kind in _THINGS else "",
        title=event.get("message") or event.get("note") or reason,
        author=(event.get("source") or {}).get("component") or event.get("reportingComponent") or "",
        ended=end if end and end > begin else None,
        outcome="succeeded",
        attributes={key: text for key, text in facts.items() if text},
        source="kubernetes event",
    )


def _times(event: Json) -> tuple[datetime | None, datetime | None]:
    """Return when an event first and last happened; an event of the newer API has other names for that."""
    series = event.get("series") or {}
    begin = event.get("firstTimestamp") or event.get("eventTime") or event["metadata"].get("creationTimestamp")
    end = event.get("lastTimestamp") or series.get("lastObservedTime")
    return (moment(begin) if begin else None), (moment(end) if end else None)


def _carries_out(rollout: Change, workload: str, at: datetime) -> bool:
    over = rollout.ended + _EARLY if rollout.ended else rollout.at + _ROLLS_FOR
    return rollout.attributes.get("workload") == workload and rollout.at - _EARLY <= at <= over
