"""AWS as moto's server has it, but for what moto is wrong or slow in; and with permissions that can be taken away.

A request that a fake of our own answers goes there (`awsapi`, held against AWS' descriptions), any other one to moto.
"""

import json
import re
from collections.abc import Generator
from contextlib import contextmanager
from typing import Any, Final
from urllib.parse import parse_qs

import anyio
import httpx2
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send
from tests.backends.fakes.awsapi import AwsApi
from tests.backends.serving import served

_SIGNED: Final = re.compile(r"/\d{8}/[\w-]+/(\w+)/aws4_request")
_NAMES: Final = {"tagging": "tag"}
"""Services whose names in a signature are not those that IAM has."""
_OF_LAMBDA: Final = {"functions": "ListFunctions", "event-source-mappings": "ListEventSourceMappings"}
_OF_CONNECTION: Final = frozenset({"content-length", "content-encoding", "transfer-encoding", "connection", "host"})


class AwsFront:
    """Notes what is asked, as IAM names it, refuses what is denied, and hands on the rest."""

    def __init__(self, own: AwsApi, moto: str) -> None:
        self.own, self.moto = own, moto
        self.asked: set[str] = set()
        self.denied: set[str] = set()
        self.stalled: set[str] = set()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        request = Request(scope, receive)
        signed = _SIGNED.search(request.headers.get("authorization", ""))
        assert signed, "the request is not signed"
        body = await request.body()
        name = _action(signed[1], request, body)
        self.asked.add(name)
        if name in self.stalled:
            await anyio.sleep(60)
        if name in self.denied:
            await _refusal(signed[1], name)(scope, receive, send)
        elif name in self.own.answers:

            async def again() -> dict[str, Any]:
                return {"type": "http.request", "body": body}

            await self.own(scope, again, send)
        else:
            await (await self._from_moto(request, body))(scope, receive, send)

    async def _from_moto(self, request: Request, body: bytes) -> Response:
        kept = {key: value for key, value in request.headers.items() if key not in _OF_CONNECTION}
        url = f"{self.moto}{request.url.path}?{request.url.query}"
        async with httpx2.AsyncClient(timeout=30, verify=False, trust_env=False) as client:  # reading CAs takes long
            told = await client.request(request.method, url, content=body, headers=kept)
        headers = {key: value for key, value in told.headers.items() if key not in _OF_CONNECTION}
        return Response(told.content, told.status_code, headers)


@contextmanager
def aws_front(own: AwsApi, moto: str) -> Generator[tuple[dict[str, Any], AwsFront]]:
    """Serve both behind one address; gives the settings of a server that asks there, and the front."""
    front = AwsFront(own, moto)
    with served(front) as (url, _):
        yield {"aws_endpoint_url": url, "aws_region": "eu-west-1"}, front


def _action(service: str, request: Request, body: bytes) -> str:
    target = request.headers.get("x-amz-target", "")
    if service == "lambda":
        action = _OF_LAMBDA.get(request.url.path.strip("/").partition("/")[2], "Unknown")
    else:
        action = target.rpartition(".")[2] if target else parse_qs(body.decode())["Action"][0]
    return f"{_NAMES.get(service, service)}:{action}"


def _refusal(service: str, name: str) -> Response:
    message = f"User is not authorized to perform: {name}"
    if service == "ec2":
        error = f"<Error><Code>UnauthorizedOperation</Code><Message>{message}</Message></Error>"
        return Response(f"<Response><Errors>{error}</Errors><RequestID>r</RequestID></Response>", 403)
    if service in ("ecs", "tagging", "lambda"):
        said = {"__type": "AccessDeniedException", "message": message}
        return Response(json.dumps(said), 403 if service == "lambda" else 400, {"x-amzn-errortype": said["__type"]})
    error = f"<Error><Type>Sender</Type><Code>AccessDenied</Code><Message>{message}</Message></Error>"
    return Response(f"<ErrorResponse>{error}<RequestId>r</RequestId></ErrorResponse>", 403)
