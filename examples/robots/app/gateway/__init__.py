"""The gateway: the only service that customers reach."""
