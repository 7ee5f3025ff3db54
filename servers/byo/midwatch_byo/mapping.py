"""The mapping file: where a team's logs are, in which format, and which field means what. It opens no log."""

import re
from datetime import timedelta
from pathlib import Path
from typing import Annotated, Literal, Self
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import yaml
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError, model_validator

from midwatch_byo.aws_files import FORMATS
from midwatch_byo.layout import Layout
from midwatch_kit import BadInput
from midwatch_kit.logs.lines import SEVERITIES


class _Strict(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


def _readable_layout(text: str) -> str:
    Layout(text)
    return text


def _known_zone(name: str) -> str:
    try:
        ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError):
        raise ValueError(f"there is no time zone {name!r}: use a name such as Europe/Berlin or UTC") from None
    return name


class Fields(_Strict):
    """Which field of a line means what; a name with dots is tried as it stands, then as a path into objects."""

    time: str = "time"
    level: str = "level"
    service: str = "service"
    instance: str = "instance"
    message: str = "message"
    trace_id: str = "trace_id"
    attributes: tuple[str, ...] = ()


class Source(_Strict):
    """One place with logs; docs/byo.md tells each field with an example."""

    name: str = Field(pattern=r"^[A-Za-z0-9_.-]{1,60}$")
    location: str
    format: Literal["jsonl", "text", "parquet"]
    layout: Annotated[str, AfterValidator(_readable_layout)] = ""
    files: str = "*"
    pattern: str = ""
    skip: str = ""
    records: str = ""
    fields: Fields = Fields()
    time_format: str = ""
    time_zone: Annotated[str, AfterValidator(_known_zone)] = "UTC"
    service: str = ""
    levels: dict[str, Literal["TRACE", "DEBUG", "INFO", "WARN", "ERROR", "FATAL"]] = {}
    slack: timedelta = timedelta(0)
    endpoint: str | None = None
    region: str | None = None

    @model_validator(mode="before")
    @classmethod
    def _of_aws(cls, told: object) -> object:
        """Fill in what a format of AWS' own files means; what the source says itself stays."""
        known = FORMATS.get(str(told.get("format"))) if isinstance(told, dict) else None
        return {**known, **told, "format": known["format"]} if known and isinstance(told, dict) else told

    @model_validator(mode="after")
    def _hangs_together(self) -> Self:
        url = urlsplit(self.location)
        if url.scheme not in ("file", "s3") or (url.scheme == "file" and (url.netloc or not url.path)):
            raise ValueError(f"the location {self.location!r} is not one: use file:///a/folder or s3://bucket/prefix")
        if url.scheme == "s3" and not url.netloc:
            raise ValueError(f"the location {self.location!r} names no bucket: use s3://bucket/prefix")
        if (self.format == "text") != bool(self.pattern):
            raise ValueError("a pattern is what format text needs, and no other format")
        if self.skip and self.format != "text":
            raise ValueError("skip is for format text: lines of other formats say what they are")
        if self.records and self.format != "jsonl":
            raise ValueError("records is for format jsonl: it names the field of a JSON document that holds the lines")
        if self.pattern:
            self._check_pattern()
        return self

    def _check_pattern(self) -> None:
        try:
            groups = re.compile(self.pattern).groupindex
            re.compile(self.skip)
        except re.error as error:
            raise ValueError(f"the pattern {error.pattern!r} cannot be read: {error}") from None
        if self.fields.time not in groups:
            raise ValueError(f"the pattern {self.pattern!r} has no group (?P<{self.fields.time}>…)")

    @property
    def bucket(self) -> str | None:
        """The bucket's name, None for a folder."""
        url = urlsplit(self.location)
        return url.netloc if url.scheme == "s3" else None

    @property
    def base(self) -> str:
        """The folder's path, or the prefix in the bucket (empty, or ending in `/`)."""
        path = urlsplit(self.location).path
        if self.bucket is None:
            return path
        prefix = path.strip("/")
        return f"{prefix}/" if prefix else ""

    @property
    def severities(self) -> dict[str, int]:
        """The severity numbers of the levels that this source writes in its own way."""
        return {text: SEVERITIES[level] for text, level in self.levels.items()}

    @property
    def groups(self) -> dict[str, int]:
        """The pattern's named groups, by number."""
        return dict(re.compile(self.pattern).groupindex) if self.pattern else {}


class Mapping(_Strict):
    """All sources of a mapping file."""

    sources: tuple[Source, ...] = Field(min_length=1)

    @model_validator(mode="after")
    def _names_differ(self) -> Self:
        names = [source.name for source in self.sources]
        if len(set(names)) < len(names):
            raise ValueError(f"two sources have one name: {', '.join(sorted(names))}")
        return self


def load_mapping(path: Path) -> Mapping:
    """Return the mapping in a YAML file; raises `BadInput`, which names the file, the place and what to write."""
    try:
        return Mapping.model_validate(yaml.safe_load(path.read_text(encoding="utf-8")))
    except OSError as error:
        raise BadInput(f"cannot read the mapping file {path}: {error.strerror}; docs/byo.md has an example") from None
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise BadInput(f"the mapping file {path} is not YAML: {' '.join(str(error).split())[:300]}") from None
    except ValidationError as error:
        faults = "; ".join(f"{'.'.join(map(str, f['loc'])) or 'file'}: {_words(f['msg'])}" for f in error.errors())
        raise BadInput(f"the mapping file {path} cannot be used: {faults}") from None


def _words(message: str) -> str:
    return message.removeprefix("Value error, ")
