"""Ways in which an MCP server goes wrong: what a proxy does with a question, one function each.

None of them knows which server it stands before, or what a host makes of it.
"""

import json
from collections.abc import Callable
from typing import Final, TypeAlias

import anyio
from pydantic import JsonValue
from starlette.responses import JSONResponse, Response
from starlette.types import Receive, Scope, Send
from tests.trouble.proxy import Message, Proxy, Question, Respond

from midwatch_kit.evidence import PAGE_CHARS, canonical, evidence_id

Result: TypeAlias = dict[str, JsonValue]
_EVIDENCE: Final = "midwatch://evidence/"
_HUGE: Final = "x" * (24 * 2**20)


class Silence(Response):
    """Nothing at all, or the first half of an answer, and then the connection just stays open."""

    def __init__(self, answer: Message | None = None) -> None:
        super().__init__()
        self._text = json.dumps(answer) if answer else ""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if self._text:
            await _begin(send, self._text, "application/json")
        while (await receive())["type"] != "http.disconnect":
            pass


class Cut(Response):
    """The first half of an answer, and then the end of the connection."""

    def __init__(self, answer: Message) -> None:
        super().__init__(media_type="application/json")
        self._text = json.dumps(answer)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await _begin(send, self._text, self.media_type or "")
        # uvicorn closes the connection of an application that returns before its answer is whole


class CutStream(Cut):
    """The first half of an event, and then the end of the connection."""

    def __init__(self, answer: Message) -> None:
        super().__init__(answer)
        self.media_type, self._text = "text/event-stream", _event(answer)


def at_work(respond: Respond) -> Respond:
    """Be well while client and server get to know each other, and ill as soon as there is work."""

    async def when_asked(proxy: Proxy, question: Question) -> Response:
        works = question.method in ("tools/call", "resources/read")
        return await respond(proxy, question) if works else JSONResponse(await proxy.ask(question))

    return when_asked


def instead(answer: Callable[[Question], Response]) -> Respond:
    """Answer with something of one's own."""

    async def said(_: Proxy, question: Question) -> Response:
        return answer(question)

    return at_work(said)


def late(seconds: float) -> Respond:
    """Answer late."""

    async def answered(proxy: Proxy, question: Question) -> Response:
        await anyio.sleep(seconds)
        return JSONResponse(await proxy.ask(question))

    return at_work(answered)


def halfway(end: Callable[[Message], Response]) -> Respond:
    """Begin to answer, and end as `end` does."""

    async def begun(proxy: Proxy, question: Question) -> Response:
        return end(await proxy.ask(question))

    return at_work(begun)


def results(change: Callable[[Result], Result]) -> Respond:
    """Change the results of tool calls, and leave everything else as it is."""

    async def changed(proxy: Proxy, question: Question) -> Response:
        answer = await proxy.ask(question)
        result = answer.get("result")
        if question.method != "tools/call" or not isinstance(result, dict):
            return JSONResponse(answer)
        return JSONResponse({**answer, "result": change(result)})

    return changed


def records(change: Callable[[Result], Result]) -> Respond:
    """Give other typed records than the server's own, under the hash that they really have."""

    async def forged(proxy: Proxy, question: Question) -> Response:
        name, _, page = question.uri.removeprefix(_EVIDENCE).partition("/page/")
        if name in proxy.kept:
            return JSONResponse(question.answered(contents=[_part(proxy.kept[name], question.uri, int(page))]))
        answer = await proxy.ask(question)
        result = answer.get("result")
        meta = result.get("_meta") if isinstance(result, dict) else None
        if not isinstance(result, dict) or not isinstance(meta, dict) or "midwatch/records" not in meta:
            return JSONResponse(answer)
        told = change(json.loads(await _document(proxy, question, meta["midwatch/records"])))
        forged_meta = {**meta, "midwatch/records": _keep(proxy, canonical(told))}
        return JSONResponse({**answer, "result": {**result, "_meta": forged_meta}})

    return forged


async def _document(proxy: Proxy, question: Question, where: JsonValue) -> str:
    known = where if isinstance(where, dict) else {}
    pages = [question.reading(f"{_EVIDENCE}{known['id']}/page/{n}") for n in range(int(str(known["pages"])))]
    return "".join([_text(await proxy.ask(page)) for page in pages])


def _text(answer: Message) -> str:
    contents: JsonValue = answer["result"]["contents"]  # type: ignore[index,call-overload]
    return str(contents[0]["text"])  # type: ignore[index,call-overload]


def _keep(proxy: Proxy, stored: bytes) -> JsonValue:
    proxy.kept[evidence_id(stored)] = stored.decode()
    return {"id": evidence_id(stored), "pages": max(1, -(-len(stored) // PAGE_CHARS))}


def _part(text: str, uri: str, page: int) -> JsonValue:
    return {"uri": uri, "mimeType": "text/plain", "text": text[page * PAGE_CHARS : (page + 1) * PAGE_CHARS]}


async def mute(_: Proxy, question: Question) -> Response:
    """Never say a word, not even hello."""
    return Silence()


async def unfaithful_bytes(proxy: Proxy, question: Question) -> Response:
    """Change a few of the stored bytes, and keep the name that they had."""
    text = json.dumps(await proxy.ask(question))
    changed = text.replace("observations", "Observations").replace("stock", "stack").replace("shop", "shap")
    return Response(changed if question.method == "resources/read" else text, media_type="application/json")


async def crash_once(proxy: Proxy, question: Question) -> Response:
    """Crash in the middle of the second call."""
    if question.method == "tools/call" and question.number == 1 and not proxy.crashed.is_set():
        proxy.crashed.set()
        return Silence()
    return JSONResponse(await proxy.ask(question))


async def lose_sessions(proxy: Proxy, question: Question) -> Response:
    """Speak the protocol's older era, in which a session has an id, and forget the session at the second call."""
    if question.method == "server/discover":
        return JSONResponse(question.refused(-32601, "Method not found"))
    if question.method == "initialize":
        return JSONResponse(await proxy.ask(question), headers={"mcp-session-id": f"session-{question.number}"})
    if question.method == "tools/call" and question.number == 1:
        proxy.crashed.set()
    lost = proxy.crashed.is_set() and question.headers.get("mcp-session-id") == "session-0"
    return Response("no such session", 404) if lost else JSONResponse(await proxy.ask(question))


async def slow_stream(proxy: Proxy, question: Question) -> Response:
    """Answer a little late, and by a stream of events, as servers may."""
    await anyio.sleep(0.01)
    return Response(_event(await proxy.ask(question)), media_type="text/event-stream")


async def _fail_in_turns(_: Proxy, question: Question) -> Response:
    return Response("", 500 if question.number % 2 else 503)


fail_in_turns = at_work(_fail_in_turns)


async def endless_tools(proxy: Proxy, question: Question) -> Response:
    """List the same tools on page after page."""
    answer = await proxy.ask(question)
    result = answer.get("result")
    if question.method != "tools/list" or not isinstance(result, dict):
        return JSONResponse(answer)
    return JSONResponse({**answer, "result": {**result, "nextCursor": str(question.number)}})


async def rename_tools(proxy: Proxy, question: Question) -> Response:
    """Have other names for the tools than those that were listed."""
    if question.method != "tools/call":
        return JSONResponse(await proxy.ask(question))
    params = question.message["params"]
    name = params["name"] if isinstance(params, dict) else ""
    return JSONResponse(question.refused(-32602, f"Unknown tool: {name}"))


def other_shape(result: Result) -> Result:
    """Have each part of a result be of another type than the protocol says."""
    return {**result, "content": {"text": 7}, "structuredContent": ["lines"], "_meta": {"midwatch/evidence": [1]}}


def endless_evidence(result: Result) -> Result:
    """Claim more pages of evidence than anybody can read."""
    return {**result, "_meta": {"midwatch/evidence": {"id": "0" * 64, "pages": 10**9}}}


def huge(result: Result) -> Result:
    """Say tens of MB where a few kB are due."""
    reply = result.get("structuredContent")
    return {**result, "structuredContent": {**(reply if isinstance(reply, dict) else {}), "lines": [_HUGE]}}


def failed(_: Result) -> Result:
    """Fail, in words, as a tool may."""
    return {"resultType": "complete", "isError": True, "content": [{"type": "text", "text": "the index is red"}]}


def other_types(document: Result) -> Result:
    """Have observations and fragments whose fields are of other types than the contract says."""
    seen = document.get("observations")
    if not isinstance(seen, list):
        return {"fragment": {"entities": "many"}}
    return {"observations": [{**o, "score": "high", "onset": "yesterday"} for o in seen if isinstance(o, dict)]}


def unfounded(document: Result) -> Result:
    """Have observations quote figures that do not stand in their evidence."""
    seen = document.get("observations")
    if not isinstance(seen, list):
        return document
    return {"observations": [{**o, "citations": _misquoted(o["citations"])} for o in seen if isinstance(o, dict)]}


def _misquoted(citations: JsonValue) -> JsonValue:
    return [{**c, "quote": 987654321} for c in citations if isinstance(c, dict)] if isinstance(citations, list) else []


def _event(answer: Message) -> str:
    return f"event: message\ndata: {json.dumps(answer)}\n\n"


async def _begin(send: Send, text: str, media_type: str) -> None:
    body = text.encode()
    headers = [(b"content-type", media_type.encode()), (b"content-length", str(len(body)).encode())]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": body[: len(body) // 2], "more_body": True})
