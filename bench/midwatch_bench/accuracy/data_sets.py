"""The data sets: how to read each, how coarse it is, and in which words its authors name a cause."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from midwatch.storage.journal import Journal
from midwatch_bench.accuracy.cloudopsbench import label as words_of_cloudopsbench
from midwatch_bench.accuracy.guess import Guess, changes, guesses
from midwatch_bench.importers import changerca, cloudopsbench, nezha, petshop, sockshop
from midwatch_bench.importers.case import Case


def entity_of(guess: Guess) -> str | None:
    """Return the label of a guess where a set's authors ask for the place alone."""
    return guess.entity


@dataclass(frozen=True)
class DataSet:
    """How to read a data set, and the settings that fit how coarse it is.

    `label` puts a guess into the words of the set, None where it has no words for it; a label that a case's `answers`
    hold is right. `guesses` are what a set's authors rank, from a journal and the name of an investigation.
    """

    cases: Callable[[Path], Iterable[Case]]
    lookback_seconds: float
    label: Callable[[Guess], str | None] = entity_of
    guesses: Callable[[Journal, str], list[Guess]] = guesses


SETS: Mapping[str, DataSet] = {
    "changerca": DataSet(changerca.cases, lookback_seconds=600, guesses=changes),
    "cloudopsbench": DataSet(cloudopsbench.cases, lookback_seconds=60, label=words_of_cloudopsbench),
    "nezha": DataSet(nezha.cases, lookback_seconds=300),
    "petshop": DataSet(petshop.cases, lookback_seconds=8 * 3600),
    "sockshop": DataSet(sockshop.cases, lookback_seconds=120),
}
