"""The command line: what a person types, and what they read. Everything is a reading of the journal or a call of
something else; `--json` prints the same for programs. Each module registers its commands with the application.
"""

from midwatch.cli import (
    alerts,
    api,
    bench,
    cases,
    chat,
    config,
    db,
    incidents,
    keeping,
    login,
    mcp,
    notify,
    recommendations,
    server,
    steer,
    steering,
    system,
    token,
    triage,
)
from midwatch.cli.app import app, main

__all__ = [
    "alerts",
    "api",
    "app",
    "bench",
    "cases",
    "chat",
    "config",
    "db",
    "incidents",
    "keeping",
    "login",
    "main",
    "mcp",
    "notify",
    "recommendations",
    "server",
    "steer",
    "steering",
    "system",
    "token",
    "triage",
]
