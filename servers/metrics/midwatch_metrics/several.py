"""Several backends as one: all are asked at once, and what they answer is put together.

One that is down leaves the others' answers, and says so in the query's text; only when none answers is it an error.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import TypeAlias, TypeVar

import numpy as np

from midwatch_kit import Check, KitError, TopologyFragment, Window
from midwatch_kit.parallel import ask_each
from midwatch_metrics.backend import AlarmState, Cells, Described, Gathered, MetricBackend, Selection
from midwatch_metrics.timeline import Timeline

AnswerT = TypeVar("AnswerT")
_Answers: TypeAlias = tuple[Mapping[str, AnswerT], Mapping[str, KitError]]


class Several:
    """Backends by name, asked together; a series, an alarm or a check of each is one of the whole."""

    def __init__(self, backends: Mapping[str, MetricBackend]) -> None:
        self._backends = dict(backends)

    def pin(self) -> int:
        """Return the largest mark: only the store counts what it keeps, the others keep time and give 0."""
        return max(self._ask(lambda one: one.pin())[0].values())

    def gather(self, timeline: Timeline, selection: Selection, most_series: int) -> Gathered:
        """Return the series of all, `most_series` of each at the most, and their cells."""
        found, silent = self._ask(lambda one: one.gather(timeline, selection, most_series))
        return Gathered(
            tuple(series for one in found.values() for series in one.series),
            _joined([one.cells for one in found.values()], [len(one.series) for one in found.values()]),
            sum(one.points for one in found.values()),
            sum(one.left_out for one in found.values()),
            _text({name: one.query for name, one in found.items()}, silent),
        )

    def describe(self, window: Window) -> tuple[Sequence[Described], str]:
        """Return the metrics of all, and their queries' text."""
        found, silent = self._ask(lambda one: one.describe(window))
        described = [one for part, _ in found.values() for one in part]
        return described, _text({name: text for name, (_, text) in found.items()}, silent)

    def surroundings(self, window: Window) -> TopologyFragment:
        """Return what all know beyond their series."""
        found, _ = self._ask(lambda one: one.surroundings(window))
        parts = list(found.values())
        return TopologyFragment(
            entities=tuple(one for part in parts for one in part.entities),
            relations=tuple(one for part in parts for one in part.relations),
            bindings=tuple(one for part in parts for one in part.bindings),
        )

    def sources(self) -> Sequence[tuple[str, str]]:
        """Return who sent points, backend by backend."""
        found, _ = self._ask(lambda one: one.sources())
        return list(dict.fromkeys(source for part in found.values() for source in part))

    def alarms(
        self,
        services: Sequence[str],
        names: Sequence[str],
        window: Window,
        pin: int,
        after: tuple[int, int] | None,
        limit: int,
    ) -> tuple[Sequence[AlarmState], int, str]:
        """Return the state changes of all, newest first; each backend's places are kept apart by their last digit."""
        count, places = len(self._backends), {name: i for i, name in enumerate(self._backends)}

        def ask(name: str, one: MetricBackend) -> tuple[Sequence[AlarmState], int, str]:
            return one.alarms(services, names, window, pin, _own_place(after, places[name], count), limit)

        found, silent = self._ask_by_name(ask)
        merged = [
            replace(alarm, seq=alarm.seq * count + places[name])
            for name, (part, _, _) in found.items()
            for alarm in part
        ]
        merged.sort(key=lambda alarm: (alarm.at, alarm.seq), reverse=True)
        text = _text({name: text for name, (_, _, text) in found.items()}, silent)
        return merged[:limit], sum(matched for _, matched, _ in found.values()), text

    def standing(self, before: int, pin: int) -> Sequence[AlarmState]:
        """Return the latest state of each alarm of all."""
        found, _ = self._ask(lambda one: one.standing(before, pin))
        return [alarm for part in found.values() for alarm in part]

    def newest(self) -> int | None:
        """Return the time of the newest point of any, in ns."""
        found, _ = self._ask(lambda one: one.newest())
        return max((moment for moment in found.values() if moment is not None), default=None)

    def checks(self) -> Sequence[Check]:
        """Look at all; the checks of each are named after it."""
        found, _ = self._ask(lambda one: one.checks())
        return [
            Check(one.name if one.name == name else f"{name}: {one.name}", one.ok, one.detail, one.do)
            for name, part in found.items()
            for one in part
        ]

    def _ask(self, question: Callable[[MetricBackend], AnswerT]) -> _Answers[AnswerT]:
        return self._ask_by_name(lambda _, one: question(one))

    def _ask_by_name(self, question: Callable[[str, MetricBackend], AnswerT]) -> _Answers[AnswerT]:
        asked = ask_each(self._backends, question).by_some()
        return asked.said, asked.silent


def _own_place(after: tuple[int, int] | None, number: int, count: int) -> tuple[int, int] | None:
    """Return a place in the merged order as one of a backend's own: all of its changes before it come after."""
    if after is None:
        return None
    at, seq = after
    return at, -(-(seq - number) // count)


def _text(queries: Mapping[str, str], silent: Mapping[str, KitError]) -> str:
    told = [f"{name}: {query}" for name, query in queries.items()]
    return " | ".join([*told, *(f"{name}: NO ANSWER, {error}" for name, error in silent.items())])


def _joined(parts: Sequence[Cells], series: Sequence[int]) -> Cells:
    """Cells of all, with series numbered on and histograms as wide as the widest."""
    offsets = np.cumsum([0, *series[:-1]])
    width = max(part.filled.shape[1] for part in parts)
    return Cells(
        series=np.concatenate([part.series + offset for part, offset in zip(parts, offsets, strict=True)]),
        bucket=np.concatenate([part.bucket for part in parts]),
        value=np.concatenate([part.value for part in parts]),
        count=np.concatenate([part.count for part in parts]),
        seconds=np.concatenate([part.seconds for part in parts]),
        low=np.concatenate([part.low for part in parts]),
        high=np.concatenate([part.high for part in parts]),
        last=np.concatenate([part.last for part in parts]),
        filled=np.concatenate([np.pad(part.filled, ((0, 0), (0, width - part.filled.shape[1]))) for part in parts]),
    )
