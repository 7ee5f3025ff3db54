"""Fakes of the places where people are told, over real sockets: what each of them asks for, keeps and answers.

Each says no to wrong credentials and to what it could not read, and can be told to fail: with a status, by hanging up
before or after it took what was sent, or by saying nothing.
"""

import asyncio
import base64
import json
import re
from collections import deque
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from aiohttp import web

Json = Any


@dataclass(frozen=True)
class Fault:
    """What goes wrong with one request; `taken` says that what it asks is done all the same, as behind a gateway."""

    status: int = 0
    headers: dict[str, str] = field(default_factory=dict)
    body: Json = None
    hang_up: str = ""
    hold: bool = False
    taken: bool = False


@dataclass(frozen=True)
class Asked:
    """One request, as it came."""

    method: str
    path: str
    query: dict[str, str]
    headers: dict[str, str]
    raw: bytes

    @property
    def body(self) -> Json:
        return json.loads(self.raw) if self.raw else None


class Refused(Exception):
    """Raised by a vendor to answer with an error."""

    def __init__(self, status: int, body: Json = None) -> None:
        super().__init__(status)
        self.status, self.body = status, body


class Vendor:
    """A place on the loopback interface; `answer` is what it does."""

    def __init__(self) -> None:
        self.url = ""
        self.asked: list[Asked] = []
        self.faults: deque[Fault] = deque()
        self.writes_only = True
        self.held = asyncio.Event()

    def fails(self, *faults: Fault) -> None:
        """Let the next requests that write fail, each in a way."""
        self.faults.extend(faults)

    def hold_next(self) -> None:
        """Take the next request that writes, and say nothing."""
        self.fails(Fault(hold=True))

    async def answer(self, asked: Asked) -> Json:
        """Return what is answered with 200 or 201, or raise `Refused`."""
        raise NotImplementedError

    def writes(self, asked: Asked) -> bool:
        """Whether a request says something."""
        return asked.method not in ("GET", "HEAD")

    def said(self) -> list[str]:
        """Return what people see here, in the order in which it came."""
        raise NotImplementedError

    @asynccontextmanager
    async def running(self, port: int = 0) -> AsyncGenerator["Vendor"]:
        """Listen while the block runs."""
        application = web.Application()
        application.router.add_route("*", "/{path:.*}", self._handle)
        runner = web.AppRunner(application, shutdown_timeout=0.1)
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", port)
        await site.start()
        self.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
        try:
            yield self
        finally:
            await runner.cleanup()

    async def _handle(self, request: web.Request) -> web.StreamResponse:
        headers = {name.lower(): value for name, value in request.headers.items()}
        asked = Asked(request.method, request.path, dict(request.query), headers, await request.read())
        self.asked.append(asked)
        if (special := await self.special(request, asked)) is not None:
            return special
        fault = self.faults.popleft() if self.faults and self.writes(asked) else None
        if fault and fault.status and not fault.taken:
            return web.json_response(fault.body, status=fault.status, headers=fault.headers)
        if fault and fault.hang_up == "before":
            return _hang_up(request)
        try:
            answered = await self.answer(asked)
        except Refused as error:
            return web.json_response(error.body, status=error.status)
        if fault and (fault.taken or fault.hang_up == "after"):
            return web.json_response(fault.body, status=fault.status) if fault.taken else _hang_up(request)
        if fault and fault.hold:
            self.held.set()
            await asyncio.sleep(60)
        return web.json_response(answered)

    async def special(self, request: web.Request, asked: Asked) -> web.StreamResponse | None:
        """Answer what is no request and answer, such as a web socket; None for everything else."""
        return None


def _hang_up(request: web.Request) -> web.Response:
    assert request.transport
    request.transport.close()
    return web.Response()


def need(true: object, status: int, why: str = "") -> None:
    """Refuse a request unless something is so."""
    if not true:
        raise Refused(status, {"message": why})


class Sink(Vendor):
    """A webhook, of Teams or of a program: it takes what comes."""

    def __init__(self) -> None:
        super().__init__()
        self.taken: list[Asked] = []

    async def answer(self, asked: Asked) -> Json:
        need(asked.method == "POST" and isinstance(asked.body, dict), 400)
        self.taken.append(asked)
        return {}

    def said(self) -> list[str]:
        return [asked.headers.get("webhook-id") or _end_of_card(asked.body) for asked in self.taken]


def _end_of_card(message: Json) -> str:
    (attachment,) = message["attachments"]
    assert attachment["contentType"] == "application/vnd.microsoft.card.adaptive"
    assert attachment["content"]["type"] == "AdaptiveCard"
    return str(attachment["content"]["body"][-1]["text"])


class PagerDuty(Vendor):
    """PagerDuty's REST API: notes of incidents."""

    def __init__(self) -> None:
        super().__init__()
        self.notes: dict[str, list[Json]] = {"Q2INCIDENT": []}

    async def answer(self, asked: Asked) -> Json:
        need(asked.headers.get("authorization") == "Token token=pd-token", 401, "Invalid token")
        need(asked.headers.get("accept") == "application/vnd.pagerduty+json;version=2", 400)
        if asked.path == "/abilities":
            return {"abilities": []}
        found = re.fullmatch(r"/incidents/(\w+)/notes", asked.path)
        need(found and found[1] in self.notes, 404)
        notes = self.notes[found[1] if found else ""]
        if asked.method == "GET":
            return {"notes": notes}
        need("@" in asked.headers.get("from", ""), 400, "Requester User Not Found")
        notes.append({"id": f"N{len(notes)}", "content": asked.body["note"]["content"]})
        return {"note": notes[-1]}

    def said(self) -> list[str]:
        return [note["content"] for note in self.notes["Q2INCIDENT"]]


class PagerDutyEvents(Vendor):
    """PagerDuty's Events API v2: alerts by their dedup key, each with its latest state."""

    def __init__(self) -> None:
        super().__init__()
        self.alerts: dict[str, str] = {}

    async def answer(self, asked: Asked) -> Json:
        body = asked.body
        need(asked.path == "/v2/enqueue" and body["routing_key"] == "r" * 32, 400)
        need(body["event_action"] in ("trigger", "acknowledge", "resolve"), 400)
        if body["event_action"] == "trigger":
            need({"summary", "source", "severity"} <= body["payload"].keys(), 400)
            need(body["payload"]["severity"] in ("critical", "error", "warning", "info"), 400)
        self.alerts[body["dedup_key"]] = body["event_action"]
        return {"status": "success", "dedup_key": body["dedup_key"]}

    def said(self) -> list[str]:
        return [f"{key}: {state}" for key, state in self.alerts.items()]


class ServiceNow(Vendor):
    """ServiceNow's Table API: a record, and the journal of its work notes."""

    RECORD = "9d385017c611228701d22104cc95c371"

    def __init__(self) -> None:
        super().__init__()
        self.notes: list[str] = []

    async def answer(self, asked: Asked) -> Json:
        login = "Basic " + base64.b64encode(b"midwatch:sn-password").decode()
        need(asked.headers.get("authorization") == login, 401, "User Not Authenticated")
        query = asked.query.get("sysparm_query", "")
        if asked.path == "/api/now/table/incident" and asked.method == "GET":
            return {"result": [{"sys_id": self.RECORD}] if query in ("number=INC0010001", "") else []}
        if asked.path == "/api/now/table/sys_journal_field":
            found = re.fullmatch(rf"element_id={self.RECORD}\^element=work_notes\^valueLIKE(\w+)", query)
            need(found, 400)
            return {"result": [{"sys_id": "j"} for note in self.notes if found and found[1] in note]}
        need(asked.path == f"/api/now/table/incident/{self.RECORD}" and asked.method == "PATCH", 404)
        self.notes.append(asked.body["work_notes"])
        return {"result": {"sys_id": self.RECORD}}

    def said(self) -> list[str]:
        return self.notes


class Jira(Vendor):
    """Jira's REST API v3: comments of one issue, as documents."""

    def __init__(self) -> None:
        super().__init__()
        self.comments: dict[str, Json] = {}

    async def answer(self, asked: Asked) -> Json:
        login = "Basic " + base64.b64encode(b"midwatch@example.com:jira-token").decode()
        need(asked.headers.get("authorization") == login, 401)
        if asked.path == "/rest/api/3/myself":
            return {"displayName": "midwatch"}
        found = re.fullmatch(r"/rest/api/3/issue/OPS-7/comment(?:/(\d+))?", asked.path)
        need(found, 404)
        if asked.method == "GET":
            comments = [{"id": name, "body": body} for name, body in self.comments.items()]
            return {"comments": comments[::-1] if asked.query.get("orderBy") == "-created" else comments}
        document = asked.body["body"]
        need(document["type"] == "doc" and document["version"] == 1 and _all_texts_say_something(document), 400)
        name = found[1] if found and found[1] else str(1000 + len(self.comments))
        need(asked.method == "POST" or name in self.comments, 404)
        self.comments[name] = document
        return {"id": name, "body": document}

    def said(self) -> list[str]:
        return [json.dumps(body) for body in self.comments.values()]


def _all_texts_say_something(node: Json) -> bool:
    if node["type"] == "text":
        return bool(node["text"])
    return all(map(_all_texts_say_something, node.get("content", [])))


class GitHub(Vendor):
    """GitHub's REST API: comments of one issue and of commits."""

    def __init__(self) -> None:
        super().__init__()
        self.comments: dict[str, Json] = {}

    async def answer(self, asked: Asked) -> Json:
        need(asked.headers.get("authorization") == "Bearer gh-token", 401, "Bad credentials")
        need(asked.headers.get("user-agent"), 403)
        if asked.path == "/rate_limit":
            return {"rate": {"remaining": 4999}}
        if asked.path == "/repos/shop/stock/actions/runs/99":
            return {"head_sha": "ab" * 20}
        if re.fullmatch(r"/repos/shop/stock/(issues/12|commits/(ab){20})/comments", asked.path):
            if asked.method == "GET":
                return [each for each in self.comments.values() if each["on"] == asked.path]
            name = 1 + len(self.comments)
            kind = "issues/comments" if "/issues/" in asked.path else "comments"
            self.comments[f"/repos/shop/stock/{kind}/{name}"] = made = {"id": name, "on": asked.path, **asked.body}
            return made
        need(asked.method == "PATCH" and asked.path in self.comments, 404, "Not Found")
        self.comments[asked.path] |= asked.body
        return self.comments[asked.path]

    def said(self) -> list[str]:
        return [each["body"] for each in self.comments.values()]


Make = Callable[[], Vendor]
