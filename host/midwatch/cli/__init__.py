"""The command line: what a person types, and what they read. Everything is a reading of the journal or a call of
something else; `--json` prints the same for programs. `app` says in which module each command is.
"""

from midwatch.cli.app import app, main

__all__ = ["app", "main"]
