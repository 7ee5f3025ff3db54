"""Records a command in a terminal of its own and draws what it printed as an SVG; how `docs/demo.svg` is made.

python docs/record.py docs/demo.svg --width 150 -- midwatch demo --seed 1
"""

import argparse
import os
import pty
import sys
from pathlib import Path

from rich.console import Console
from rich.text import Text


def main() -> None:
    """Run the command, show its output as it comes, and write the picture; exits as the command did."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("picture", type=Path)
    parser.add_argument("--width", type=int, default=150)
    parser.add_argument("command", nargs="+")
    asked = parser.parse_args()
    os.environ.update(COLUMNS=str(asked.width), LINES="50", TERM="xterm-256color", FORCE_COLOR="1", CI="true")
    printed = bytearray()

    def keep(descriptor: int) -> bytes:
        data = os.read(descriptor, 65_536)
        printed.extend(data)
        return data

    status = pty.spawn(asked.command, keep)
    console = Console(record=True, width=asked.width, file=Path(os.devnull).open("w", encoding="utf-8"))  # noqa: SIM115
    console.print(Text.from_ansi(printed.decode(errors="replace").replace("\r\n", "\n")))
    console.save_svg(str(asked.picture), title=" ".join(asked.command))
    sys.exit(os.waitstatus_to_exitcode(status))


if __name__ == "__main__":
    main()
