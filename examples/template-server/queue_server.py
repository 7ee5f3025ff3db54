"""Depths of queues, from a CSV file with `at,queue,service,depth`: which fill up, and since when. Only reads."""

import csv
from collections.abc import Iterator
from datetime import UTC, datetime
from itertools import groupby
from operator import attrgetter
from pathlib import Path
from typing import NamedTuple

from midwatch_kit import (
    BackendDown,
    Check,
    Entity,
    EvidenceServer,
    Finding,
    NotFound,
    ObservationKind,
    Relation,
    ServerSettings,
    Signal,
    Window,
    rfc3339,
    run,
)
from midwatch_kit.statistics import compare, level_shifts
from pydantic import Field, JsonValue

MINUTE_NS = 60 * 10**9
SHIFTED = 3.5


class QueueSettings(ServerSettings):
    """`MIDWATCH_FILE` or `--file`, beside the settings that every server has."""

    file: Path = Field(Path("depths.csv"), description="the CSV file with the depths")


class Depth(NamedTuple):
    """How many messages waited in a queue at one minute, and for which service."""

    queue: str
    service: str
    at: datetime
    depth: float


def build(settings: QueueSettings) -> EvidenceServer:
    """Return the server; the file need not be there yet."""
    server = EvidenceServer("queues", Signal.METRICS, settings, version="0.1.0", instructions="Depths of queues.")

    @server.discover("List queues")
    def list_queues() -> Iterator[Entity | Relation]:
        """Queues, and the services that work them off."""
        for queue, service in sorted({(each.queue, each.service) for each in read_depths(settings.file)}):
            yield Entity(id=f"queue:{queue}", kind="queue", name=queue)
            yield Entity(id=f"service:{service}", kind="service", name=service)
            yield Relation(source=f"service:{service}", target=f"queue:{queue}", kind="reads")

    @server.survey("Survey queues")
    def survey_queues(window: Window, baseline: Window) -> Iterator[tuple[JsonValue, Finding]]:
        """Depth of each queue in the window against the baseline, ranked."""
        span = Window(start=baseline.start, end=window.end)
        for _, depths in groupby(within(read_depths(settings.file), span), key=attrgetter("queue")):
            series = list(depths)
            before = [each for each in series if each.at < baseline.end]
            after = [each for each in series if each.at >= window.start]
            if before and after:
                yield surveyed(before, after)

    @server.drill_down("Read queue", key="queue")
    def read_queue(queue: str, window: Window) -> list[dict[str, JsonValue]]:
        """Depth of one queue, minute by minute."""
        depths = read_depths(settings.file)
        if queue not in (known := {each.queue for each in depths}):
            raise NotFound(f"there is no queue {queue!r}: there are {', '.join(sorted(known)) or 'none'}")
        return [row_of(each) for each in within(depths, window) if each.queue == queue]

    @server.check("Check queues")
    def check_queues() -> Check:
        """Can the depths be read."""
        there = settings.file.is_file()
        return Check("file", ok=there, detail=str(settings.file), do="" if there else "name it: --file")

    return server


def read_depths(file: Path) -> list[Depth]:
    """Return all depths, by queue and time; raises `BackendDown` when the file cannot be read."""
    try:
        with file.open(newline="", encoding="utf-8") as lines:
            return sorted(depth_of(row) for row in csv.DictReader(lines))
    except OSError as error:
        raise BackendDown(f"cannot read {file} ({error.strerror}): name the file with --file") from None


def depth_of(row: dict[str, str]) -> Depth:
    """Return a line of the file as a depth."""
    return Depth(row["queue"], row["service"], datetime.fromisoformat(row["at"]).astimezone(UTC), float(row["depth"]))


def row_of(each: Depth) -> dict[str, JsonValue]:
    """Return a depth as it is kept as evidence."""
    return {"at": rfc3339(each.at), "queue": each.queue, "depth": each.depth}


def within(depths: list[Depth], window: Window) -> list[Depth]:
    """Return the depths in a window."""
    return [each for each in depths if window.start <= each.at < window.end]


def surveyed(before: list[Depth], after: list[Depth]) -> tuple[JsonValue, Finding]:
    """Return what became of one queue, with the figures that it rests on."""
    name, service = after[0].queue, after[0].service
    level = compare([[each.depth for each in before]], [[each.depth for each in after]]).row(0)
    moved = abs(level.score) >= SHIFTED
    kind = (ObservationKind.SPIKE if level.score > 0 else ObservationKind.DROP) if moved else ObservationKind.NORMAL
    row: JsonValue = {
        "queue": name,
        "before": [row_of(each) for each in before],
        "now": [row_of(each) for each in after],
    }
    return row, Finding(
        entity=f"queue:{name}",
        kind=kind,
        subject="queue_depth",
        statement=f"{name} holds {level.window:g} messages, {level.baseline:g} before",
        onset=onset_of([*before, *after]) if moved else None,
        magnitude=level.window,
        baseline=level.baseline,
        unit="messages",
        direction=("up" if level.score > 0 else "down") if moved else "none",
        score=level.score,
        related=f"service:{service}",
    )


def onset_of(series: list[Depth]) -> datetime | None:
    """Return when a series moved to another level, if that can be told."""
    starts = [int(each.at.timestamp()) * 10**9 for each in series]
    [shift] = level_shifts([[each.depth for each in series]], starts, MINUTE_NS)
    return datetime.fromtimestamp(shift.onset / 10**9, UTC) if shift else None


def main() -> None:
    """Serve as the settings say."""
    run(build, QueueSettings)


if __name__ == "__main__":
    main()
