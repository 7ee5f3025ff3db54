"""Robots-as-a-Service: missions in, moving robots out. Each sub-package with a `__main__` is one service."""
