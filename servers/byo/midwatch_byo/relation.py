"""Log lines in a team's own files, as the relation that the shared SQL asks. Which objects, read how, is elsewhere.

`seq` is an object's number in the manifest and the line's number in it, so (time, seq) is a total order that stays
the same for as long as a cursor pins the manifest.
"""

import threading
from collections.abc import Mapping, Sequence
from typing import Any, Final

import duckdb

from midwatch_byo.cache import Kept, ObjectCache
from midwatch_byo.census import Census
from midwatch_byo.manifest import Manifest, ManifestShelf, needed, objects_changed
from midwatch_byo.mapping import Source
from midwatch_byo.parse import CONFIG, quoted
from midwatch_byo.places import Place, StoredObject
from midwatch_byo.settings import ByoSettings
from midwatch_kit import BackendDown, BadInput, Check, Window
from midwatch_kit.logs import Scope, ns_of

_EMPTY: Final = """SELECT NULL::TIMESTAMP_NS AS time, NULL::BIGINT AS seq, NULL::INTEGER AS severity,
    ''::VARCHAR AS service, ''::VARCHAR AS instance, ''::VARCHAR AS message, ''::VARCHAR AS trace_id,
    NULL::MAP(VARCHAR, VARCHAR) AS attributes WHERE false"""
_READ: Final = """SELECT time, ([{numbers}][file_index::BIGINT + 1]::BIGINT << 32) + number AS seq, severity, service,
    instance, message, trace_id, attributes FROM read_parquet([{paths}]) WHERE {condition}"""
_ATTEMPTS: Final = 3


class FileLogs:
    """The log lines of all sources of a mapping."""

    def __init__(self, sources: Mapping[str, Source], places: Mapping[str, Place], settings: ByoSettings) -> None:
        self._sources = sources
        self._places = places
        self._limit = settings.read_max_bytes
        self._shelf = ManifestShelf(settings.cache_dir / "manifests")
        self._cache = ObjectCache(settings.cache_dir / "objects", settings.cache_max_bytes, settings.read_max_bytes)
        self._census = Census(sources, places)
        self._lock = threading.Lock()
        self._newest: int | None = None
        self._faults: dict[StoredObject, str] = {}

    def pin(self, windows: Sequence[Window]) -> int:
        """Return the pin of the objects that the windows need; see manifest for what it promises."""
        return self._shelf.put(self._list(windows))

    def run(self, sql: str, parameters: Mapping[str, object], scope: Scope) -> list[tuple[Any, ...]]:
        """Return the rows of a SELECT over `lines`; raises `BadInput` when the objects are more than the limit."""
        manifest = self._manifest(scope)
        self._refuse_too_much(manifest)
        for attempt in range(_ATTEMPTS):
            kept = self._cache.read(manifest.objects, self._sources, self._places)
            self._remember(manifest, kept)
            try:
                return _query(kept, scope, sql, parameters)
            except duckdb.Error as error:
                # A copy may have had to make room, for another server that shares the cache, since it was looked up.
                if attempt == _ATTEMPTS - 1 or not isinstance(error, duckdb.IOException):
                    raise BackendDown(f"the files could not be asked: {_first_line(error)}") from None
        raise AssertionError("unreachable")

    def describe(self, scope: Scope) -> str:
        """Return how many objects and bytes were read, out of how many, and what in them could not be read."""
        manifest = self._manifest(scope)
        told = self._census.totals()
        known = [self._cache.known(found, self._sources[found.source]) for found in manifest.objects]
        unreadable = sum(parsed.unreadable for parsed in known if parsed)
        lost = [found.key for found in manifest.objects if found in self._faults]
        return (
            f"read {len(manifest.objects)} of {told.objects} objects, {manifest.bytes} of {told.bytes} bytes"
            + (f"; {unreadable} unreadable lines left out" if unreadable else "")
            + (f"; {len(lost)} objects cannot be read ({', '.join(lost[:3])})" if lost else "")
        )

    def newest(self) -> int | None:
        """Return the time of the newest line read so far in ns; None before any was."""
        return self._newest

    def checks(self) -> list[Check]:
        """Look at each source: can it be listed, does it fit the layout, can its newest object be read."""
        found = self._census.checks(self._cache)
        faults = [f"{lost.key} ({reason})" for lost, reason in sorted(self._faults.items(), key=lambda f: f[0].key)]
        if faults:
            detail = f"{len(faults)} cannot be read: {'; '.join(faults[:3])}"
            found.append(Check("objects", ok=False, detail=detail, do="restore or delete them"))
        return found

    def _list(self, windows: Sequence[Window]) -> Manifest:
        found = [needed(source, self._places[name], windows) for name, source in self._sources.items()]
        return Manifest(tuple(sorted((o for objects in found for o in objects), key=lambda o: (o.source, o.key))))

    def _manifest(self, scope: Scope) -> Manifest:
        if manifest := self._shelf.get(scope.pin):
            return manifest
        manifest = self._list(scope.windows)
        if self._shelf.put(manifest) != scope.pin:
            raise objects_changed()
        return manifest

    def _refuse_too_much(self, manifest: Manifest) -> None:
        if manifest.bytes > self._limit:
            raise BadInput(
                f"this needs {manifest.bytes / 2**20:.1f} MiB in {len(manifest.objects)} objects, and one question may "
                f"read {self._limit / 2**20:.1f} MiB: narrow the window (and its baseline), or raise "
                "MIDWATCH_BYO_READ_MAX_BYTES"
            )

    def _remember(self, manifest: Manifest, kept: Sequence[Kept]) -> None:
        times = [copy.parsed.last_ns for copy in kept if copy.parsed.last_ns is not None]
        faults = {found: copy.parsed.fault for found, copy in zip(manifest.objects, kept, strict=True) if not copy.path}
        with self._lock:
            self._newest = max([*times, *([] if self._newest is None else [self._newest])], default=None)
            self._faults = {**self._faults, **faults}


def _query(kept: Sequence[Kept], scope: Scope, sql: str, parameters: Mapping[str, object]) -> list[tuple[Any, ...]]:
    spans: list[str] = []
    bounds: dict[str, object] = {}
    for i, window in enumerate(scope.windows):
        spans.append(f"(time >= make_timestamp_ns($from{i}) AND time < make_timestamp_ns($to{i}))")
        bounds |= {f"from{i}": ns_of(window.start), f"to{i}": ns_of(window.end)}
    paths = {number: quoted(str(copy.path)) for number, copy in enumerate(kept) if copy.path}
    numbers = ", ".join(map(str, paths))
    lines = _READ.format(numbers=numbers, paths=", ".join(paths.values()), condition=" OR ".join(spans))
    with duckdb.connect(config=CONFIG) as database:
        database.execute("SET TimeZone = 'UTC'")
        try:
            statement = f"WITH lines AS ({lines if paths else _EMPTY}) {sql}"
            return database.execute(statement, {**(bounds if paths else {}), **parameters}).fetchall()
        except (duckdb.InvalidInputException, duckdb.OutOfRangeException) as error:
            raise BadInput(f"this search cannot be run: {_first_line(error)}") from None


def _first_line(error: Exception) -> str:
    return str(error).splitlines()[0][:300]
