"""Bytes of a log file made lines that any reader can take: unpacked, valid UTF-8, no NUL, none longer than a bound.

What isn't text is replaced by U+FFFD and a line past `LONGEST_LINE` is cut; both are counted, neither is an error.
Nothing here knows what a line says.
"""

import gzip
import zlib
from dataclasses import dataclass
from io import BufferedReader
from pathlib import Path
from typing import Final

from midwatch_kit import BadInput

LONGEST_LINE: Final = 2**20
"""Bytes of a line that are kept."""
_BLOCK: Final = 4 * 2**20
_GZIP: Final = b"\x1f\x8b"
_ZSTD: Final = b"\x28\xb5\x2f\xfd"


@dataclass(slots=True)
class Cleaned:
    """How many lines were cut for their length, how many held bytes that are not text, and whether the end is torn."""

    giant: int = 0
    undecodable: int = 0
    torn: bool = False


def is_zstd(path: Path) -> bool:
    """Whether a file is packed with Zstandard, by its first bytes."""
    with path.open("rb") as opened:
        return opened.read(4) == _ZSTD


def clean(source: Path, target: Path, most_bytes: int) -> Cleaned:
    """Write the lines of a plain or gzip file to `target`; raises `BadInput` when it unpacks to over `most_bytes`.

    A gzip file that ends in the middle gives the lines up to there, and is said to be torn.
    """
    found = Cleaned()
    with source.open("rb") as raw, target.open("wb") as lines:
        packed = raw.read(2) == _GZIP
        raw.seek(0)
        opened = gzip.GzipFile(fileobj=raw) if packed else raw
        rest = _Rest()
        size = 0
        while block := _read(opened, found):
            size += len(block)
            if size > most_bytes:
                raise BadInput(f"an object unpacks to over {most_bytes / 2**20:.0f} MiB: raise the limit, or split it")
            lines.write(_texts(rest.complete(block), found))
        lines.write(_texts(rest.kept, found))
    return found


class _Rest:
    """The beginning of a line whose end has not come yet; of an endless one no more than a line's bound is held."""

    def __init__(self) -> None:
        self.kept = b""

    def complete(self, block: bytes) -> bytes:
        """Return what of the block, with what was kept before, are whole lines."""
        cut = block.rfind(b"\n") + 1
        whole = self.kept + block[:cut] if cut else b""
        self.kept = ((b"" if cut else self.kept) + block[cut:])[: LONGEST_LINE + 1]
        return whole


def _read(opened: BufferedReader | gzip.GzipFile, found: Cleaned) -> bytes:
    try:
        return opened.read1(_BLOCK)  # what there is, so that a torn end costs no more than it must
    except (EOFError, zlib.error, gzip.BadGzipFile):
        found.torn = True
        return b""


def _texts(whole: bytes, found: Cleaned) -> bytes:
    """The same lines where they are sound, which is nearly always and then costs one look at the whole."""
    lines = whole.split(b"\n")
    if b"\0" not in whole and max(map(len, lines)) <= LONGEST_LINE:
        try:
            whole.decode()
        except UnicodeDecodeError:
            pass
        else:
            return whole
    return b"\n".join(_text(line, found) for line in lines)


def _text(line: bytes, found: Cleaned) -> bytes:
    if len(line) > LONGEST_LINE:
        found.giant += 1
        line = line[:LONGEST_LINE]
    text = line.decode(errors="replace").replace("\0", "\ufffd")
    cleaned = text.encode()
    found.undecodable += cleaned != line
    return cleaned
