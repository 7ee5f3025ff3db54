"""Red herrings: things that really happen shortly before a fault, look suspicious, and break nothing."""

from robots.herrings.deploy import deploy_bystander
from robots.herrings.noise import begin_noise
from robots.herrings.restart import restart_bystander
from robots.plan import Plan
from robots.scene import Cause

__all__ = ["begin_noise", "deploy_bystander", "restart_bystander", "ruled_out"]


def ruled_out(plan: Plan) -> tuple[Cause, ...]:
    """Return what every run's red herrings could be taken for: the deploy, and the restart of an instance."""
    return (Cause("change", f"service:{plan.deployed}"), Cause("change", f"instance:{plan.restarted}"))
