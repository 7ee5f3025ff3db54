"""A fake of AWS' APIs over a socket, as botocore's service models describe them: JSON 1.1 and the query protocol.

botocore ships AWS' own published description of each API. Every request is held against the description of its
operation, and so is every answer before it is sent: an unknown parameter or member, or a wrong type, fails the test.
"""

import json
import re
from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime
from functools import cache
from typing import Any, Final, TypeAlias
from urllib.parse import parse_qs
from xml.etree.ElementTree import Element, SubElement, tostring

import botocore.session
from botocore.model import OperationModel, ServiceModel, Shape
from botocore.validate import ParamValidator
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send
from tests.backends.serving import Trouble, served

Answer: TypeAlias = Callable[[Mapping[str, Any]], Mapping[str, Any]]
KEY: Final = "AKIDEXAMPLE"
_SCOPE: Final = re.compile(r"Credential=(\w+)/\d{8}/([\w-]+)/(\w+)/aws4_request")


class Refusal(Exception):
    """What an API answers with an error."""

    def __init__(self, code: str, message: str = "", status: int = 400) -> None:
        super().__init__(message)
        self.code, self.message, self.status = code, message, status
        self.more: dict[str, Any] = {}
        """What else the error says of itself, in JSON."""


class AwsApi:
    """Answers by `service:Operation`, as IAM names them; what is not there, or is denied, is refused as AWS does."""

    def __init__(self, answers: Mapping[str, Answer]) -> None:
        self.answers = dict(answers)
        self.denied: set[str] = set()
        self.refusals: list[Refusal] = []
        """What the next requests are refused with."""
        self.asked: list[tuple[str, Mapping[str, Any]]] = []

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        request = Request(scope, receive)
        signed = _SCOPE.search(request.headers.get("authorization", ""))
        assert signed, "the request is not signed"
        model = _model(signed[3])
        body = await request.body()
        operation = _operation(model, request.headers.get("x-amz-target", ""), body)
        try:
            document = self._answered(signed[3], signed[1], operation, body)
            response = _told(model, operation, document)
        except Refusal as refusal:
            response = _refused(model, refusal)
        await response(scope, receive, send)

    def _answered(self, service: str, key: str, operation: OperationModel, body: bytes) -> Mapping[str, Any]:
        name = f"{service}:{operation.name}"
        is_json = operation.service_model.metadata["protocol"] != "query"
        shape = operation.input_shape
        asked = json.loads(body or b"{}") if is_json else _from_query(parse_qs(body.decode()), shape)
        self.asked.append((name, asked))
        if key != KEY:
            raise Refusal("UnrecognizedClientException", "The security token included in the request is invalid.")
        if self.refusals:
            raise self.refusals.pop(0)
        if name in self.denied:
            raise Refusal("AccessDeniedException" if is_json else "AccessDenied", f"not authorized to perform: {name}")
        if shape is not None:
            _valid(shape, asked, f"the request for {name}")
        assert name in self.answers, f"nobody told the fake what {name} answers"
        document = self.answers[name](asked)
        if operation.output_shape is not None:
            _valid(operation.output_shape, document, f"the answer to {name}")
        return document


def paged(things: Sequence[Any], asked: Mapping[str, Any], size: int, under: str, token: str) -> dict[str, Any]:
    """Return one page of things under a name, with the token of the next one if there is."""
    begin = int(asked.get(token, "0"))
    more = {token: str(begin + size)} if begin + size < len(things) else {}
    return {under: list(things[begin : begin + size]), **more}


@contextmanager
def aws(answers: Mapping[str, Answer]) -> Generator[tuple[dict[str, Any], AwsApi, Trouble]]:
    """Serve the APIs on a socket; gives the settings of a server that asks there, the fake, and the trouble before."""
    api = AwsApi(answers)
    with served(api) as (url, trouble):
        yield {"aws_endpoint_url": url, "aws_region": "eu-west-1"}, api, trouble


@cache
def _model(service: str) -> ServiceModel:
    return botocore.session.get_session().get_service_model(service)


def _operation(model: ServiceModel, target: str, body: bytes) -> OperationModel:
    name = target.rpartition(".")[2] if target else parse_qs(body.decode())["Action"][0]
    return model.operation_model(name)


def _valid(shape: Shape, document: Mapping[str, Any], what: str) -> None:
    report = ParamValidator().validate(document, shape)
    assert not report.has_errors(), f"{what} is not as AWS describes it: {report.generate_report()}"


def _told(model: ServiceModel, operation: OperationModel, document: Mapping[str, Any]) -> Response:
    if model.metadata["protocol"] != "query":
        return Response(json.dumps(document, default=datetime.timestamp), media_type="application/x-amz-json-1.1")
    root = Element(f"{operation.name}Response", xmlns=str(model.metadata["xmlNamespace"]))
    shape = operation.output_shape
    if shape is not None:
        _to_xml(SubElement(root, shape.serialization.get("resultWrapper", f"{operation.name}Result")), document, shape)
    return Response(tostring(root), media_type="text/xml")


def _refused(model: ServiceModel, refusal: Refusal) -> Response:
    if model.metadata["protocol"] != "query":
        body = json.dumps({"__type": refusal.code, "message": refusal.message, **refusal.more})
        return Response(body, refusal.status, media_type="application/x-amz-json-1.1")
    root = Element("ErrorResponse")
    error = SubElement(root, "Error")
    for name, text in (("Type", "Sender"), ("Code", refusal.code), ("Message", refusal.message)):
        SubElement(error, name).text = text
    return Response(tostring(root), refusal.status, media_type="text/xml")


def _to_xml(element: Element, value: Any, shape: Any) -> None:
    match shape.type_name:
        case "structure":
            for name, each in value.items():
                member = shape.members[name]
                _to_xml(SubElement(element, member.serialization.get("name", name)), each, member)
        case "list":
            for each in value:
                _to_xml(SubElement(element, shape.member.serialization.get("name", "member")), each, shape.member)
        case "timestamp":
            element.text = value.isoformat()
        case "boolean":
            element.text = str(value).lower()
        case _:
            element.text = str(value)


def _from_query(form: Mapping[str, list[str]], shape: Any, prefix: str = "") -> dict[str, Any]:
    """Return the parameters of a request in the query protocol: lists of texts and single values are all there is."""
    found: dict[str, Any] = {}
    for name, member in (shape.members if shape is not None else {}).items():
        key = f"{prefix}{name}"
        if member.type_name == "list":
            numbered = [form[each][0] for n in range(1, 100) if (each := f"{key}.member.{n}") in form]
            found |= {name: numbered} if numbered else {}
        elif key in form:
            found[name] = int(form[key][0]) if member.type_name == "integer" else form[key][0]
    return found
