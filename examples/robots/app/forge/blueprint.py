"""A blueprint and its JSON, which is both what the cache keeps and what callers get.

Reading is strict: a robot that is rigged from a half-understood document hurts people.
"""

import json
from dataclasses import asdict, dataclass

FIELDS = {"model", "load_kg", "mass_kg", "joints"}


class UnreadableBlueprint(Exception):
    """Raised when a document isn't a blueprint as this release knows it."""


@dataclass(frozen=True)
class Joint:
    """One joint of the arm: its torque in newton metres and its gear ratio."""

    name: str
    torque_nm: float
    gear_ratio: float


@dataclass(frozen=True)
class Blueprint:
    """How a model is rigged for a load."""

    model: str
    load_kg: int
    mass_kg: float
    joints: tuple[Joint, ...]


def dumps(blueprint: Blueprint) -> str:
    """Return the blueprint as JSON."""
    return json.dumps(
        {
            "model": blueprint.model,
            "load_kg": blueprint.load_kg,
            "mass_kg": blueprint.mass_kg,
            "joints": [asdict(joint) for joint in blueprint.joints],
        }
    )


def loads(text: str) -> Blueprint:
    """Return the blueprint in a JSON text; raises UnreadableBlueprint for a field too many or too few."""
    document = json.loads(text)
    problems = [f"unknown field {name}" for name in sorted(document.keys() - FIELDS)]
    problems += [f"missing field {name}" for name in sorted(FIELDS - document.keys())]
    if problems:
        raise UnreadableBlueprint(f"can't read a blueprint: {', '.join(problems)}")
    joints = tuple(Joint(**joint) for joint in document["joints"])
    return Blueprint(document["model"], document["load_kg"], document["mass_kg"], joints)
