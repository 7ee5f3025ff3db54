"""What a host stands on, beside its servers: settings, database, disk, clock, address, models, channels.

Everything is asked as the host itself would ask it; nothing is changed, and nothing is said to anybody.
"""

import shutil
from collections.abc import AsyncGenerator, Iterator
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final

import anyio
import httpx2
import sqlalchemy as sa

from midwatch.channels.opening import check_channels
from midwatch.claude.models import open_models
from midwatch.config.check import check
from midwatch.doctor import Finding
from midwatch.errors import BadSettings, DatabaseDown, HostError
from midwatch.serving import listen
from midwatch.settings import Settings
from midwatch.steering.files import files_of
from midwatch.storage.database import Database
from midwatch.storage.state import where_of
from midwatch.storage.tables import REVISION, records
from midwatch_kit.window import rfc3339

_MAY_WRITE: Final = sa.text("SELECT NOT pg_is_in_recovery() AND has_table_privilege('records', 'INSERT')")
_INSTEAD: Final = "restore it from a backup, or name another one: data_dir, or database_url"
_LEAST_BYTES: Final = 2**30
_LEAST_SHARE: Final = 0.02
_OFF_SECONDS: Final = 2.0
_ASKED_SECONDS: Final = 3.0


async def surroundings(settings: Settings) -> AsyncGenerator[Finding]:
    """Yield what was found, one after the other."""
    for finding in _settings(settings):
        yield finding
    for finding in await anyio.to_thread.run_sync(_database, settings):
        yield finding
    yield _disk(settings.data_dir)
    yield await _address(settings)
    if model := await _model(settings):
        yield model
    if settings.channels:
        for told in await check_channels(settings.channels):
            yield Finding(f"channel {told.channel}", "check", told.ok, told.detail, told.do)


def _settings(settings: Settings) -> Iterator[Finding]:
    faults = check()
    for fault in faults:
        place = f"{fault.where}:{fault.line}" if fault.line else fault.where
        what = f"{fault.key}: {fault.why}" if fault.key else fault.why
        yield _ill("settings", place, what, f"is {fault.meant} meant?" if fault.meant else "correct it")
    if not faults:
        count = len(files_of(settings.steering_dir))
        yield _well("settings", "check", f"nothing is wrong; {count} steering files in {settings.steering_dir}")


def _database(settings: Settings) -> list[Finding]:
    try:
        with closing(Database(where_of(settings), prepare=False)) as database:
            return [*_revision(database), *_clock(database)]
    except DatabaseDown as error:
        return [_ill("database", "connection", error.what, error.do)]
    except BadSettings as error:
        what, _, do = str(error).partition("; ")
        return [_ill("database", "connection", what, do)]
    except HostError as error:
        return [_ill("database", "connection", str(error), _INSTEAD)]


def _revision(database: Database) -> Iterator[Finding]:
    revision = database.revision()
    if not _can_write(database, revision):
        do = "grant the user INSERT, or take the primary in place of a standby"
        yield _ill("database", "writing", f"{database.name} can only be read", do)
    elif revision == REVISION:
        yield _well("database", "revision", f"{database.name} can be written, and is of revision {revision}")
    elif sa.inspect(database.engine).has_table(records.name):
        said = f"{database.name} is of revision {revision or '0001'}, this midwatch of {REVISION}"
        do = "stop every host, then: midwatch db upgrade; or use the midwatch that it is of"
        yield _ill("database", "revision", said, do)
    else:
        yield _well("database", "revision", f"{database.name} can be written, and is new")


def _can_write(database: Database, revision: str | None) -> bool:
    """Return whether records can be written; a file that cannot be written raises `DatabaseDown` with the reason."""
    if not database.shared and revision == REVISION:
        database.try_writing()
        return True
    with database.writing() as connection:  # nothing is: this is how SQLite tells
        if not database.shared or revision is None:
            return True
        return bool(connection.execute(_MAY_WRITE).scalar())


def _clock(database: Database) -> Iterator[Finding]:
    """Yield whether our clock agrees with the database server's, and with what is on record already."""
    now = datetime.now(UTC)
    with database.reading() as connection:
        if database.shared:
            theirs: datetime = connection.execute(sa.select(sa.func.clock_timestamp())).scalar_one()
            off = (theirs - now).total_seconds()
            do = "" if abs(off) <= _OFF_SECONDS else "set both by NTP: hosts take over from each other by time"
            yield Finding("clock", "database", not do, f"the server's clock differs by {off:.1f} s", do)
        if not sa.inspect(connection).has_table(records.name):
            return
        newest = connection.execute(sa.select(sa.func.max(records.c.at))).scalar()
    if newest and newest > rfc3339(now + timedelta(seconds=_OFF_SECONDS)):
        said = f"it is {rfc3339(now)}, and something on record is of {newest}"
        yield _ill("clock", "journal", said, "set the clock by NTP")
    else:
        yield _well("clock", "journal", f"it is {rfc3339(now)}; nothing on record is of later")


def _disk(folder: Path) -> Finding:
    """Return whether there is room for journal and evidence, as far as can be told now."""
    there = next(each for each in (folder.absolute(), *folder.absolute().parents) if each.exists())
    try:
        usage = shutil.disk_usage(there)
    except OSError as error:
        return _ill("disk", str(folder), str(error.strerror), "choose another data_dir")
    said = f"{usage.free / 2**30:.1f} GiB of {usage.total / 2**30:.1f} GiB are free"
    ok = usage.free >= _LEAST_BYTES and usage.free >= _LEAST_SHARE * usage.total
    return Finding("disk", str(folder), ok, said, "" if ok else "make room: a full disk takes no alert")


async def _address(settings: Settings) -> Finding:
    """Return whether the host could listen where it is to, or does already."""
    address, port = settings.listen_address, settings.listen_port
    what = f"{address}:{port}"
    try:
        listen(address, port).close()
    except BadSettings as error:
        if await _is_midwatch(address, port):
            return _well("address", what, "midwatch listens there")
        why, _, _ = str(error).partition("; ")
        return _ill("address", what, why, "set listen_port, or end what listens there")
    return _well("address", what, "it is free")


async def _is_midwatch(address: str, port: int) -> bool:
    there = "127.0.0.1" if address in ("0.0.0.0", "::") else address  # noqa: S104 - what was set is asked after
    host = f"[{there}]" if ":" in there else there
    try:
        async with httpx2.AsyncClient(timeout=_ASKED_SECONDS) as client:
            said = (await client.get(f"http://{host}:{port}/healthz")).json()
    except (httpx2.HTTPError, ValueError):
        return False
    return isinstance(said, dict) and "servers_missing" in said


async def _model(settings: Settings) -> Finding | None:
    try:
        async with open_models(settings) as models:
            if models is None:
                return None
            ok = not models.why_not
            via = f"{settings.model} by {settings.model_via}: there is a key"
            return Finding("model", "key", ok, models.why_not or via, "" if ok else "see docs/claude.md")
    except BadSettings as error:
        return _ill("model", "key", str(error), "see docs/claude.md")


def _well(where: str, what: str, detail: str) -> Finding:
    return Finding(where, what, ok=True, detail=detail)


def _ill(where: str, what: str, detail: str, do: str) -> Finding:
    return Finding(where, what, ok=False, detail=detail, do=do)
