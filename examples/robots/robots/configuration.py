"""The configuration beside the releases: files in a folder per service, which its instances read while they run.

Each change is recorded with its diff, that of `flags.json` as a flag. It decides nothing and restarts nothing: whoever
reads a file does so when it was replaced.
"""

import difflib
import hashlib
import json
import shutil
import uuid
from collections.abc import Mapping
from pathlib import Path

import anyio.to_thread
from pydantic import JsonValue

from robots.events import Note, now
from robots.fleet import SERVICES, Site
from robots.record import Change, Recorder

DEFAULTS = Path(__file__).with_name("defaults")
FLAGS, SETTINGS = "flags.json", "settings.json"


class UnknownFile(Exception):
    """Raised for a file that a service doesn't have; its text names those that it has."""


class Configuration:
    """Every service's files; `history` holds the texts that a file had, the current one last."""

    def __init__(self, site: Site, recorder: Recorder, note: Note) -> None:
        self.site = site
        self.recorder = recorder
        self.note = note
        self.history: dict[tuple[str, str], list[str]] = {}

    def prepare(self, settings: Mapping[str, Mapping[str, JsonValue]] = {}) -> None:
        """Write every service's files as they are at first, with some services' own settings; blocks for a moment."""
        for service in SERVICES:
            shutil.copytree(DEFAULTS / service, self.site.configuration(service), dirs_exist_ok=True)
            if service in settings:
                _add(self.site.configuration(service) / SETTINGS, settings[service])
            for path in sorted(self.site.configuration(service).iterdir()):
                self.history[service, path.name] = [path.read_text(encoding="utf-8")]

    def read(self, service: str, file: str) -> str:
        """Return a file's current text; raises UnknownFile."""
        if (service, file) not in self.history:
            known = [name for owner, name in self.history if owner == service]
            raise UnknownFile(f"{service or 'nobody'} has no file {file}; it has {', '.join(known) or 'none'}")
        return self.history[service, file][-1]

    async def change(self, service: str, file: str, text: str, *, by: str, title: str) -> Change:
        """Replace a file's text at once, record it, and return the record; raises UnknownFile."""
        before = self.read(service, file)
        began = now()
        await anyio.to_thread.run_sync(_replace, self.site.configuration(service) / file, text)
        self.history[service, file].append(text)
        path = f"config/{service}/{file}"
        change = Change(
            timestamp=began,
            change_id=f"config-{uuid.uuid4().hex[:12]}",
            kind="flag" if file == FLAGS else "config",
            service_name=service,
            title=title,
            author=by,
            version=_version(text),
            previous_version=_version(before),
            files=(path,),
            diff="".join(
                difflib.unified_diff(before.splitlines(True), text.splitlines(True), f"a/{path}", f"b/{path}")
            ),
            end_time=now(),
            outcome="succeeded",
        )
        await self.recorder.change(change)
        self.note(f"{title}: {file} of {service} is changed")
        return change

    async def put_back(self, service: str, file: str, *, by: str) -> Change:
        """Give a file the text that it had before its last change; raises UnknownFile."""
        self.read(service, file)
        texts = self.history[service, file]
        return await self.change(
            service, file, texts[max(0, len(texts) - 2)], by=by, title=f"Put back {service}/{file}"
        )


def _add(path: Path, settings: Mapping[str, JsonValue]) -> None:
    """Add settings to a file's JSON object."""
    document = json.loads(path.read_text(encoding="utf-8")) | settings
    path.write_text(json.dumps(document, indent=2) + "\n", encoding="utf-8")


def _replace(path: Path, text: str) -> None:
    """Write beside and rename, so that no reader sees half of it; the permissions stay."""
    fresh = path.with_name(f".{path.name}.fresh")
    fresh.write_text(text, encoding="utf-8")
    fresh.chmod(path.stat().st_mode)
    fresh.rename(path)


def _version(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:9]
