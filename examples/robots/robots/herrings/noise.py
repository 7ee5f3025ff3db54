"""Customers begin to do something that a service warns of in its log, and that works nevertheless."""

from robots.load import OLD_CLIENT, WEAK_FLEET
from robots.plan import NOISES
from robots.scene import Scene

WHAT = {
    OLD_CLIENT: "a customer's old client comes on line, which still speaks the API version before",
    WEAK_FLEET: "a customer sends out its oldest robots, whose batteries are weak",
}


async def begin_noise(scene: Scene) -> None:
    """Let customers adopt the plan's habit."""
    habit = scene.plan.noise
    scene.load.adopt(habit)
    scene.note(f"{WHAT[habit]}: {NOISES[habit]} warns of it")
