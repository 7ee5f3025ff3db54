"""The way of a patch into production: committed to the branch, then deployed by the merge queue."""

from robots.deployer import Done
from robots.history import Patch, commit_patch, commit_time
from robots.scene import Scene


async def deploy_patch(scene: Scene, service: str, patch: Patch, number: int) -> Done:
    """Commit a patch, as the commit with that number, and have a service run it."""
    commit = await commit_patch(scene.repository, patch, commit_time(scene.plan.seed, number))
    return await scene.deployer.deploy(service, commit.sha, by="merge queue")
