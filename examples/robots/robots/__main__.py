"""The command line: `robots run`, `robots faults`, `robots truth`."""

import argparse
import json
import logging
import os
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

import anyio

from robots import listing
from robots.faults import DEFAULT, FAULTS
from robots.processes import NotStarted
from robots.record import StoreUnreachable
from robots.repository import GitFailed
from robots.run import Options, run

BASELINE_SECONDS = 25.0


def main(arguments: Sequence[str] | None = None) -> None:
    """Do what the command line says; exits with 1 and one clear message when something can't start."""
    asked = parser().parse_args(arguments)
    try:
        asked.act(asked)
    except KeyboardInterrupt:
        sys.exit(130)
    except BrokenPipeError:
        sys.exit(1)
    except BaseExceptionGroup as group:
        known = group.subgroup((NotStarted, StoreUnreachable, GitFailed, BrokenPipeError))
        if known is None:
            raise
        sys.exit(f"robots: {_first(known)}")
    except (NotStarted, StoreUnreachable, GitFailed) as error:
        sys.exit(f"robots: {error}")


def parser() -> argparse.ArgumentParser:
    """Return the command line's grammar."""
    top = argparse.ArgumentParser(prog="robots", description="A small real application to break.")
    commands = top.add_subparsers(required=True, metavar="COMMAND")
    start = commands.add_parser("run", help="run the application, break it, and tell what happens as JSON lines")
    start.add_argument(
        "--store-url", required=True, help="the telemetry store's receiver, such as http://127.0.0.1:4318"
    )
    start.add_argument("--otlp-url", help="where the services send spans, lines and metrics (default: the store)")
    start.add_argument("--dir", type=Path, help="a new or empty folder for the run's files (default: a temporary one)")
    start.add_argument(
        "--database-url",
        default=os.environ.get("ROBOTS_DATABASE_URL"),
        help="a PostgreSQL with its superuser, where the database is made anew (default: one is started for the run);"
        " with a password better in the environment as ROBOTS_DATABASE_URL",
    )
    start.add_argument("--webhook", default="", help="where the alarm posts Alertmanager's payload")
    start.add_argument("--baseline", type=float, default=BASELINE_SECONDS, help="healthy seconds before the fault")
    start.add_argument("--duration", type=float, help="seconds until it stops by itself (default: until told to)")
    start.add_argument("--mend-after", type=float, help="seconds from the alarm until the fault's fix is applied")
    _which(start)
    start.set_defaults(act=_run)
    faults = commands.add_parser("faults", help="list the faults")
    how = faults.add_mutually_exclusive_group()
    how.add_argument("--json", action="store_true", help="as JSON")
    how.add_argument("--table", action="store_true", help="as the Markdown table of the README")
    faults.set_defaults(act=_faults)
    truth = commands.add_parser("truth", help="print what an investigation should find, as JSON")
    _which(truth)
    truth.set_defaults(act=_truth)
    return top


def _which(command: argparse.ArgumentParser) -> None:
    command.add_argument("--fault", choices=list(FAULTS), default=DEFAULT)
    command.add_argument("--seed", type=int, default=1, help="moves times, instances, magnitudes and red herrings")


def _run(asked: argparse.Namespace) -> None:
    folder = asked.dir or Path(tempfile.mkdtemp(prefix="robots-"))
    if folder.is_dir() and any(folder.iterdir()):
        sys.exit(f"robots: {folder} isn't empty; a run wants a folder of its own, name a new one with --dir")
    logging.getLogger("psycopg").setLevel(logging.ERROR)  # it warns of each statement that a stop cuts short
    fault = FAULTS[asked.fault]
    anyio.run(
        run,
        Options(
            store_url=asked.store_url,
            otlp_url=asked.otlp_url or asked.store_url,
            folder=folder,
            webhook=asked.webhook,
            fault=fault,
            seed=asked.seed,
            baseline=asked.baseline,
            duration=asked.duration,
            mend_after=asked.mend_after,
            database_url=asked.database_url or None,
        ),
    )


def _faults(asked: argparse.Namespace) -> None:
    _print(listing.as_json() if asked.json else listing.as_table() if asked.table else listing.as_text())


def _truth(asked: argparse.Namespace) -> None:
    fault = FAULTS[asked.fault]
    _print(json.dumps(fault.truth(fault.plan(asked.seed)).document()))


def _print(text: str) -> None:
    sys.stdout.write(text + "\n")


def _first(group: BaseExceptionGroup[BaseException]) -> BaseException:
    first = group.exceptions[0]
    return _first(first) if isinstance(first, BaseExceptionGroup) else first


if __name__ == "__main__":
    main()
