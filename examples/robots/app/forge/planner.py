"""Works out how an arm is rigged: the torque that each joint needs to lift a load through its reach."""

from math import cos, pi

from app.forge.blueprint import Blueprint, Joint

GRAVITY = 9.81
POSES = 2000
MODELS = {
    "porter": (0.9, 0.7),
    "picker": (0.5, 0.5, 0.2),
    "welder": (0.8, 0.8, 0.3),
    "painter": (0.7, 0.7, 0.4, 0.1),
    "sorter": (0.4, 0.3),
    "packer": (0.6, 0.5, 0.2),
}
LINK_KG_PER_METRE = 4.0
MOTOR_NM = 3.2


def plan(model: str, load_kg: int) -> Blueprint:
    """Return the blueprint of a known model for a load in kilograms."""
    links = MODELS[model]
    joints = tuple(_joint(number, links[number:], load_kg) for number in range(len(links)))
    mass = sum(links) * LINK_KG_PER_METRE + sum(0.04 * joint.torque_nm for joint in joints)
    return Blueprint(model, load_kg, round(mass, 2), joints)


def torques(model: str, load_kg: float) -> list[float]:
    """Return the torque in newton metres that each joint of a known model needs at the most."""
    links = MODELS[model]
    return [_most(links[number:], load_kg) for number in range(len(links))]


def _joint(number: int, outward: tuple[float, ...], load_kg: int) -> Joint:
    torque = _most(outward, load_kg)
    return Joint(f"joint-{number + 1}", round(torque, 2), round(torque / MOTOR_NM, 2))


def _most(outward: tuple[float, ...], load_kg: float) -> float:
    return max(_torque(outward, load_kg, pi * pose / POSES - pi / 2) for pose in range(POSES))


def _torque(outward: tuple[float, ...], load_kg: float, angle: float) -> float:
    torque, reach = 0.0, 0.0
    for length in outward:
        torque += LINK_KG_PER_METRE * length * GRAVITY * (reach + length / 2) * cos(angle)
        reach += length
    return torque + load_kg * GRAVITY * reach * cos(angle)
