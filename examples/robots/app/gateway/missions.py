"""What a mission must look like; whether the robot exists is the bot service's to say."""

from typing import Any

from app.errors import Refused

TASKS = ("fetch", "carry", "sort", "patrol")
HEAVIEST_KG = 25


def read_mission(document: dict[str, Any]) -> dict[str, str | int]:
    """Return the mission in a request's body; raises Refused with what is wrong with it."""
    robot, task, load_kg = document.get("robot"), document.get("task"), document.get("load_kg")
    if not isinstance(robot, str) or not robot:
        raise Refused(422, "robot: name the robot to send, such as porter-3")
    if task not in TASKS:
        raise Refused(422, f"task: {task!r} is none of {', '.join(TASKS)}")
    if not isinstance(load_kg, int) or not 1 <= load_kg <= HEAVIEST_KG:
        raise Refused(422, f"load_kg: {load_kg!r} isn't a whole number from 1 to {HEAVIEST_KG}")
    return {"robot": robot, "task": task, "load_kg": load_kg}
