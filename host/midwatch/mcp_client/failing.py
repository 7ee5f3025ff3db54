"""Answers that are none: what a server says instead of looking, as an error or, as many do, as a success.

An error is one by the protocol; whether it is about credentials its words tell. A success is taken for a failure when
it is, as a whole, one of these and nothing else, so that a log line that says 401 never is:

- a JSON object with nothing but the fields of an error: `{"error": …}`, `{"errors": […]}`, `{"ok": false}`,
  `{"success": false}`, `{"status": "error"}`, a status from 400 on beside its message (RFC 9457 among them), or
  `{"message": "Unauthorized"}`;
- one line that says that nobody may come in: `401 Unauthorized`, `Error: invalid API key`, `Error in x: token expired`;
- nothing at all: no text, no field.
"""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from mcp import types
from pydantic import JsonValue

_SHORT: Final = 300
"""Characters of a line that can be a refusal as a whole, and of what is told of any."""

_CREDENTIALS: Final = (
    r"(?:(?:api|access|auth|bearer|session|refresh)[ _-]?(?:key|token)|token|credentials?|api[ _-]?key|jwt|signature)"
)
_BAD: Final = r"(?:invalid|expired|revoked|missing|bad|wrong|incorrect|rejected)"
_WORDS: Final = (
    r"unauthori[sz]ed|unauthenticated|not authenticated|not authori[sz]ed|forbidden|access(?: is)? denied|"
    r"permission(?: is)? denied|authentication (?:failed|required|error)|authorization (?:failed|required)|"
    rf"{_BAD} {_CREDENTIALS}|{_CREDENTIALS} (?:is |has |was )?(?:been )?{_BAD}|no {_CREDENTIALS} (?:provided|found)|"
    r"invalid_auth|not_authed|invalid_token|token_expired|token_revoked|invalid_grant|expired_?token\w*|"
    r"access_?denied\w*|login required|unrecognizedclientexception|invalidclienttokenid|signaturedoesnotmatch"
)
_DENIED: Final = re.compile(
    rf"\b(?:{_WORDS})\b|\b(?:https?|status|code|error)\W{{0,3}}(?:code|response)?\W{{0,3}}40[13]\b", re.IGNORECASE
)
_PHRASE: Final = re.compile(rf"(?:{_WORDS})\W*", re.IGNORECASE)
_LINE: Final = re.compile(
    r"(?:(?:an )?(?:error|failed|failure|exception)\b[^:\n]{0,80}:\s*)?(?:https?(?:/[\d.]+)?\s+)?(?:40[13]\b[\s:,-]*)?"
    rf"(?:client error:\s*)?(?:{_WORDS})(?:\s*[.:;,!(-].*| for (?:url|request)\b.*)?",
    re.IGNORECASE,
)
_ERRORS: Final = frozenset({"error", "errors", "error_description", "error_code", "errorcode", "errormessage"})
_STATUS: Final = frozenset({"status", "statuscode", "status_code", "code", "httpstatus", "http_status"})
_BESIDE: Final = frozenset({
    "message", "msg", "detail", "details", "title", "type", "instance", "reason", "description", "hint", "help", "url",
    "documentation_url", "request_id", "requestid", "trace_id", "ok", "success", "iserror", "is_error",
})  # fmt: skip
_FAILED: Final = frozenset({"error", "fail", "failed", "failure"})


@dataclass(frozen=True)
class Failure:
    """What a server said instead of an answer; `denied` when it is about who asks."""

    said: str
    denied: bool


def is_denial(said: str) -> bool:
    """Whether an error's words say that whoever asks may not."""
    return bool(_DENIED.search(said))


def failure_in(result: types.CallToolResult) -> Failure | None:
    """Return what is wrong with a success, when it is none as a whole."""
    texts = [part.text.strip() for part in result.content if isinstance(part, types.TextContent)]
    if len(texts) < len(result.content):
        return None  # an image says something, whatever it is
    whole = "\n".join(texts).strip()
    told = _only_value(result.structured_content) if not whole else _parsed(whole)
    if told in (None, "") and not whole:
        return Failure("it answers with nothing at all, not even that there is nothing", denied=False)
    if isinstance(told, dict):
        return _envelope(told)
    line = told if isinstance(told, str) else whole
    refused = isinstance(told, str | None) and len(line) <= _SHORT and _LINE.fullmatch(line)
    return Failure(line, denied=True) if refused else None


def _only_value(structured: Mapping[str, JsonValue] | None) -> JsonValue:
    """Return what is structured; of a bare value, which the protocol wraps, the value itself."""
    if structured is None:
        return None
    return structured["result"] if structured.keys() == {"result"} else dict(structured)


def _parsed(text: str) -> JsonValue:
    try:
        told: JsonValue = json.loads(text)
    except (ValueError, RecursionError):
        return None
    return told


def _envelope(told: Mapping[str, JsonValue]) -> Failure | None:
    fields = {name.lower(): value for name, value in told.items()}
    if not fields or not fields.keys() <= _ERRORS | _STATUS | _BESIDE:
        return None
    said = json.dumps(told, ensure_ascii=False)
    code = _code(fields)
    denied = code in (401, 403) or is_denial(said)
    wrong = any(fields.get(name) for name in _ERRORS) or code >= 400 or _says_so(fields)
    return Failure(said[:_SHORT], denied) if wrong else None


def _says_so(fields: Mapping[str, JsonValue]) -> bool:
    status, words = fields.get("status"), [fields.get(name) for name in ("message", "msg", "detail")]
    phrase = any(isinstance(each, str) and _PHRASE.fullmatch(each.strip()) for each in words)
    refused = any(fields.get(name) is False for name in ("ok", "success"))
    return phrase or refused or (isinstance(status, str) and status.lower() in _FAILED)


def _code(fields: Mapping[str, JsonValue]) -> int:
    """Return the status of HTTP that the fields name, beside words that are about it; 0 without one."""
    for name in _STATUS & fields.keys():
        value = fields[name]
        number = int(value) if isinstance(value, str) and value.isdecimal() else value
        if isinstance(number, int) and 400 <= number < 600 and fields.keys() - _STATUS:
            return number
    return 0
