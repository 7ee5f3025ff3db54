"""What a service can be told while it runs: JSON files in `CONFIG_DIR`, read again when one was replaced.

`settings.json` holds figures, `flags.json` what is switched on. A release carries the defaults: a value that is in no
file is the caller's default. Secrets and addresses are the environment's.
"""

import json
import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from app.environment import text

logger = logging.getLogger(__name__)


class Settings:
    """One file's JSON object, as it is now."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._seen: tuple[int, int] | None = None
        self._kept: Mapping[str, Any] = {}

    def current(self) -> Mapping[str, Any]:
        """Return the object; a file that can't be read is told once, and what it said before goes on to count."""
        try:
            stat = self.path.stat()
        except FileNotFoundError:
            return self._kept
        if (seen := (stat.st_ino, stat.st_mtime_ns)) != self._seen:
            self._seen = seen
            self._read()
        return self._kept

    def number(self, name: str, default: float) -> float:
        """Return a figure."""
        value = self.current().get(name, default)
        return float(value) if isinstance(value, int | float) else default

    def on(self, name: str) -> bool:
        """Whether something is switched on; what isn't mentioned is off."""
        return self.current().get(name) is True

    def table(self, name: str) -> Mapping[str, Any]:
        """Return a group of values, empty when there is none."""
        value = self.current().get(name)
        return value if isinstance(value, dict) else {}

    def _read(self) -> None:
        try:
            document = json.loads(self.path.read_text(encoding="utf-8"))
        except (OSError, ValueError) as error:
            logger.error("can't read %s, keeping what it said before: %s", self.path.name, error)
            return
        if document != self._kept:
            self._kept = document
            logger.info("%s is now %s", self.path.name, json.dumps(document))


def settings() -> Settings:
    """Return the service's figures."""
    return Settings(Path(text("CONFIG_DIR", ".")) / "settings.json")


def flags() -> Settings:
    """Return what is switched on in the service."""
    return Settings(Path(text("CONFIG_DIR", ".")) / "flags.json")
