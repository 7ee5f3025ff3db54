"""Settings of the byo server: where the mapping file is, and how much a question may read."""

import os
import sys
import tempfile
from pathlib import Path

from pydantic import AliasChoices, Field

from midwatch_kit import ServerSettings


def _cache_folder() -> Path:
    user = "" if sys.platform == "win32" else f"-{os.getuid()}"
    return Path(tempfile.gettempdir()) / f"midwatch-byo{user}"


class ByoSettings(ServerSettings):
    """How the byo server is started: `MIDWATCH_BYO_MAPPING` or `--mapping` names the mapping file.

    Credentials for a bucket come from where boto3 looks for them, never from a setting of this server.
    """

    mapping: Path = Field(
        validation_alias=AliasChoices("MIDWATCH_BYO_MAPPING", "mapping"), description="the mapping file (YAML)"
    )
    read_max_bytes: int = Field(
        256 * 2**20,
        ge=1,
        validation_alias=AliasChoices("MIDWATCH_BYO_READ_MAX_BYTES", "read_max_bytes"),
        description="stored bytes that one question may need; more is refused before anything is read",
    )
    cache_dir: Path = Field(
        default_factory=_cache_folder,
        validation_alias=AliasChoices("MIDWATCH_BYO_CACHE_DIR", "cache_dir"),
        description="where objects that were read are kept, as Parquet",
    )
    cache_max_bytes: int = Field(
        2**30,
        ge=2**20,
        validation_alias=AliasChoices("MIDWATCH_BYO_CACHE_MAX_BYTES", "cache_max_bytes"),
        description="bytes of such Parquet to keep; the least recently used go first",
    )
