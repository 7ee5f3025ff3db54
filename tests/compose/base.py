"""What stands in for the base image `python:3.11-slim` where there is no registry: parts of this machine.

It is made of Debian packages that are installed here, with all that they depend on, so that apt and dpkg work in it,
and of the Python that runs the tests, where the real image has its own.
"""

import functools
import io
import os
import subprocess
import sys
import sysconfig
import tarfile
from collections.abc import Iterable, Iterator
from pathlib import Path

# What the real image has and our Dockerfile uses; git is what it installs, so as not to fetch that at every run.
PACKAGES = (
    "apt",
    "base-files",
    "bash",
    "coreutils",
    "dash",
    "findutils",
    "git",
    "grep",
    "gzip",
    "mawk",
    "passwd",
    "sed",
    "tar",
)
LEFT_OUT = (
    *("usr/share/doc/", "usr/share/man/", "usr/share/info/", "usr/share/locale/", "usr/share/lintian/"),
    *("usr/share/perl/", "usr/lib/x86_64-linux-gnu/perl/"),
)
LEFT_OUT_OF_PYTHON = {"site-packages", "dist-packages", "test", "idlelib", "lib2to3", "tkinter", "__pycache__"}
# What packages leave behind when they are set up.
SET_UP = ("usr/bin/sh", "etc/debian_version", "etc/nsswitch.conf", "etc/apt/apt.conf.d", "etc/apt/trusted.gpg.d")
SOURCES = ("etc/apt/sources.list", "etc/apt/sources.list.d/debian.sources", "etc/apt/sources.list.d/ubuntu.sources")
CERTIFICATES = "etc/ssl/certs/ca-certificates.crt"
FOLDERS = ("dev", "proc", "root", "sys", "tmp", "var/cache/apt/archives/partial", "var/lib/apt/lists/partial")
USERS = {
    "etc/passwd": "root:x:0:0:root:/root:/bin/sh\n_apt:x:42:65534::/nonexistent:/usr/sbin/nologin\n",
    "etc/group": "root:x:0:\nshadow:x:42:\nnogroup:x:65534:\n",
    "etc/shadow": "root:*:1::::::\n",
}


def write_base(archive: Path) -> None:
    """Write the image's root as a tar file."""
    packages = _with_what_they_need(PACKAGES)
    files = {path: f"/{path}" for path in _of_packages(packages)}
    files |= {path: f"/{path}" for path in _below((*SET_UP, *SOURCES))}
    files |= _python() | {CERTIFICATES: os.environ.get("SSL_CERT_FILE", f"/{CERTIFICATES}")}
    texts = USERS | {"var/lib/dpkg/status": _told("dpkg-query", "--status", *packages) + "\n"}
    with tarfile.open(archive, "w") as tar:
        for path in sorted(files.keys() - texts.keys()):
            if os.path.lexists(files[path]):
                tar.add(files[path], path, recursive=False)
        for path, text in texts.items():
            _add(tar, path, text.encode())
        for path in FOLDERS:
            if path not in files:
                _add(tar, path, mode=0o1777 if path == "tmp" else 0o755)


def _add(tar: tarfile.TarFile, path: str, content: bytes | None = None, mode: int = 0o644) -> None:
    entry = tarfile.TarInfo(path)
    entry.type, entry.mode = (tarfile.DIRTYPE if content is None else tarfile.REGTYPE), mode
    entry.size = len(content or b"")
    tar.addfile(entry, io.BytesIO(content or b""))


def _with_what_they_need(packages: Iterable[str]) -> list[str]:
    no = [f"--no-{kind}" for kind in ("recommends", "suggests", "conflicts", "breaks", "replaces", "enhances")]
    found = _told("apt-cache", "depends", "--recurse", "--installed", *no, *packages)
    here = _told("dpkg-query", "-W", "-f", "${db:Status-Status} ${Package}\n")
    installed = {line.removeprefix("installed ") for line in here.splitlines() if line.startswith("installed ")}
    return sorted({line for line in found.splitlines() if line[0] not in " <"} & installed)


def _of_packages(packages: list[str]) -> Iterator[str]:
    for line in _told("dpkg-query", "-L", *packages).splitlines():
        path = _where_it_is(line) if line.startswith("/") else ""
        if path and not f"{path}/".startswith(LEFT_OUT):
            yield path
    for record in Path("/var/lib/dpkg/info").iterdir():
        if record.stem.partition(":")[0] in packages:
            yield _where_it_is(str(record))


def _below(paths: Iterable[str]) -> Iterator[str]:
    for path in paths:
        yield path
        for folder, _, names in os.walk(f"/{path}"):
            yield from (_where_it_is(f"{folder}/{name}") for name in names)


def _python() -> dict[str, str]:
    """The interpreter and its standard library below `/usr/local`, and the libraries that they are linked to."""
    library = Path(sysconfig.get_path("stdlib", vars={"installed_base": sys.base_prefix}))
    program = os.path.realpath(sys.executable)
    files = {f"usr/local/bin/{name}": program for name in ("python3", "python")}
    for folder, folders, names in os.walk(library):
        folders[:] = [name for name in folders if name not in LEFT_OUT_OF_PYTHON and not name.startswith("config-")]
        at = Path("usr/local/lib", library.name, os.path.relpath(folder, library))
        files |= {str(at / name): f"{folder}/{name}" for name in names}
    for path in _linked_to(program, *map(str, (library / "lib-dynload").glob("*.so"))):
        of_system = path.startswith(("/usr/lib/", "/lib/"))
        files[_where_it_is(path) if of_system else f"usr/lib/{Path(path).name}"] = os.path.realpath(path)
    return files


def _linked_to(*programs: str) -> set[str]:
    words = _told("ldd", *programs).split()
    return {word for word in words if word.startswith("/") and not word.endswith(":") and "/ld-linux" not in word}


def _where_it_is(path: str) -> str:
    """Return a path without links on its way: packages name `/bin/cat` where `/bin` is a link to `/usr/bin`."""
    folder, name = os.path.split(path)
    return os.path.join(_real(folder), name).lstrip("/")


_real = functools.cache(os.path.realpath)


def _told(*command: str) -> str:
    return subprocess.run(command, capture_output=True, text=True, check=True, timeout=60).stdout
