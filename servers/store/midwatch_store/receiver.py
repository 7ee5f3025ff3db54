"""The receiver's HTTP face: OTLP/HTTP for the three signals, JSON for changes, alarms and objects.

An answer of 200 means the rows are on disk. Protocol: https://opentelemetry.io/docs/specs/otlp/#otlphttp
"""

import time
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any, Final

import anyio
from google.protobuf.json_format import MessageToJson
from google.protobuf.message import Message
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsPartialSuccess
from starlette.applications import Starlette
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from midwatch_store.body import Refused, media_type, read_body
from midwatch_store.errors import InvalidRows
from midwatch_store.events import alarm_rows, change_rows, object_rows
from midwatch_store.intake import Intake, IntakeFull, NotStored
from midwatch_store.otlp.signals import SIGNALS, Signal, convert, response
from midwatch_store.otlp.values import Converted
from midwatch_store.otlp.wire import BadBody, decode_json, decode_protobuf, load_json
from midwatch_store.settings import Settings
from midwatch_store.writer import Writer

PROTOBUF: Final = "application/x-protobuf"
JSON: Final = "application/json"

Handler = Callable[[Request], Awaitable[Response]]
_Convert = Callable[[bytes, str], Converted]

_PARSERS: Final = 8
_CODES: Final = {400: 3, 408: 4, 413: 3, 415: 3, 429: 8, 503: 14}  # gRPC's: bad argument, late, full, unavailable


def build_app(writer: Writer, intake: Intake, settings: Settings) -> Starlette:
    """The application that fills `intake`; whoever builds it runs `intake.run` beside it."""
    parsers = anyio.CapacityLimiter(_PARSERS)

    async def take(request: Request, accepted: tuple[str, ...], converter: _Convert) -> Converted:
        media = media_type(request, accepted)
        async with parsers:
            body = await read_body(request, settings.max_body)
            converted = await anyio.to_thread.run_sync(converter, body, media)
        await intake.store(converted.rows, len(body))
        return converted

    async def export(signal: Signal, request: Request) -> Response:
        stored = await take(request, (PROTOBUF, JSON), partial(_convert_signal, signal))
        return _answer(request, response(signal, stored.rejected, stored.reason))

    async def post(converter: Callable[[Any, int], Converted], request: Request) -> Response:
        stored = await take(request, (JSON,), lambda body, _: converter(load_json(body), time.time_ns()))
        accepted = sum(len(rows) for rows in stored.rows.values())
        if stored.rejected and not accepted:
            raise Refused(400, stored.reason)
        return JSONResponse({"accepted": accepted, "rejected": stored.rejected, "reason": stored.reason})

    async def healthz(_: Request) -> Response:
        state = {"status": "failing" if intake.last_error else "ok", "error": intake.last_error}
        body = {**state, "last_seq": writer.last_seq, "waiting": intake.waiting}
        return JSONResponse(body, status_code=503 if intake.last_error else 200)

    routes = [Route(f"/v1/{signal.name}", _answering(partial(export, signal)), methods=["POST"]) for signal in SIGNALS]
    return Starlette(
        routes=[
            *routes,
            Route("/v1/changes", _answering(partial(post, change_rows)), methods=["POST"]),
            Route("/v1/alarms", _answering(partial(post, alarm_rows)), methods=["POST"]),
            Route("/v1/objects", _answering(partial(post, object_rows)), methods=["POST"]),
            Route("/healthz", healthz),
        ]
    )


def _convert_signal(signal: Signal, body: bytes, media: str) -> Converted:
    decoded = decode_protobuf(signal, body) if media == PROTOBUF else decode_json(signal, body)
    converted = convert(decoded.request, time.time_ns())
    reason = decoded.reason or converted.reason
    return Converted(converted.rows, decoded.rejected + converted.rejected, reason)


def _answering(handler: Handler) -> Handler:
    """The handler with each way it can fail turned into the answer that OTLP has for it."""

    async def handle(request: Request) -> Response:
        try:
            return await handler(request)
        except Refused as error:
            return _refusal(request, error.status, str(error))
        except ClientDisconnect:
            return _refusal(request, 400, "the connection ended before the body did")
        except IntakeFull as error:
            return _refusal(request, 429, str(error))
        except NotStored as error:
            return _refusal(request, 503, str(error))
        except (BadBody, InvalidRows, ValueError) as error:
            return _refusal(request, 400, str(error))

    return handle


def _refusal(request: Request, status: int, message: str) -> Response:
    """An error answer, its body a google.rpc.Status, with Retry-After where sending again makes sense."""
    headers = {"retry-after": "1"} if status in (429, 503) else {}
    if not _speaks_protobuf(request):
        return JSONResponse({"code": _CODES[status], "message": message}, status_code=status, headers=headers)
    # A Status (code = 1, message = 2) has the wire form of this message, which is at hand.
    body = ExportLogsPartialSuccess(rejected_log_records=_CODES[status], error_message=message)
    return Response(body.SerializeToString(), status_code=status, headers=headers, media_type=PROTOBUF)


def _answer(request: Request, message: Message) -> Response:
    if _speaks_protobuf(request):
        return Response(message.SerializeToString(), media_type=PROTOBUF)
    return Response(MessageToJson(message, indent=None), media_type=JSON)


def _speaks_protobuf(request: Request) -> bool:
    return request.headers.get("content-type", "").startswith(PROTOBUF)
