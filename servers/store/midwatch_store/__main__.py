"""The command line: `midwatch-store serve`, `import`, `cut` and `info`."""

import argparse
import json
import logging
import sys
from collections.abc import Sequence
from dataclasses import asdict
from datetime import UTC, datetime, timedelta
from pathlib import Path

from pydantic import ByteSize, ValidationError

from midwatch_store.errors import StoreError
from midwatch_store.reader import Store
from midwatch_store.settings import Settings
from midwatch_store.summary import as_text, summarise


def main(argv: Sequence[str] | None = None) -> int:
    """Run a command; 0 when all went well, 1 when the store or the data did not allow it, 2 for wrong arguments."""
    logging.basicConfig(stream=sys.stderr, level=logging.INFO, format="midwatch-store: %(message)s")
    try:
        given = vars(_parser().parse_args(argv))
        return _COMMANDS[given.pop("command")](given)
    except ValidationError as error:
        first = error.errors()[0]
        name = str(first["loc"][0])
        message = first["msg"].removeprefix("Value error, ")
        return _fail(f"--{name.replace('_', '-')} (or MIDWATCH_STORE_{name.upper()}): {message}", 2)
    except ModuleNotFoundError as error:
        return _fail(f"this needs {error.name}: install 'midwatch-store[receiver]'")
    except (StoreError, OSError) as error:
        return _fail(str(error))


def _serve(given: dict[str, object]) -> int:
    from midwatch_store.service import run  # noqa: PLC0415 - the receiver's libraries may not be installed

    run(Settings(**given))  # type: ignore[arg-type]  # pydantic checks them
    return 0


def _import(given: dict[str, object]) -> int:
    from midwatch_store.importer import import_files  # noqa: PLC0415 - as above
    from midwatch_store.writer import Writer  # noqa: PLC0415 - as above

    with Writer(str(given["dir"])) as writer:
        done = import_files(writer, [Path(str(path)) for path in _listed(given["files"])])
    for problem in done.problems:
        sys.stderr.write(f"midwatch-store: {problem}\n")
    for table, rows in done.rows.items():
        sys.stdout.write(f"{table}: {rows:,} rows\n")
    return 1 if done.problems else 0


def _cut(given: dict[str, object]) -> int:
    from midwatch_store.cut import cut  # noqa: PLC0415 - as above

    start, end = (_moment(str(given[name])) for name in ("start", "end"))
    done = cut(Path(str(given["dir"])), Path(str(given["to"])), start, end)
    for name, why in done.left_out.items():
        sys.stderr.write(f"midwatch-store: {name} was left out: {why}\n")
    rows = "\n".join(f"{table}: {count:,} rows" for table, count in done.rows.items())
    sys.stdout.write((json.dumps(asdict(done)) if given["json"] else rows) + "\n")
    return 0


def _info(given: dict[str, object]) -> int:
    with Store(str(given["dir"])) as store:
        summary = summarise(store)
    sys.stdout.write((summary.model_dump_json(indent=2) if given["json"] else as_text(summary)) + "\n")
    return 0


_COMMANDS = {"serve": _serve, "import": _import, "cut": _cut, "info": _info}


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="midwatch-store", description="The embedded telemetry store")
    commands = parser.add_subparsers(dest="command", required=True)
    serve = commands.add_parser("serve", help="receive OTLP over HTTP", argument_default=argparse.SUPPRESS)
    for name, field in Settings.model_fields.items():
        serve.add_argument(f"--{name.replace('_', '-')}", help=f"{field.description} (default {_shown(field.default)})")
    importing = commands.add_parser("import", help="read the Collector's file-exporter output")
    importing.add_argument("files", nargs="+", metavar="FILE")
    cutting = commands.add_parser("cut", help="copy the rows of a window into a new store")
    cutting.add_argument("--to", required=True, help="the new store's directory")
    for name in ("--start", "--end"):
        cutting.add_argument(name, required=True, metavar="TIME", help="in RFC 3339, such as 2026-11-20T02:48:00Z")
    info = commands.add_parser("info", help="say what a store holds")
    for command in (cutting, info):
        command.add_argument("--json", action="store_true")
    for command in (importing, cutting, info):
        command.add_argument("--dir", default=Settings().dir, help="the store's directory (default %(default)s)")
    return parser


def _moment(text: str) -> datetime:
    """A time as typed; one without an offset is UTC."""
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise StoreError(f"{text!r} is no time: write it as 2026-11-20T02:48:00Z") from None
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def _shown(default: object) -> str:
    """A default as it would be typed."""
    if isinstance(default, timedelta):
        return f"{default // timedelta(hours=1)}h"
    return default.human_readable().replace(".0", "") if isinstance(default, ByteSize) else str(default)


def _listed(value: object) -> list[object]:
    return value if isinstance(value, list) else []


def _fail(message: str, code: int = 1) -> int:
    sys.stderr.write(f"midwatch-store: {message}\n")
    return code


if __name__ == "__main__":
    sys.exit(main())
