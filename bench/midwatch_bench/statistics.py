"""The kit's statistics against their peers, in one run on the same data: ratios of time, and errors. Not a test.

    python -m midwatch_bench.statistics [--lines 200000]

Peers that are not installed are left out: `ruptures` for onsets, `drain3` for templates. Figures of time are ratios
to the kit's own, so that they mean something on any machine: above 1 the peer is slower.
"""

import argparse
import importlib
import random
import time
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from midwatch_kit.statistics import MASKS, LogGroup, compare, level_shifts, survey_templates

Rows: TypeAlias = NDArray[np.float64]

BUCKETS = 80
STARTS = np.arange(BUCKETS, dtype=np.int64)
ROWS = 150


def timed(call: Callable[[], Any]) -> tuple[float, Any]:
    """The least of three runs, in seconds, and what the call gave."""
    best, value = float("inf"), None
    for _ in range(3):
        began = time.perf_counter()
        value = call()
        best = min(best, time.perf_counter() - began)
    return best, value


def peer(name: str) -> Any:
    """A module, or None when it is not installed."""
    try:
        return importlib.import_module(name)
    except ImportError:
        print(f"  {name} is not installed: left out")
        return None


def first_change(breaks: Sequence[int], size: int) -> int | None:
    """The first break that ruptures gave, without the end of the series, which it always gives."""
    inner = [b for b in breaks if b < size]
    return inner[0] if inner else None


def ruptures_calls(ruptures: Any) -> dict[str, Callable[[Rows], int | None]]:
    """Ways of asking ruptures for one onset; penalties as its own documentation suggests (2 to 3 log n)."""
    penalty = 3 * np.log(BUCKETS)

    def scaled(row: Rows) -> Rows:
        return row / (np.median(np.abs(np.diff(row))) / 0.954 or 1.0)

    return {
        "Pelt l2": lambda row: first_change(
            ruptures.Pelt(model="l2", min_size=2, jump=1).fit(scaled(row)).predict(pen=penalty), BUCKETS
        ),
        "Binseg l2": lambda row: first_change(
            ruptures.Binseg(model="l2", min_size=2, jump=1).fit(scaled(row)).predict(pen=penalty), BUCKETS
        ),
        "KernelCPD": lambda row: first_change(
            ruptures.KernelCPD(kernel="rbf", min_size=2).fit(row).predict(pen=penalty / 2), BUCKETS
        ),
    }


def samples() -> dict[str, tuple[Rows, int | None]]:
    """Series with a shift at bucket 60 (or none), and the bucket of the truth."""
    rng = np.random.default_rng(1)
    noise, wild = rng.normal(100, 5, (ROWS, BUCKETS)), rng.standard_t(3, (ROWS, BUCKETS)) * 5 + 100
    step = np.where(np.arange(BUCKETS) >= 60, 15.0, 0.0)
    wander = rng.normal(0, 5, (ROWS, BUCKETS))
    for i in range(1, BUCKETS):
        wander[:, i] += 0.6 * wander[:, i - 1]
    return {
        "noise": (noise, None),
        "outliers": (wild, None),
        "wandering": (wander + 100, None),
        "shift": (noise + step, 60),
        "shift+out": (wild + step, 60),
    }


def bench_onset() -> None:
    """Time, how often the truth is told (a change or none), and the mean error in buckets, by method."""
    print(f"onset: {ROWS} series of {BUCKETS} buckets, shift of 3 sigma at bucket 60")
    print(f"  {'method':<12}{'series':<12}{'time':>8}{'right':>8}{'error':>8}")
    ruptures = peer("ruptures")
    for name, (rows, truth) in samples().items():
        own, shifts = timed(partial(level_shifts, rows, STARTS, 1))
        report("own scan", name, 1.0, [s.onset if s else None for s in shifts], truth)
        for method, call in (ruptures_calls(ruptures) if ruptures else {}).items():
            took, found = timed(partial(lambda ask, series: [ask(row) for row in series], call, rows))
            report(method, name, took / own, found, truth)


def report(method: str, series: str, ratio: float, found: Sequence[int | None], truth: int | None) -> None:
    """One line of the table of onsets."""
    right = np.mean([(f is None) == (truth is None) for f in found])
    errors = [abs(f - truth) for f in found if f is not None and truth is not None]
    error = f"{np.mean(errors):8.2f}" if errors else f"{'-':>8}"
    print(f"  {method:<12}{series:<12}{ratio:>7.1f}x{right:>8.1%}{error}")


def log_lines(count: int) -> list[str]:
    """Lines of ten kinds, as services write them; seeded."""
    rng = random.Random(2)
    kinds: list[Callable[[], str]] = [
        lambda: f"GET /bots/{rng.randrange(10**6)}/run 200 {rng.randrange(900)}ms",
        lambda: f"user u{rng.randrange(10**4)}@example.com logged in from 10.0.0.{rng.randrange(255)}",
        lambda: f"request id={rng.getrandbits(128):032x} done in {rng.random():.3f} s",
        lambda: f'cache miss for key="forge:{rng.randrange(10**5)} blue"',
        lambda: f"could not open /var/lib/forge/{rng.randrange(10**5)}.db: No such file",
        lambda: (
            f"retry {rng.randrange(5)} of 5 for {rng.getrandbits(32):08x}-1234-5678-9abc-{rng.getrandbits(48):012x}"
        ),
        lambda: f"connection to {rng.choice(['redis', 'postgres'])} failed: timeout after {rng.randrange(90)} s",
        lambda: f"status={rng.choice([200, 500])} upstream forge-{rng.randrange(30)}",
        lambda: f"worker {rng.randrange(64)} took job {rng.randrange(10**7)} from queue actions",
        lambda: "heartbeat ok",
    ]
    return [rng.choice(kinds)() for _ in range(count)]


def bench_templates(count: int) -> None:
    """Time and number of templates over the same lines, and how either changes when the lines come in another order."""
    lines = log_lines(count)
    turned = lines[::-1]
    print(f"templates: {count} lines of 10 kinds (12 with names and status classes told apart)")
    own, found = timed(lambda: own_templates(lines))
    print(f"  own        1.0x  {len(found)} templates, the same in reverse order: {own_templates(turned) == found}")
    if drain := peer("drain3"):
        masking = importlib.import_module("drain3.masking")
        took, found = timed(lambda: drain_templates(drain, masking, lines))
        same = drain_templates(drain, masking, turned) == found
        print(f"  drain3  {took / own:6.1f}x  {len(found)} templates, the same in reverse order: {same}")


def own_templates(lines: Sequence[str]) -> set[str]:
    """The kit's templates of lines that come one by one."""
    groups = (LogGroup(line, 1, 0, "window") for line in lines)
    return {t.template for t in survey_templates(groups, baseline_seconds=1, window_seconds=1).templates}


def drain_templates(drain: Any, masking: Any, lines: Sequence[str]) -> set[str]:
    """drain3's templates with the kit's own masks, so that both see the same words."""
    config = importlib.import_module("drain3.template_miner_config").TemplateMinerConfig()
    masks = [(pattern, replacement.strip("<>")) for pattern, replacement in MASKS if "<" in replacement]
    config.masking_instructions = [masking.MaskingInstruction(*pair) for pair in masks]
    miner = drain.TemplateMiner(config=config)
    for line in lines:
        miner.add_log_message(line)
    return {cluster.get_template() for cluster in miner.drain.clusters}


def bench_baseline() -> None:
    """The comparison of many series at once against one call for each."""
    rng = np.random.default_rng(3)
    baseline, window = rng.normal(100, 5, (5000, 180)), rng.normal(100, 5, (5000, 60))
    own, _ = timed(lambda: compare(baseline, window))
    each, _ = timed(lambda: [compare(baseline[i], window[i]) for i in range(500)])
    print(f"baseline: 5000 series at once {5000 / own:,.0f} series/s; one by one {each * 10 / own:.0f}x as long")


def main() -> None:
    """Run all benches."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--lines", type=int, default=200_000, help="log lines for the bench of templates")
    arguments = parser.parse_args()
    bench_baseline()
    bench_onset()
    bench_templates(arguments.lines)


if __name__ == "__main__":
    main()
