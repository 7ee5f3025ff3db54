"""What there is in an AWS account, and how it is tied: an inventory, for the topology. It changes nothing."""

from midwatch_deploys.backends.aws.inventory.backend import AwsInventory

__all__ = ["AwsInventory"]
