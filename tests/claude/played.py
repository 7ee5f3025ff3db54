"""What who plays the model reads out of a request."""

import re

from midwatch_bench.messages import Json


def task(body: Json) -> str:
    """Return what a conversation is about."""
    return str(body["messages"][0]["content"][0]["text"])


def turn(body: Json) -> int:
    """Return how many times the model has answered in this conversation."""
    return len(body["messages"]) // 2


def suggested(body: Json) -> list[str]:
    """Return the ids of the hypotheses that the lead is shown, the likeliest first."""
    return re.findall(r"^([0-9a-f]{12})  ", task(body), re.MULTILINE)


def is_lead(body: Json) -> bool:
    return "which causes are worth testing" in task(body)


def tool(body: Json, ending: str) -> str:
    """Return the name of the tool that ends so, of those that are offered."""
    return next(str(each["name"]) for each in body["tools"] if each["name"].endswith(ending))


def shown(body: Json) -> str:
    """Return the name of the result that the tools gave last."""
    results = [str(b["content"]) for b in body["messages"][-1]["content"] if b["type"] == "tool_result"]
    return str(re.findall(r"^\[(E\d+)\]", "\n".join(results), re.MULTILINE)[0])
