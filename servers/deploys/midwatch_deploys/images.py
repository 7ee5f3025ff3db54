"""Container images, and the version that they stand for. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from midwatch_deploys.backend import hash_in

_SHOWN: Final = 12
_UNTELLING: Final = frozenset({"", "latest", "stable", "main", "master", "prod", "production"})


@dataclass(frozen=True, slots=True)
class Image:
    """An image as `registry/name:tag@digest`, of which tag and digest may be ''."""

    name: str
    tag: str = ""
    digest: str = ""

    @classmethod
    def of(cls, reference: str, digest: str = "") -> "Image":
        """Return an image by its reference, and its digest if that is known from elsewhere."""
        rest, _, own = reference.partition("@")
        name, colon, tag = rest.rpartition(":")
        if not colon or "/" in tag:  # that was the port of a registry
            name, tag = rest, ""
        return cls(name, tag, own or digest)

    @property
    def version(self) -> str:
        """The tag, where it tells versions apart, else the digest, abbreviated."""
        if self.tag not in _UNTELLING:
            return self.tag
        return self.digest.removeprefix("sha256:")[:_SHOWN] if self.digest else self.tag

    @property
    def key(self) -> str:
        """What other records of the same image have in common; '' where a version says nothing."""
        told = self.version
        return f"image:{self.name.rpartition('/')[2]}:{told}" if told not in _UNTELLING else ""

    def __str__(self) -> str:
        """Return the reference."""
        return f"{self.name}{':' * bool(self.tag)}{self.tag}" if self.tag else f"{self.name}@{self.digest}".rstrip("@")


def version_of(images: Sequence[Image]) -> str:
    """Return the version that images stand for: that of the first which tells a commit, else of the first at all."""
    told = [image.version for image in images if image.version]
    return next((version for version in told if hash_in(version)), told[0] if told else "")
