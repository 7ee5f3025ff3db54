"""The receiver's settings: from the command line, else from `MIDWATCH_STORE_*`, else the defaults below."""

import re
from datetime import timedelta
from pathlib import Path
from typing import Annotated, Final

from pydantic import BeforeValidator, ByteSize, Field
from pydantic_settings import BaseSettings, SettingsConfigDict

_UNITS: Final = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days", "w": "weeks"}


def parse_age(value: object) -> object:
    """`90s`, `30m`, `24h`, `7d` or `2w` as a timedelta, `none` as None; anything else is pydantic's to judge."""
    if not isinstance(value, str):
        return value
    text = value.strip().lower()
    if text == "none":
        return None
    if match := re.fullmatch(r"(\d{1,9})([smhdw])", text):
        return timedelta(**{_UNITS[match[2]]: int(match[1])})
    raise ValueError("write an age as a number and a unit, such as 30m, 24h or 7d, or 'none'")


def parse_bytes(value: object) -> object:
    """`none` as None; anything else is pydantic's `ByteSize` to read."""
    return None if isinstance(value, str) and value.strip().lower() == "none" else value


class Settings(BaseSettings):
    """How the receiver listens, what it takes and what it keeps."""

    model_config = SettingsConfigDict(env_prefix="MIDWATCH_STORE_", frozen=True)

    dir: Path = Field(default=Path(".midwatch/store"), description="the store's directory, made if it is not there")
    host: str = Field(
        default="127.0.0.1", description="the address to listen on; the receiver asks no one who they are"
    )
    port: int = Field(default=4318, ge=0, le=65535, description="the port to listen on, 0 for any free one")
    max_age: Annotated[timedelta | None, BeforeValidator(parse_age)] = Field(
        default=timedelta(hours=24), description="hours older than this are deleted: 30m, 24h, 7d or none"
    )
    max_bytes: Annotated[ByteSize | None, BeforeValidator(parse_bytes)] = Field(
        default=ByteSize(2 * 1024**3), description="the oldest hours beyond this size are deleted: 500MiB, 2GiB or none"
    )
    max_body: ByteSize = Field(default=ByteSize(16 * 1024**2), description="the largest request, unpacked")
    max_waiting: int = Field(default=256, ge=1, description="requests that may wait for the disk; more get a 429")
    max_waiting_bytes: ByteSize = Field(
        default=ByteSize(64 * 1024**2), description="how many bytes of requests may wait for the disk"
    )
    flush_seconds: float = Field(default=0.1, gt=0, le=0.2, description="how long the first of them waits for others")
    while_stdin_open: bool = Field(
        default=False, description="end when standard input closes, so that a parent that dies takes this along"
    )
    upkeep_seconds: float = Field(default=10.0, gt=0, description="the pause between rounds of merging and deleting")
