"""Entries of Loki as log lines: which labels mean what. Loki keeps no order among lines of one time, so a hash does."""

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from midwatch_kit.logs.lines import LogLine
from midwatch_logs.backends.loki.logql import Names
from midwatch_logs.remote import clip, severity_in, trace_in, with_exception


def writer_of(labels: Mapping[str, str], names: Names) -> tuple[str, str, int]:
    """Return the service, the instance and the severity that labels tell."""
    service = labels.get(names.service) or "unknown_service"
    return service, first_of(labels, names.instances), severity_in(first_of(labels, names.levels))


def first_of(labels: Mapping[str, str], names: Sequence[str]) -> str:
    """Return the value of the first label that is there."""
    return next((labels[name] for name in names if labels.get(name)), "")


def lines_of(streams: Sequence[Mapping[str, Any]], names: Names) -> Iterator[LogLine]:
    """Return the lines of an answer's streams."""
    for stream in streams:
        labels: Mapping[str, str] = stream["stream"]
        service, instance, severity = writer_of(labels, names)
        kept = {k: v for k, v in labels.items() if k not in names.of_writers and k != names.trace}
        identity = "\x1f".join(f"{k}={v}" for k, v in sorted(labels.items()))
        for entry in stream["values"]:
            time, body = int(entry[0]), entry[1]
            told = with_exception(body, labels.get("exception_type"), labels.get("exception_message"))
            message, cut = clip(told)
            trace = labels.get(names.trace) or trace_in(body)
            yield LogLine(time, _number(identity, body), severity, service, instance, message, trace, cut, kept)


def _number(identity: str, body: str) -> int:
    digest = hashlib.blake2b(f"{identity}\x1f{body}".encode("utf-8", "surrogatepass"), digest_size=6).digest()
    return int.from_bytes(digest)
