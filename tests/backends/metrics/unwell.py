"""A server on a real socket that is unwell in one way, before it answers as Prometheus would."""

import json
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

EMPTY: Mapping[str, object] = {"resultType": "matrix", "result": []}


@dataclass
class Unwell:
    """How it answers: the first `times` calls with the trouble, all further ones well; what it was asked is kept."""

    status: int = 200
    body: bytes = b""
    headers: Mapping[str, str] = field(default_factory=dict)
    stall: float = 0.0
    cut: bool = False
    times: int = 1_000
    path: str = ""
    asked: list[str] = field(default_factory=list)
    seen: list[Mapping[str, str]] = field(default_factory=list)
    url: str = ""
    over: threading.Event = field(default_factory=threading.Event)


@contextmanager
def serving(unwell: Unwell) -> Iterator[Unwell]:
    """Serve until left; a stall ends then as well."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.rfile.read(int(self.headers.get("content-length") or 0))
            unwell.asked.append(self.path)
            unwell.seen.append(dict(self.headers))
            if unwell.path in self.path and len(unwell.asked) <= unwell.times:
                self._be_unwell()
            else:
                data = [] if "/series" in self.path or "/label" in self.path else EMPTY
                self._answer(200, json.dumps({"status": "success", "data": data}).encode(), {})

        do_POST = do_GET  # noqa: N815 - what the base class calls

        def _be_unwell(self) -> None:
            if unwell.stall:
                unwell.over.wait(unwell.stall)
            self._answer(unwell.status, unwell.body, unwell.headers, missing=100 if unwell.cut else 0)

        def _answer(self, status: int, body: bytes, headers: Mapping[str, str], missing: int = 0) -> None:
            self.send_response(status)
            for name, value in {"content-type": "application/json", **headers}.items():
                self.send_header(name, value)
            self.send_header("content-length", str(len(body) + missing))
            self.end_headers()
            self.wfile.write(body)
            self.close_connection = True

        def log_message(self, format: str, *arguments: object) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, args=(0.02,))
    thread.start()
    unwell.url = f"http://127.0.0.1:{server.server_port}"
    try:
        yield unwell
    finally:
        unwell.over.set()
        server.shutdown()
        thread.join()
        server.server_close()


def seconds(began: float) -> float:
    return time.monotonic() - began
