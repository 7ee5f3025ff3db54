"""The forge: works out how a robot must be rigged for a load."""
