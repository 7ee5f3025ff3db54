"""The host's settings: each part's in a module of its own, put together in `host`; how a file and a secret are read."""

from midwatch.settings.host import OAuth, ServerSpec, Settings, Variables

__all__ = ["OAuth", "ServerSpec", "Settings", "Variables"]
