"""Which metrics there are, of whom and when: series that were listed, beside the steps at which they had samples."""

from collections.abc import Mapping, Sequence
from typing import Any

from midwatch_metrics.backend import Described
from midwatch_metrics.backends.prometheus.families import Families, Family, Labels, Metadata
from midwatch_metrics.backends.prometheus.labels import LabelMap
from midwatch_metrics.timeline import SECOND

_Key = tuple[str, str, str]


def described_of(
    families: Sequence[Family],
    raw: Sequence[Labels],
    counted: Sequence[Mapping[str, Any]],
    mapping: LabelMap,
    metadata: Mapping[str, Metadata],
) -> list[Described]:
    """Return the metrics that had samples at any step, by instance.

    `counted` has, for each raw name and whoever measured, how many series had samples at each step.
    """
    known = Families({labels.get("__name__", "") for labels in raw}, metadata)
    seen: dict[_Key, list[tuple[float, float]]] = {}
    for one in counted:
        metric = known.metric(one["metric"].get("__name__", ""))[0]
        who = mapping.identity(one["metric"])
        points = [(float(moment), float(count)) for moment, count in one["values"]]
        seen.setdefault((metric, who.service, who.instance), []).extend(points)
    members: dict[_Key, list[Family]] = {}
    for family in families:
        series = family.series
        members.setdefault((series.metric, series.service, series.instance), []).append(family)
    return [_described(members[key], seen[key], known) for key in sorted(members) if key in seen]


def _described(members: Sequence[Family], points: Sequence[tuple[float, float]], known: Families) -> Described:
    first = members[0].series
    unit, description = known.describe(first.metric)
    times = [moment for moment, _ in points]
    return Described(
        first.metric,
        first.form,
        unit,
        description,
        first.service,
        first.instance,
        len(members),
        round(sum(count for _, count in points)),
        tuple(sorted({name for member in members for name, _ in member.series.attributes})),
        round(min(times) * SECOND),
        round(max(times) * SECOND),
    )
