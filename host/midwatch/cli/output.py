"""Where commands write: streams that are always there, take every sign and, for a host, stop nothing when they fail."""

import io
import os
import sys
from typing import TYPE_CHECKING, TextIO

if TYPE_CHECKING:
    from _typeshed import ReadableBuffer


def ready_streams() -> None:
    """Make stdout and stderr fit for all that is said: a closed one leads nowhere, a sign it has no code for is `?`."""
    if sys.stdin is None:  # the lowest number is taken first, so that no file of ours becomes anybody's stdout
        sys.stdin = open(os.devnull, encoding="utf-8")  # noqa: SIM115 - it stays open as long as the program runs
    for name in ("stdout", "stderr"):
        stream = getattr(sys, name)
        if stream is None:
            setattr(sys, name, open(os.devnull, "w", encoding="utf-8"))  # noqa: SIM115 - as above
        elif isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")


def losing(stream: TextIO) -> TextIO:
    """Return a stream to where another one writes, that loses what cannot be written there in place of an error.

    A host outlives its log: a disk that is full, a pipe whose reader is gone, a terminal that was closed.
    """
    try:
        descriptor = stream.fileno()
    except (OSError, ValueError):
        return stream
    raw = io.BufferedWriter(_Losing(descriptor))
    return io.TextIOWrapper(raw, encoding=stream.encoding, errors="replace", line_buffering=True)


class _Losing(io.RawIOBase):
    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor

    def writable(self) -> bool:
        return True

    def fileno(self) -> int:
        return self._descriptor

    def isatty(self) -> bool:
        return os.isatty(self._descriptor)

    def write(self, data: "ReadableBuffer") -> int:
        try:
            return os.write(self._descriptor, data)
        except OSError:
            return memoryview(data).nbytes
