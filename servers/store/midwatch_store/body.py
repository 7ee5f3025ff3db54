"""Request bodies within bounds: how large, how packed, how long they may take. What is in them is not known here."""

import gzip
import io
import zlib
from typing import Final

import anyio
from starlette.requests import Request

_READ_SECONDS: Final = 30.0


class Refused(Exception):
    """A request that is answered with an error: `status` is HTTP's, the message is for the sender."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status


def media_type(request: Request, accepted: tuple[str, ...]) -> str:
    """The request's content type without parameters; raises Refused (415) when it is none of those accepted."""
    given = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if given not in accepted:
        raise Refused(415, f"the content type is {given or 'missing'!r}; send {' or '.join(accepted)}")
    return given


async def read_body(request: Request, limit: int) -> bytes:
    """The body, unpacked; raises Refused: 408 too slow, 413 over `limit` bytes, 415 an unknown packing, 400 broken."""
    encoding = request.headers.get("content-encoding", "identity").strip().lower()
    if encoding not in ("identity", "gzip", ""):
        raise Refused(415, f"the content encoding is {encoding!r}; send gzip or none")
    try:
        with anyio.fail_after(_READ_SECONDS):
            body = await _read(request, limit)
    except TimeoutError as error:
        raise Refused(408, f"the body did not arrive within {_READ_SECONDS:g} s") from error
    return await anyio.to_thread.run_sync(unpack, body, limit) if encoding == "gzip" else body


def unpack(body: bytes, limit: int) -> bytes:
    """A gzip body unpacked, never beyond `limit` bytes; raises Refused."""
    try:
        with gzip.GzipFile(fileobj=io.BytesIO(body)) as packed:
            unpacked = packed.read(limit + 1)
    except (OSError, EOFError, zlib.error) as error:
        raise Refused(400, f"the body is not gzip: {error}") from error
    return _within(unpacked, limit)


async def _read(request: Request, limit: int) -> bytes:
    declared = request.headers.get("content-length", "0")
    if declared.isdecimal() and int(declared) > limit:
        raise _too_large(limit)
    body = bytearray()
    async for chunk in request.stream():
        body += _within(chunk, limit - len(body))
    return bytes(body)


def _within(part: bytes, limit: int) -> bytes:
    if len(part) > limit:
        raise _too_large(limit)
    return part


def _too_large(limit: int) -> Refused:
    return Refused(413, f"the body is larger than {limit} bytes: send smaller batches")
