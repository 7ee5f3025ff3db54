"""Rules of every answer, whatever the tool: its fields, its size, the bytes behind it, its time, and no secrets."""

import json
from collections.abc import Iterator, Sequence

from pydantic import JsonValue

from midwatch.conformance.drilling import whole
from midwatch.conformance.probe import Probe, Said
from midwatch.conformance.verdicts import Rule, Verdict

MOST_CHARS = 10_000
"""About 2,000 tokens of lines, and a quarter more for the window, the query and the way to the rest."""
_FIELDS = Rule(
    "answers say what was asked and counted",
    "give query, matched, returned, truncated, lines and evidence, the same in text and in structured content",
)
_EVIDENCE = Rule(
    "evidence can be read and has the hash that names it",
    "name it in midwatch/evidence (id, pages) and serve midwatch://evidence/ID/page/N: JSON with rows",
)
_BOUNDED = Rule("answers are bounded", f"cut to about 2,000 tokens ({MOST_CHARS:,} characters), and lead to the rest")
_IN_TIME = Rule("calls are answered in time", "give the backend a timeout, and say what to narrow")
_SECRETS = Rule("secrets are not told", "keep tokens and passwords out of replies and errors")


def envelope(probe: Probe, secrets: Sequence[str]) -> Iterator[Verdict]:
    """Judge everything that the server said so far."""
    good = [said for said in probe.said if said.result and not said.refused]
    if not good:
        yield from (rule.untried("nothing was answered") for rule in (_FIELDS, _EVIDENCE, _BOUNDED))
    else:
        yield _FIELDS.judged([fault for said in good for fault in _wrong_fields(said)], f"in {len(good)} answers")
        faults = [f"{said.tool}: {said.fault}" for said in good if said.fault]
        yield _EVIDENCE.judged(
            [*faults, *_misnamed(good)], f"{len({said.reply.get('evidence') for said in good})} documents"
        )
        sizes = [(max(len(said.text), len(_compact(said.reply))), said.tool) for said in good]
        large = [f"{tool} gave {size:,} characters" for size, tool in sizes if size > MOST_CHARS]
        yield _BOUNDED.judged(large, f"at most {max(sizes)[0]:,} characters")
    yield _IN_TIME.judged(probe.late, f"{len(probe.said)} calls within {probe.seconds:g} s each")
    yield _secrets(probe, [secret for secret in secrets if secret])


def _wrong_fields(said: Said) -> Iterator[str]:
    reply, lines = said.reply, said.reply.get("lines")
    if not isinstance(reply.get("query"), str):
        yield f"{said.tool} gave no query"
    if not isinstance(lines, list) or whole(reply.get("returned")) != len(lines):
        yield f"{said.tool} says it returned {reply.get('returned')}, and has {_count(lines)} lines"
    if whole(reply.get("matched")) < 0:
        yield f"{said.tool} says it matched {reply.get('matched')}"
    if not isinstance(reply.get("truncated"), bool):
        yield f"{said.tool} does not say whether it is truncated"
    if isinstance(lines, list) and lines and str(lines[0]) not in said.text:
        yield f"{said.tool} has lines in structured content that its text lacks"


def _count(lines: JsonValue) -> str:
    return str(len(lines)) if isinstance(lines, list) else "no"


def _misnamed(good: Sequence[Said]) -> Iterator[str]:
    for said in good:
        if said.answer and said.reply.get("evidence") != said.answer.evidence:
            yield f"{said.tool} names other evidence in its reply than in its _meta"


def _compact(reply: object) -> str:
    return json.dumps(reply, separators=(",", ":"), ensure_ascii=False)


def _secrets(probe: Probe, secrets: Sequence[str]) -> Verdict:
    if not secrets:
        return _SECRETS.untried("no secret was handed to the server: try with --token-env or --env")
    heard = [(said.tool, f"{said.text} {said.trouble} {_compact(said.reply)}") for said in probe.said]
    faults = [f"{tool} told one that was handed to it" for tool, text in heard if any(s in text for s in secrets)]
    return _SECRETS.judged(faults, f"{len(secrets)} handed over, none told in {len(heard)} calls")
