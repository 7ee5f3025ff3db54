"""Robots-as-a-Service: a small real application to break, with the truth about how it was broken."""
