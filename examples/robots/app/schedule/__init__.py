"""The schedule: gives a mission its slot and queues it."""
