"""Settings that every server has; read once, from the environment and then from the command line."""

import os
import sys
import tempfile
from pathlib import Path
from typing import Literal

from pydantic import Field
from pydantic_settings import BaseSettings, SettingsConfigDict


def _cache_folder() -> Path:
    user = "" if sys.platform == "win32" else f"-{os.getuid()}"  # a shared temporary folder is not a shared one of ours
    return Path(tempfile.gettempdir()) / f"midwatch-evidence{user}"


class ServerSettings(BaseSettings):
    """How to reach a server, and how much it may answer; a server's own settings derive from this.

    Each is an environment variable with the prefix `MIDWATCH_` and a flag: `MIDWATCH_REPLY_CHARS`, `--reply-chars`.
    """

    model_config = SettingsConfigDict(
        env_prefix="MIDWATCH_", cli_kebab_case=True, cli_implicit_flags=True, populate_by_name=True, frozen=True
    )

    transport: Literal["stdio", "streamable-http"] = Field("stdio", description="how clients connect")
    host: str = Field("127.0.0.1", description="address to listen on, for streamable-http")
    port: int = Field(8000, ge=0, le=65535, description="port to listen on, for streamable-http")
    allowed_hosts: list[str] = Field([], description="further Host headers to accept, for streamable-http")
    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = Field("WARNING", description="how much goes to stderr")
    reply_chars: int = Field(8_000, ge=500, le=500_000, description="characters in one reply; about 4 make a token")
    evidence_dir: Path = Field(default_factory=_cache_folder, description="where the bytes behind replies are kept")
    evidence_max_bytes: int = Field(256 * 2**20, ge=2**20, description="bytes of evidence to keep; the oldest go first")
    deadline_seconds: float = Field(40.0, gt=0, description="a tool that takes longer answers with an error")
