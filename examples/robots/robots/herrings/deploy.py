"""A harmless deploy of a service that has nothing to do with the fault."""

from robots.delivery import deploy_patch
from robots.history import OKAFOR, TANAKA, WEBER, Patch
from robots.scene import Scene

COMMIT_NUMBER = 6
PATCHES = {
    "gateway": Patch(
        OKAFOR, "gateway: name the API version in every answer", "robots.herrings", "gateway_version.patch"
    ),
    "bot": Patch(TANAKA, "bot: tell a robot's depot by row and place", "robots.herrings", "bot_depot.patch"),
    "schedule": Patch(
        WEBER, "schedule: let slots begin on the whole second", "robots.herrings", "schedule_second.patch"
    ),
}


async def deploy_bystander(scene: Scene) -> None:
    """Commit a harmless patch to the plan's service and deploy it."""
    service = scene.plan.deployed
    await deploy_patch(scene, service, PATCHES[service], COMMIT_NUMBER)
