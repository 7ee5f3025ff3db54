"""Robots-as-a-Service: a small real application to break."""
