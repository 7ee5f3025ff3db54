"""Red herrings: things that really happen shortly before a fault, look suspicious, and break nothing."""

from robots.herrings.deploy import deploy_bystander
from robots.herrings.noise import begin_noise
from robots.herrings.restart import restart_bystander

__all__ = ["begin_noise", "deploy_bystander", "restart_bystander"]
