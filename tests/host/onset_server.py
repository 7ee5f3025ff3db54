"""A server that sees the symptom begin at one time, and only in windows that start no earlier than another.

Both are its arguments.
"""

import sys
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tests.host import odd_server as odd
else:
    import odd_server as odd

ONSET, NEAR = sys.argv[1:3]
TIMES = ("start", "end", "baseline_start", "baseline_end")


def survey(arguments: dict[str, Any]) -> dict[str, Any]:
    grew = {"kind": "spike", "subject": "error_rate", "direction": "up", "magnitude": 31.0, "baseline": 0.0}
    spike = {**odd.observation(), "entity": "service:gateway", "score": 9.0, "onset": ONSET, **grew}
    return odd.records(observations=[spike] if arguments["start"] >= NEAR else [])


odd.TOOLS[:] = [
    {
        "name": "survey",
        "inputSchema": {"type": "object", "properties": {time: {"type": "string"} for time in TIMES}},
        "annotations": {"readOnlyHint": True},
        "_meta": {"midwatch/role": "survey", "midwatch/signal": "traces"},
    }
]
odd.HANDLERS.update(survey=survey)
odd.main([])
