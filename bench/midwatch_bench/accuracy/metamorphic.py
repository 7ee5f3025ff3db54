"""Whether cases are judged the same under other names, at another time, with rows in another order. Not a test.

    python -m midwatch_bench.accuracy.metamorphic SET=DIR… [--every N] [--cases GLOB]

Each case is run as it is, then once in each disguise: services (and with them instances, and whatever else is named
after them) under names that mean nothing, in another alphabetical order; all times three days later; the rows of each
table shuffled. What is ranked, the outcome and the confidence have to be the same up to the names. The exit code is 1
where they are not. A method that knows a data set's names, dates or order of rows is found out so; so is one that lets
an alphabet decide. The relations are metamorphic: nobody needs to know what is right (Chen et al., "Metamorphic
Testing: A New Approach for Generating Next Test Cases", 1998).
"""

import argparse
import random
import re
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from functools import cached_property
from pathlib import Path

from midwatch_bench.accuracy.data_sets import SETS
from midwatch_bench.accuracy.measured import Measured
from midwatch_bench.accuracy.running import Run, run_case
from midwatch_bench.importers.case import SECOND, Case, Row, Tables

LATER = timedelta(days=3)
_TIMES = ("EndTime", "StartTimeUnix", "TimeUnix", "Timestamp")
_WRITTEN = re.compile(r"\b\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d")
"""A time as it stands in texts; what follows of it (fractions, zone) stays."""


@dataclass(frozen=True)
class Names:
    """New names for services; `put` writes them into a text, also where others are made of them (`cart-7f-x`)."""

    new: Mapping[str, str]

    def put(self, text: str) -> str:
        """Return a text with the new names instead of the old ones."""
        return self._old.sub(lambda found: self.new[found[0]], text) if self.new else text

    @cached_property
    def _old(self) -> re.Pattern[str]:
        longest_first = sorted(self.new, key=lambda name: (-len(name), name))
        return re.compile(rf"(?<![A-Za-z0-9_])(?:{'|'.join(map(re.escape, longest_first))})(?![A-Za-z0-9_])")


def names_for(case: Case) -> Names:
    """Return names that mean nothing for all services of a case, in the reverse of their alphabetical order."""
    spoken = {str(row["ServiceName"]) for rows in case.telemetry().values() for row in rows if row.get("ServiceName")}
    named = {end for call in case.calls for end in call}
    alerting = set() if ":" in case.alert.service else {case.alert.service}
    old = sorted(spoken | named | alerting, reverse=True)
    return Names({name: f"svc-{number:03}" for number, name in enumerate(old)})


def renamed(case: Case, names: Names) -> Case:
    """Return a case whose services have other names."""
    title, service = names.put(case.alert.title), names.put(case.alert.service)
    return replace(
        case,
        alert=replace(case.alert, title=title, service=service),
        calls=tuple((names.put(caller), names.put(callee)) for caller, callee in case.calls),
        telemetry=lambda: _each_row(case.telemetry(), lambda row: _texts(row, names.put)),
        answers=frozenset(map(names.put, case.answers)),
    )


def later(case: Case) -> Case:
    """Return a case that happened `LATER` than it did."""
    alert = replace(case.alert, started_at=case.alert.started_at + LATER, seen_at=case.alert.seen_at + LATER)
    return replace(case, alert=alert, telemetry=lambda: _each_row(case.telemetry(), _moved))


def shuffled(case: Case) -> Case:
    """Return a case whose rows are in another order."""
    return replace(case, telemetry=lambda: {name: _shuffle(rows) for name, rows in case.telemetry().items()})


def differences(plain: Measured, disguised: Measured, names: Names) -> Iterator[str]:
    """Tell in what a case in disguise was judged differently; the names are those of the disguise."""
    expected = [names.put(label) for label in plain.ranked]
    if list(disguised.ranked) != expected:
        yield f"held {', '.join(disguised.ranked[:3]) or 'nothing'}, not {', '.join(expected[:3]) or 'nothing'}"
    if (disguised.outcome, disguised.place) != (plain.outcome, plain.place):
        yield f"{disguised.outcome} at place {disguised.place}, not {plain.outcome} at {plain.place}"
    if disguised.confidence != plain.confidence:
        yield f"confidence {disguised.confidence}, not {plain.confidence}"


def _each_row(tables: Tables, change: Callable[[Row], Row]) -> Tables:
    return {name: [change(row) for row in rows] for name, rows in tables.items()}


def _texts(row: Row, put: Callable[[str], str]) -> Row:
    """Return a row with all its texts changed, those in its attributes as well; its columns' names stay."""
    return {
        column: put(value)
        if isinstance(value, str)
        else {key: put(str(text)) for key, text in value.items()}
        if isinstance(value, Mapping)
        else value
        for column, value in row.items()
    }


def _moved(row: Row) -> Row:
    moved = int(LATER.total_seconds()) * SECOND
    times = {name: value + moved for name in _TIMES if isinstance(value := row.get(name), int)}
    return {**_texts(row, lambda text: _WRITTEN.sub(_written_later, text)), **times}


def _written_later(found: re.Match[str]) -> str:
    return (datetime.fromisoformat(found[0]) + LATER).isoformat()


def _shuffle(rows: Sequence[Row]) -> list[Row]:
    return random.Random(7).sample(rows, len(rows))


def check(run: Run, case: Case) -> dict[str, list[str]]:
    """Run a case as it is and in each disguise; return what differs, by disguise."""
    names, same = names_for(case), Names({})
    disguises = {
        "renamed": (renamed(case, names), names),
        "later": (later(case), same),
        "shuffled": (shuffled(case), same),
    }
    plain = run_case(run, case)
    return {name: list(differences(plain, run_case(run, other), put)) for name, (other, put) in disguises.items()}


def main() -> None:
    """Check every nth case of each set; print a line for each case."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("sets", nargs="+", metavar="SET=DIR")
    parser.add_argument("--every", type=int, default=1)
    parser.add_argument("--cases", default="*")
    asked = parser.parse_args()
    given = [(name, Path(folder)) for name, _, folder in (each.partition("=") for each in asked.sets)]
    if unknown := sorted({name for name, _ in given} - set(SETS)):
        parser.error(f"no data set is called {', '.join(unknown)}: there are {', '.join(SETS)}")
    total = other = 0
    for name, folder in given:
        run = Run(name, folder, cases=asked.cases)
        for case in run.chosen()[:: asked.every]:
            found = {disguise: told for disguise, told in check(run, case).items() if told}
            total, other = total + 1, other + bool(found)
            print(f"{'OTHER' if found else 'same':6}{name} {case.name}", flush=True)
            for disguise, told in found.items():
                print(f"      {disguise}: {'; '.join(told)}", flush=True)
    print(f"{total} cases, {other} judged differently in a disguise")
    sys.exit(1 if other else 0)


if __name__ == "__main__":
    main()
