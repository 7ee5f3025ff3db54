"""A server that sees the symptom begin at one time, and only in windows that start no earlier than another.

Both are its arguments. A third one, `up` or `down`, says that it is no clear shift: latency that is as before, but for
a little in that direction.
"""

import sys
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tests.host import odd_server as odd
else:
    import odd_server as odd

ONSET, NEAR, *DIRECTION = sys.argv[1:]
TIMES = ("start", "end", "baseline_start", "baseline_end")


def survey(arguments: dict[str, Any]) -> dict[str, Any]:
    grew = {"kind": "spike", "subject": "error_rate", "direction": "up", "magnitude": 31.0, "baseline": 0.0}
    if DIRECTION:
        about = {"kind": "normal", "subject": "latency_p95", "direction": DIRECTION[0]}
        grew = {**about, "magnitude": 31.0, "baseline": 30.0}
    spike = {
        **odd.observation(),
        "entity": "service:gateway",
        "score": 1.0 if DIRECTION else 9.0,
        "onset": ONSET,
        **grew,
    }
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
