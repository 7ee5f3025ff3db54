"""Bedrock and Vertex AI on a real socket, with the scripted Messages API behind them.

Bedrock checks signatures with botocore's own signer and answers in frames of `application/vnd.amazon.eventstream`, put
together as https://smithy.io/2.0/aws/amazon-eventstream.html has it; botocore takes them apart again. Vertex gives
access tokens for assertions that are signed with a service account's key (RFC 7523), and answers in server-sent events.
"""

import base64
import json
import struct
from collections.abc import AsyncIterator, Generator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final
from zlib import crc32

import jwt
from anthropic.lib.aws import _auth
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey, generate_private_key
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Route
from tests.backends.serving import listening
from tests.claude.messages_api import Breaks, Fails, MessagesApi, Says, events

from midwatch_bench.messages import VERSION, Json, message, streamed, unpaired

KEY_ID: Final = "AKIA0123456789ABCDEF"
SECRET: Final = "a-secret-of-aws-that-nobody-may-see"
SESSION: Final = "a-session-of-aws-that-nobody-may-see"
TOKEN: Final = "ya29.a-token-of-google-that-nobody-may-see"
REGION: Final = "eu-central-1"
PROJECT: Final = "forge-of-robots"
ACCOUNT: Final = f"midwatch@{PROJECT}.iam.gserviceaccount.com"
_TEXT: Final = 7
"""The event stream's number for a header that is a text."""


@dataclass
class Cloud(MessagesApi):
    """A cloud's service: the script, and the paths that were asked for."""

    paths: tuple[str, ...] = ()
    key: RSAPrivateKey | None = None

    def bedrock(self) -> Starlette:
        """What is served as Bedrock."""
        return Starlette(routes=[Route("/model/{model}/{how}", self._invoke, methods=["POST"])])

    def vertex(self) -> Starlette:
        """What is served as Vertex AI, and as the service that gives tokens for it."""
        of_model = "/v1/projects/{project}/locations/{region}/publishers/anthropic/models/{model}"
        predict = Route(of_model, self._predict, methods=["POST"])
        return Starlette(routes=[predict, Route("/token", self._token, methods=["POST"])])

    async def _invoke(self, request: Request) -> Response:
        raw = await request.body()
        if why := _unsigned(request, raw):
            return JSONResponse({"message": why}, 403, {"x-amzn-errortype": "InvalidSignatureException"})
        path = request.scope["raw_path"].decode()
        if request.path_params["how"] != "invoke-with-response-stream":
            return JSONResponse({"message": f"no operation at {path}"}, 404)
        step, told = self._step(json.loads(raw), request.path_params["model"], path)
        if isinstance(step, Fails):
            return JSONResponse({"message": step.message}, step.status, dict(step.headers))
        return StreamingResponse(_frames(told, step), media_type="application/vnd.amazon.eventstream")

    async def _predict(self, request: Request) -> Response:
        if request.headers.get("authorization") != f"Bearer {TOKEN}":
            return JSONResponse({"error": {"code": 401, "message": "invalid token", "status": "UNAUTHENTICATED"}}, 401)
        body: Json = await request.json()
        model, _, how = request.path_params["model"].partition(":")
        if how != "streamRawPredict" or not body.pop("stream", False):
            return JSONResponse([{"error": {"code": 404, "message": f"no method {how}"}}], 404)
        step, told = self._step(body, model, request.url.path)
        if isinstance(step, Fails):
            error = {"code": step.status, "message": step.message, "status": "PERMISSION_DENIED"}
            return JSONResponse([{"error": error}], step.status, dict(step.headers))
        return StreamingResponse(
            events(told, step if isinstance(step, Breaks) else None), media_type="text/event-stream"
        )

    async def _token(self, request: Request) -> Response:
        form = (await request.body()).decode().split("assertion=")[1].split("&")[0]
        assert self.key
        claims = jwt.decode(form, self.key.public_key(), algorithms=["RS256"], options={"verify_aud": False})
        assert claims["iss"] == ACCOUNT
        return JSONResponse({"access_token": TOKEN, "expires_in": 3600, "token_type": "Bearer"})

    def _step(self, body: Json, model: str, path: str) -> tuple[Says | Fails | Breaks, Json]:
        """Return what comes next, and the message that it is; a body that no cloud takes fails."""
        self.bodies.append(body)
        self.paths += (path,)
        if unknown := body.keys() & {"model", "stream", "cache_control"}:
            return Fails(400, message=f"{sorted(unknown)[0]}: Extra inputs are not permitted"), {}
        if body.get("anthropic_version") != VERSION or (why := unpaired(body["messages"])):
            return Fails(400, message=why if body.get("anthropic_version") else "anthropic_version: Field required"), {}
        step = self.player(body)
        if isinstance(step, Fails):
            return step, {}
        stop, used = step.stop if isinstance(step, Says) else "", self.bill.usage(body, step.blocks)
        return step, message({**body, "model": model}, len(self.bodies), step.blocks, stop, used)


def _unsigned(request: Request, body: bytes) -> str:
    """Return why a request is not signed with the secret by AWS' Signature Version 4, '' when it is."""
    told = request.headers.get("authorization", "")
    if not told.startswith(f"AWS4-HMAC-SHA256 Credential={KEY_ID}/"):
        return "The security token included in the request is invalid."
    fields = dict(part.strip().split("=", 1) for part in told.partition(" ")[2].split(","))
    _, _, region, service, _ = fields["Credential"].split("/")
    url = f"http://{request.headers['host']}{request.scope['raw_path'].decode()}"
    signed = {name: request.headers[name] for name in fields["SignedHeaders"].split(";")}
    again = AWSRequest("POST", url, signed, body)
    again.context["timestamp"] = request.headers["x-amz-date"]
    signer = SigV4Auth(Credentials(KEY_ID, SECRET, SESSION), service, region)
    expected = signer.signature(signer.string_to_sign(again, signer.canonical_request(again)), again)
    if (service, region, request.headers.get("x-amz-security-token")) != ("bedrock", REGION, SESSION):
        return "Credential should be scoped to a valid region and service."
    return "" if expected == fields["Signature"] else "The request signature we calculated does not match."


def frame(payload: bytes, **headers: str) -> bytes:
    """Return one frame: lengths and their checksum, headers, the payload, and the checksum of all of it."""
    raw = b"".join(
        struct.pack("!B", len(name) + 1) + b":" + name.encode() + struct.pack("!BH", _TEXT, len(value)) + value.encode()
        for name, value in ((name.replace("_", "-"), value) for name, value in headers.items())
    )
    lengths = struct.pack("!II", len(raw) + len(payload) + 16, len(raw))
    before = lengths + struct.pack("!I", crc32(lengths)) + raw + payload
    return before + struct.pack("!I", crc32(before))


async def _frames(told: Json, step: Says | Breaks) -> AsyncIterator[bytes]:
    """A message as frames; or as far as the trouble lets it: cut in the middle of one, garbled, or an exception."""
    trouble = step if isinstance(step, Breaks) else None
    for number, (name, data) in enumerate(streamed(told)):
        event = json.dumps({"type": name, **data}).encode()
        payload = json.dumps({"bytes": base64.b64encode(event).decode(), "p": "abcdef"}).encode()
        whole = frame(payload, event_type="chunk", content_type="application/json", message_type="event")
        if trouble and number == trouble.after:
            if trouble.how == "error":
                why = json.dumps({"message": "Too many tokens"}).encode()
                yield frame(why, exception_type="throttlingException", message_type="exception")
            yield {"end": whole[:20], "rubbish": whole[:-6] + b"rubish"}.get(trouble.how, b"")
            return
        yield whole


@contextmanager
def bedrock(cloud: Cloud, monkeypatch: Any) -> Generator[str]:
    """Serve Bedrock, with credentials for it in the environment; gives its address."""
    vars(_auth)["_get_session"].cache_clear()  # else the client knows the credentials of the test before
    for name, value in {
        "AWS_ACCESS_KEY_ID": KEY_ID,
        "AWS_SECRET_ACCESS_KEY": SECRET,
        "AWS_SESSION_TOKEN": SESSION,
        "AWS_REGION": REGION,
        "AWS_EC2_METADATA_DISABLED": "true",
    }.items():
        monkeypatch.setenv(name, value)
    with listening(cloud.bedrock()) as url:
        yield url


@contextmanager
def vertex(cloud: Cloud, monkeypatch: Any, folder: Path) -> Generator[str]:
    """Serve Vertex AI, with the key of a service account for it in the environment; gives its address."""
    cloud.key = generate_private_key(65537, 2048)
    pem = cloud.key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()
    with listening(cloud.vertex()) as url:
        account = {
            "type": "service_account",
            "project_id": PROJECT,
            "private_key_id": "1",
            "private_key": pem,
            "client_email": ACCOUNT,
            "token_uri": f"{url}/token",
        }
        (folder / "account.json").write_text(json.dumps(account), encoding="utf-8")
        monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS", str(folder / "account.json"))
        monkeypatch.setenv("CLOUD_ML_REGION", "europe-west1")
        monkeypatch.setenv("ANTHROPIC_VERTEX_PROJECT_ID", PROJECT)
        yield f"{url}/v1"
