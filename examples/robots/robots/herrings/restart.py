"""A restart of an instance that burns a second or two of CPU when it starts, since it works out a table."""

from robots.scene import Scene


async def restart_bystander(scene: Scene) -> None:
    """Restart the plan's instance."""
    instance = scene.plan.restarted
    service, _, _ = instance.rpartition("-")
    await scene.deployer.restart(service, instance, by="Jonas Weber", reason="routine move to a fresh process")
