"""Moto's server on a socket: one of AWS' emulators, whose state is this process's and not the server's."""

from collections.abc import Generator
from contextlib import contextmanager

from moto.moto_api._internal.models import moto_api_backend
from moto.server import ThreadedMotoServer


@contextmanager
def moto_server() -> Generator[str]:
    """Serve moto while the block runs; gives its address. Whoever comes next finds nothing that was made in it."""
    server = ThreadedMotoServer("127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    try:
        yield f"http://{host}:{port}"
    finally:
        server.stop()
        moto_api_backend.reset()
