"""A real PostgreSQL for tests, from the wheel that the proving ground uses: one server, a database for each test."""

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path

import psycopg

from robots.postgres import OPTIONS, Home, free_port, make_home
from robots.processes import TETHER

_SECONDS = 60.0
_TRIES = 5


@dataclass
class Server:
    """A server on the loopback interface that ends with this process, however that ends; it trusts whoever asks."""

    home: Home
    log: Path
    port: int = 0
    addresses: str = "127.0.0.1"
    _process: subprocess.Popen[bytes] | None = None
    _names: Iterator[int] = field(default_factory=count)

    def url(self, database: str) -> str:
        """Return the address of a database."""
        return f"postgresql://midwatch@127.0.0.1:{self.port}/{database}"

    def database(self) -> str:
        """Make a database of its own for a test, and return its address."""
        name = f"test_{next(self._names)}"
        self._run(f"CREATE DATABASE {name} STRATEGY FILE_COPY")
        return self.url(name)

    def drop(self, url: str) -> None:
        """Remove a database, whoever is still connected to it."""
        self._run(f"DROP DATABASE {url.rpartition('/')[2]} WITH (FORCE)")

    def start(self) -> None:
        """Start it, on the port that it had if any, and wait until it answers."""
        if self.port:
            assert self._answers_once_begun(), self.log.read_text(encoding="utf-8")
            return
        for _ in range(_TRIES):
            self.port = free_port()
            if self._answers_once_begun():
                return
        raise AssertionError(self.log.read_text(encoding="utf-8"))

    def _answers_once_begun(self) -> bool:
        """Start it and wait until it answers; False when it ends, as it does when somebody else took the port."""
        settings = OPTIONS | {
            "port": str(self.port),
            "max_connections": "150",
            "listen_addresses": self.addresses,
            "log_lock_waits": "off",
        }
        options = [word for name, value in settings.items() for word in ("-c", f"{name}={value}")]
        self._process = self._begin(str(self.home.binaries / "postgres"), "-D", str(self.home.data), *options)
        deadline = time.monotonic() + _SECONDS
        while self._process.poll() is None:
            try:
                self._run("SELECT 1")
            except psycopg.OperationalError:
                if time.monotonic() > deadline:
                    raise
                time.sleep(0.02)
            else:
                return self._process.poll() is None  # else another server answered
        return False

    def stop(self, by: signal.Signals = signal.SIGINT) -> None:
        """Stop it; SIGINT throws everybody out first, SIGQUIT is as a crash."""
        if self._process:
            self._process.send_signal(by)
            self._process.wait(_SECONDS)
            self._process = None

    @contextmanager
    def paused(self) -> Iterator[None]:
        """Have it do nothing at all while the block runs, and none of its connections end."""
        processes = [int((self.home.data / "postmaster.pid").read_text(encoding="utf-8").split()[0])]
        os.kill(processes[0], signal.SIGSTOP)  # so that it begins no others
        processes += [int(process) for process in children(processes[0])]
        for process in processes[1:]:
            os.kill(process, signal.SIGSTOP)
        try:
            yield
        finally:
            for process in reversed(processes):
                with suppress(ProcessLookupError):
                    os.kill(process, signal.SIGCONT)

    def initialise(self) -> None:
        """Make its data folder."""
        words = ("-U", "midwatch", "--auth=trust", "--encoding=UTF8", "--no-locale", "--no-sync", "--no-instructions")
        made = self._begin(str(self.home.binaries / "initdb"), "-D", str(self.home.data), *words)
        assert made.wait(_SECONDS) == 0, self.log.read_text(encoding="utf-8")

    def _begin(self, *command: str) -> subprocess.Popen[bytes]:
        tether = [sys.executable, "-I", "-S", str(TETHER), str(os.getpid()), str(int(signal.SIGQUIT)), self.home.user]
        with self.log.open("ab") as log:
            return subprocess.Popen(
                [*tether, "exec", *command],
                cwd=self.home.folder,
                env={"LC_ALL": "C", "PATH": os.defpath},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )

    def _run(self, statement: str) -> None:
        with psycopg.connect(self.url("postgres"), autocommit=True, connect_timeout=2) as connection:
            connection.execute(statement.encode())


def children(process: int) -> list[str]:
    """Return the processes that one has begun."""
    return Path(f"/proc/{process}/task/{process}/children").read_text(encoding="utf-8").split()


@contextmanager
def running(folder: Path) -> Iterator[Server]:
    """Run a server while the block runs."""
    home = make_home(folder)
    server = Server(home, folder / "postgres.log")
    try:
        server.initialise()
        server.start()
        yield server
    finally:
        server.stop(signal.SIGQUIT)
        shutil.rmtree(home.folder, ignore_errors=True)
