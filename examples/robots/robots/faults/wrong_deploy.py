"""Two deploys, both of them bad: one complains about each request and fails none, the other one is the cause."""

import random

import anyio

from robots.delivery import deploy_patch
from robots.herrings import ruled_out
from robots.history import KUMAR, OKAFOR, Patch
from robots.plan import Plan
from robots.scene import Cause, Fault, Scene, Struck, Truth

NAME = "wrong-deploy"
INNOCENT, GUILTY = "gateway", "forge"
PATCHES = {
    INNOCENT: Patch(
        OKAFOR,
        "gateway: keep an audit trail\n\nOne line per request. A customer's name is kept as a pseudonym only.",
        "robots.faults",
        "wrong_deploy_gateway.patch",
    ),
    GUILTY: Patch(
        KUMAR,
        "forge: reckon with the elbow's smaller motor\n\nAll joints had the shoulder's motor so far.",
        "robots.faults",
        "wrong_deploy_forge.patch",
    ),
}
COMMIT_NUMBERS = {INNOCENT: 7, GUILTY: 8}


def truth(plan: Plan) -> Truth:
    """The deploy of forge is to blame; that of gateway, as bad as it is, breaks nothing."""
    lures = (Cause("change", f"service:{INNOCENT}"), *ruled_out(plan))
    return Truth("root_cause", (Cause("change", f"service:{GUILTY}"),), lures)


async def strike(scene: Scene) -> Struck:
    """Deploy the one and, some seconds later, the other."""
    await deploy_patch(scene, INNOCENT, PATCHES[INNOCENT], COMMIT_NUMBERS[INNOCENT])
    await anyio.sleep(random.Random(f"{NAME} {scene.plan.seed}").uniform(1, 3))
    done = await deploy_patch(scene, GUILTY, PATCHES[GUILTY], COMMIT_NUMBERS[GUILTY])
    return Struck(
        f"{GUILTY} {done.version} can't plan an arm with more than two joints, and {INNOCENT} complains of a folder",
        {"change_id": done.change_id, "service": GUILTY, "version": done.version, "author": KUMAR.name},
    )


async def mend(scene: Scene) -> None:
    """Roll forge back; gateway may stay as it is for now."""
    await scene.deployer.roll_back(GUILTY, scene.deployer.history[GUILTY][-2])


FAULT = Fault(
    name=NAME,
    breaks="Within seconds two services are deployed. The new gateway can't write its audit trail and says so as an"
    " error at each request, and needs twice the CPU; its customers don't feel it. The new forge knows two motors, and"
    " fails for every arm with more joints than that.",
    seen="Missions of robots with three joints or more fail with 502 at the gateway: both instances of forge answer 500"
    " (IndexError: tuple index out of range). The gateway's log is full of errors, for requests that succeed too.",
    fix="Roll forge back to the version before. The gateway can wait.",
    ruled_out=(
        "the deploy of gateway: its errors came before the failures, it logs them for requests that succeed too, and"
        " what fails has failed at forge already",
        "the deploy of another service shortly before: that service is healthy",
        "the CPU spike of an instance that has just started: it ends by itself and nobody waits for it",
        "the new warning in another service's log: the requests that it's about succeed",
        "PostgreSQL and the queue: as quick as before",
        "one bad instance or host: both instances of forge fail alike",
    ),
    truth=truth,
    strike=strike,
    mend=mend,
    spares=(INNOCENT,),
)
