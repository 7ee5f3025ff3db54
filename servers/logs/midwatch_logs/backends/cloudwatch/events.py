"""Log events as log lines: what a line of JSON tells, the level that a line of text names, whose stream it is.

The level is read by expressions that Logs Insights evaluates too, so that counts and lines agree.
"""

import hashlib
import json
import re
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from typing import Any, Final

from midwatch_kit.logs.lines import LogLine
from midwatch_logs.remote import clip, severity_in, trace_in, with_exception

LEVEL_KEY: Final = (
    r'"(?:log\.)?(?:level|severity|levelname|log_level|severity_text)\\?"\s*:\s*\\?"(?P<mw_key>[A-Za-z]+)'
)
LEVEL_WORD: Final = r"\b(?P<mw_word>TRACE|DEBUG|INFO|NOTICE|WARN|WARNING|ERROR|SEVERE|FATAL|CRITICAL)\b"
MESSAGE_FIELDS: Final = ("message", "msg", "log")
_TRACES: Final = ("trace_id", "traceId", "trace.id", "xray_trace_id")
_KEY: Final = re.compile(LEVEL_KEY)
_WORD: Final = re.compile(LEVEL_WORD)
_MS: Final = 10**6


def line_of(time_ms: int, group: str, service: str, stream: str, text: str) -> LogLine:
    """Return an event as a line; of events of one time a hash makes the order, as CloudWatch has none."""
    told = _json(text)
    body = next((told[name] for name in MESSAGE_FIELDS if told.get(name)), text)
    body = with_exception(body, told.get("exception.type"), told.get("exception.message"))
    message, cut = clip(body.rstrip("\n"))
    trace = next((told[name] for name in _TRACES if told.get(name)), "") or trace_in(text)
    attributes = {k: v for k, v in told.items() if k not in (*MESSAGE_FIELDS, *_TRACES)}
    seq = int.from_bytes(
        hashlib.blake2b(f"{group}\x1f{stream}\x1f{text}".encode("utf-8", "surrogatepass"), digest_size=6).digest()
    )
    severity = severity_in(level_in(text))
    return LogLine(time_ms * _MS, seq, severity, service, instance_of(stream), message, trace, cut, attributes)


def level_in(text: str) -> str:
    """Return the level that an event names, '' for none: by a key of its JSON, or as a word in capitals."""
    key, word = _KEY.search(text), _WORD.search(text)
    return key["mw_key"] if key else word["mw_word"] if word else ""


def instance_of(stream: str) -> str:
    """Return what is telling of a log stream's name: `ecs/web/0123` is of task 0123, Lambda's of an environment."""
    return re.split(r"[/\]]", stream)[-1] or stream


def time_in(text: str) -> int:
    """Return the ms since the epoch of a time that Insights wrote as `2026-11-20 02:59:59.000`, in UTC."""
    return round(datetime.fromisoformat(f"{text}+00:00").astimezone(UTC).timestamp() * 1000)


def _json(text: str) -> dict[str, str]:
    if not text.startswith("{"):
        return {}
    try:
        read = json.loads(text)
    except ValueError:
        return {}
    return dict(_flat(read)) if isinstance(read, dict) else {}


def _flat(value: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, str]]:
    for name, inner in value.items():
        if isinstance(inner, Mapping):
            yield from _flat(inner, f"{prefix}{name}.")
        elif inner is not None:
            yield f"{prefix}{name}", inner if isinstance(inner, str) else json.dumps(inner, ensure_ascii=False)
