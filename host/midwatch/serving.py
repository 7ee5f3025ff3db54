"""The socket on which the host is served: of its own, or handed over by systemd, where what comes may wait in it."""

import ipaddress
import os
import socket

from midwatch.errors import BadSettings

_FIRST_HANDED = 3
"""The number of the first socket that systemd hands over: sd_listen_fds(3)."""
_WAITING = 4096
"""Connections that may wait to be taken; the system's own limit may be lower."""


def listen(address: str, port: int, said_with: str = "") -> socket.socket:
    """Return a bound socket; raises `BadSettings` when the port is taken, naming what another one is said with."""
    listening = socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET, socket.SOCK_STREAM)
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listening.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)  # else each answer after the first is 40 ms late
    try:
        listening.bind((address, port))
    except (OSError, OverflowError) as error:
        listening.close()
        why = error.strerror if isinstance(error, OSError) else error
        how = f" with {said_with}" if said_with else ""
        raise BadSettings(f"cannot listen on {address}:{port}: {why}; choose another port{how}") from None
    listening.listen(_WAITING)
    return listening


def handed_over() -> socket.socket | None:
    """Return the socket that systemd listens on for this process, None without one; raises `BadSettings` for several.

    It goes before address and port. What says so is taken out of the environment, since it is for one process alone.
    """
    count, process = os.environ.pop("LISTEN_FDS", "0"), os.environ.pop("LISTEN_PID", "")
    os.environ.pop("LISTEN_FDNAMES", None)
    if count == "0" or process != str(os.getpid()):
        return None
    if count != "1":
        raise BadSettings(f"systemd hands over {count} sockets: one ListenStream= is what midwatch takes")
    try:
        handed = socket.socket(fileno=_FIRST_HANDED)
        handed.set_inheritable(False)
        if not handed.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN):
            raise OSError(0, "nobody listens on it")
    except OSError as error:
        raise BadSettings(f"the socket that systemd hands over cannot be used: {error.strerror}") from None
    if handed.family != socket.AF_UNIX:
        handed.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return handed


def is_loopback(listening: socket.socket) -> bool:
    """Whether a socket can be reached from this machine alone."""
    return listening.family == socket.AF_UNIX or ipaddress.ip_address(listening.getsockname()[0]).is_loopback
