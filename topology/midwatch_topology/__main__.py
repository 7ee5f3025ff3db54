"""`python -m midwatch_topology FILE`: a topology that was saved as JSON, as a picture or as text.

Finding a topology out is the host's part; this only shows one.
"""

import argparse
import sys
from pathlib import Path

from pydantic import ValidationError

from midwatch_topology.export import from_json, to_json, to_mermaid
from midwatch_topology.graph import Topology, UnknownEntity
from midwatch_topology.svg import to_svg


def main() -> None:
    """Write the topology of a JSON file to standard output; exits with 2 and one clear line when it cannot."""
    options = _options()
    try:
        topology = from_json(options.file.read_text(encoding="utf-8"))
        print(_shown(topology, options.format, options.path), end="")  # noqa: T201 - this is the command's output
    except OSError as error:
        _stop(f"cannot read {options.file}: {error.strerror}")
    except ValidationError as error:
        _stop(f"{options.file} is no exported topology: {error.errors()[0]['msg']}")
    except UnknownEntity as error:
        _stop(str(error))


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m midwatch_topology", description="Show an exported topology.")
    parser.add_argument("file", type=Path, help="JSON, as to_json writes it")
    parser.add_argument("--format", choices=["svg", "mermaid", "json"], default="svg")
    parser.add_argument("--path", nargs=2, metavar=("CAUSE", "SYMPTOM"), help="mark the shortest path between two")
    return parser.parse_args()


def _shown(topology: Topology, form: str, ends: list[str] | None) -> str:
    if form == "json":
        return to_json(topology, indent=1) + "\n"
    paths = topology.paths(topology.find(ends[0]), topology.find(ends[1]), limit=1) if ends else ()
    highlight = paths[0].entities if paths else ()
    return to_mermaid(topology, highlight) if form == "mermaid" else to_svg(topology, highlight)


def _stop(reason: str) -> None:
    sys.stderr.write(f"{reason}\n")
    sys.exit(2)


if __name__ == "__main__":
    main()
