"""Two deploys at once: of a service that begins to fail, and of the one whose answers it no longer understands."""

import random

import anyio

from robots.delivery import deploy_patch
from robots.herrings import ruled_out
from robots.herrings.deploy import PATCHES as HARMLESS
from robots.history import KUMAR, Patch
from robots.plan import Plan
from robots.scene import Cause, Fault, Scene, Struck, Truth

NAME = "renamed-field"
INNOCENT, GUILTY = "bot", "forge"
PATCHES = {
    INNOCENT: HARMLESS[INNOCENT],
    GUILTY: Patch(
        KUMAR,
        "forge: call the mass of a rigged robot what the drawings call it\n\nThe drawings say rigged mass.",
        "robots.faults",
        "renamed_field.patch",
    ),
}
COMMIT_NUMBERS = {INNOCENT: 7, GUILTY: 8}


def truth(plan: Plan) -> Truth:
    """The deploy of forge is to blame, though it is bot that fails, and bot was deployed as well."""
    lures = (Cause("change", f"service:{INNOCENT}"), *ruled_out(plan))
    return Truth("root_cause", (Cause("change", f"service:{GUILTY}"),), lures)


async def strike(scene: Scene) -> Struck:
    """Deploy bot and, within a second of its end, forge."""
    await deploy_patch(scene, INNOCENT, PATCHES[INNOCENT], COMMIT_NUMBERS[INNOCENT])
    await anyio.sleep(random.Random(f"{NAME} {scene.plan.seed}").uniform(0.2, 0.8))
    done = await deploy_patch(scene, GUILTY, PATCHES[GUILTY], COMMIT_NUMBERS[GUILTY])
    return Struck(
        f"{GUILTY} {done.version} answers with rigged_mass_kg, and bot reads mass_kg",
        {"change_id": done.change_id, "service": GUILTY, "version": done.version, "author": KUMAR.name},
    )


async def mend(scene: Scene) -> None:
    """Roll forge back; bot may stay as it is."""
    await scene.deployer.roll_back(GUILTY, scene.deployer.history[GUILTY][-2])


FAULT = Fault(
    name=NAME,
    breaks="Within seconds two services are deployed. The new bot tells where a robot's depot is, which breaks nothing."
    " The new forge answers with another name for a field that bot reads.",
    seen="Every mission fails with 502 at the gateway: bot answers 500 (KeyError: 'mass_kg'). forge answers 200, as"
    " quickly as before. Only its diff tells that the field has another name now.",
    fix="Roll forge back to the version before. bot can stay.",
    ruled_out=(
        "the deploy of bot: its diff doesn't touch what fails",
        "the deploy of another service shortly before: that service is healthy",
        "the CPU spike of an instance that has just started: it ends by itself and nobody waits for it",
        "the new warning in another service's log: the requests that it's about succeed",
        "PostgreSQL and the queue: as quick as before",
    ),
    truth=truth,
    strike=strike,
    mend=mend,
    spares=(INNOCENT,),
)
