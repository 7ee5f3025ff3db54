"""A request's body: read within bounds, and unpacked within bounds."""

import zlib

import anyio
from starlette.requests import ClientDisconnect, Request

from midwatch.errors import HostError

_SECONDS = 10.0
_MOST_MEMBERS = 16
_GZIP = 16 + zlib.MAX_WBITS
_FORMS = {"multipart", "image", "audio", "video", "font", "model"}
_NO_JSON = {"application/xml", "text/xml", "text/html", "text/csv", "application/octet-stream", "application/pdf"}


class NotTaken(HostError):
    """A body that is not taken for its size, its kind or its slowness, with HTTP's status for that."""

    def __init__(self, status: int, why: str) -> None:
        super().__init__(why)
        self.status = status


async def body_of(request: Request, most: int) -> bytes:
    """Return a request's body, unpacked; raises `NotTaken` where it is too large, too slow or no JSON by its type."""
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind in _NO_JSON or kind.partition("/")[0] in _FORMS:
        raise NotTaken(415, f"the content type {kind[:80]} is not taken: send application/json")
    packed = request.headers.get("content-encoding", "identity").strip().lower() or "identity"
    if packed not in {"identity", "gzip", "x-gzip"}:
        raise NotTaken(415, f"the content encoding {packed[:80]} is not taken: send gzip, or none")
    try:
        with anyio.fail_after(_SECONDS):
            body = await _read(request, most)
    except TimeoutError:
        raise NotTaken(408, f"the body did not come within {_SECONDS:g} s") from None
    except ClientDisconnect:
        raise NotTaken(400, "the connection ended before the body did") from None
    return body if packed == "identity" else _unpacked(body, most)


async def _read(request: Request, most: int) -> bytes:
    announced = request.headers.get("content-length", "")
    if announced.isascii() and announced.isdecimal() and len(announced) < 20 and int(announced) > most:
        raise _too_large(most)
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > most:
            raise _too_large(most)
    return bytes(body)


def _unpacked(packed: bytes, most: int) -> bytes:
    """Return what gzip packed, in one member or several; no more than `most` bytes are ever unpacked."""
    body = b""
    try:
        for _ in range(_MOST_MEMBERS):
            member = zlib.decompressobj(_GZIP)
            body += member.decompress(packed, most + 1 - len(body))
            if len(body) > most:
                raise _too_large(most)
            if not member.eof:
                raise NotTaken(400, "the body is not whole: its gzip ends too early")
            if not (packed := member.unused_data):
                return body
    except zlib.error as error:
        raise NotTaken(400, f"the body is not gzip: {error}") from None
    raise NotTaken(413, f"gzip of more than {_MOST_MEMBERS} members is not taken")


def _too_large(most: int) -> NotTaken:
    return NotTaken(413, f"a body of more than {most} bytes is not taken")
