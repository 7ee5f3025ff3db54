"""Whether PostgreSQL still answers: who waits for a server that fell silent is let go, instead of waiting on.

A server that hangs keeps its connections, and the system at its end acknowledges what is sent: a question to it has no
end, and what asks in the event loop would keep everything else from going on. So when something takes long, a thread
of its own asks whether a new connection is still taken. If it is not, all connections are cut, and nobody is let wait
until the server is back. A server that is only slow, or a lock that somebody holds, cuts nothing.
"""

import os
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any, Final
from weakref import WeakSet

import sqlalchemy as sa

SILENT: Final = "PostgreSQL does not answer"
_LONG_SECONDS: Final = 1.0
_CONNECT_SECONDS: Final = 5
_LOOK_EVERY: Final = 0.5


class Pulse:
    """Watches over the connections of one engine."""

    def __init__(self, engine: sa.Engine) -> None:
        self.silent = False
        self._engine = engine
        self._connections: WeakSet[Any] = WeakSet()
        self._since: dict[object, float] = {}
        self._lock = threading.Lock()
        self._closed = threading.Event()
        self._looking: threading.Thread | None = None
        sa.event.listen(engine, "do_connect", lambda *_: self._raise_if_silent())  # else it waits for that in vain
        sa.event.listen(engine, "connect", lambda connection, _: self._connections.add(connection))

    @contextmanager
    def asked(self) -> Iterator[None]:
        """Say that something may wait for the server while the block runs; raises `TimeoutError` when it is silent."""
        self._raise_if_silent()
        me = object()
        with self._lock:
            self._since[me] = time.monotonic()
            if self._looking is None:
                self._looking = threading.Thread(target=self._look, name="pulse", daemon=True)
                self._looking.start()
        try:
            yield
        finally:
            with self._lock:
                del self._since[me]

    def close(self) -> None:
        """Watch no more."""
        self._closed.set()

    def _raise_if_silent(self) -> None:
        if self.silent:
            raise TimeoutError(SILENT)

    def _look(self) -> None:
        while not self._closed.wait(_LOOK_EVERY):
            if self.silent or self._takes_long():
                silent = not self._answers()
                if silent and not self.silent:
                    self.silent = True  # before anybody is let go, who would only ask again
                    self._let_go()
                self.silent = silent

    def _answers(self) -> bool:
        """Whether PostgreSQL takes a connection in the time that it has for one; what it refuses, it has heard."""
        words, named = self._engine.dialect.create_connect_args(self._engine.url)
        try:
            self._engine.dialect.connect(*words, connect_timeout=_CONNECT_SECONDS, **named).close()
        except Exception as error:  # whatever else is wrong, whoever asks is told by their own connection
            return type(error).__name__ != "ConnectionTimeout"  # the driver comes with the extra postgresql
        return True

    def _takes_long(self) -> bool:
        with self._lock:
            return any(time.monotonic() - since > _LONG_SECONDS for since in self._since.values())

    def _let_go(self) -> None:
        """Cut every connection, so that whoever waits for an answer has an error."""
        for connection in list(self._connections):
            with suppress(Exception), socket.socket(fileno=os.dup(connection.fileno())) as ours:
                ours.shutdown(socket.SHUT_RDWR)  # one that is closed already, or that never came up, needs none
