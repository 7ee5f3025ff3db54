"""Run the whole matrix and print it as a table for docs/trouble.md: `python -m tests.trouble.table`."""

import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

from tests.e2e.story import Story
from tests.trouble.stage import SERVERS, Found, on_stage
from tests.trouble.troubles import TROUBLES, Trouble


def rows() -> Iterator[str]:
    """Yield the table's lines, each as soon as it is known."""
    yield f"| a server that … | {' | '.join(SERVERS)} | a gap says |"
    yield f"|---|{'---|' * len(SERVERS)}---|"
    with tempfile.TemporaryDirectory() as folder, on_stage(Path(folder), Story()) as stage:
        stage.undisturbed()
        for trouble in TROUBLES:
            cells = [told(stage.with_trouble(server, trouble), server, trouble) for server in SERVERS]
            yield f"| {trouble.name} | {' | '.join(cells)} | {trouble.says and f'… {trouble.says} …'} |"


def told(found: Found, server: str, trouble: Trouble) -> str:
    """Return one cell: the cause and its confidence or the outcome, and a mark where the gap is not named."""
    cause = next(iter(found.conclusion.root_causes), None)
    named = trouble.harmless or any(trouble.says in gap.why for gap in found.gaps_of(server))
    mark = "" if named else " (no gap)"
    if cause is None:
        return found.conclusion.outcome.value.replace("_", " ") + mark
    what = "right" if found.right else f"{cause.kind} at {cause.entity.partition(':')[2]}"
    return f"{what} {cause.confidence:.2f}{mark}"


if __name__ == "__main__":
    for line in rows():
        sys.stdout.write(line + "\n")
        sys.stdout.flush()
