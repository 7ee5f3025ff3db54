"""A container engine of the tests' own: podman out of Debian's packages, unpacked but not installed.

Nothing of it is shared with an engine that the machine has: its images, containers, settings and volumes are below one
folder, which goes when the tests are over; its processes, mounts and network are in namespaces that end with the tests'
own process, however that ends. Ports of containers are published in there as well: see `within_reach`. There is no
registry and, without systemd, nobody who looks after the health of containers in the background: `well` asks as
systemd's timer would.
"""

import ctypes
import os
import shutil
import subprocess
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import psutil
import pytest
from tests.brought import CACHE, turn

PACKAGES = ("podman", "runc", "conmon", "netavark", "aardvark-dns", "iptables", "iproute2", "docker-compose")
UV = os.environ.get("UV") or shutil.which("uv") or ""
UNPACKED = CACHE / "podman"
ROOM = 6 * 2**30  # what images of about 1 GB take while they are made
APART = (
    *("setpriv", "--pdeathsig", "KILL"),
    *("unshare", "--net", "--mount", "--pid", "--mount-proc", "--fork", "--kill-child"),
)
OWN_PLACES = "ip link set lo up && mount -t tmpfs run /run"  # a network writes there, wherever its engine's folder is
NEW_NETWORK = 0x40000000  # CLONE_NEWNET
ULIMITS = '["nofile=4096:4096", "nproc=4096:4096"]'  # the default is more than a root without CAP_SYS_RESOURCE may set


@dataclass(frozen=True)
class Podman:
    """An engine in a folder; `first` is the first process in its namespaces."""

    folder: Path
    environment: Mapping[str, str]
    first: int = 0

    def __call__(self, *arguments: str | Path, timeout: float = 60) -> str:
        """Run podman in the machine's network and return what it printed; its complaint is the test's."""
        inside = ("nsenter", f"--target={self.first}", "--mount", "--pid", f"--wd={self.folder}")
        return self.run(*inside, _tool(self, "podman"), *arguments, timeout=timeout)

    def compose(self, *arguments: str, timeout: float = 60) -> str:
        """Run docker-compose, which reaches the engine by its socket."""
        return self.run("/usr/bin/python3", "-m", "compose", *arguments, timeout=timeout)

    def run(self, *command: str | Path, timeout: float) -> str:
        done = subprocess.run(
            [shutil.which(command[0], path=self.environment["PATH"]) or command[0], *command[1:]],
            env=dict(self.environment),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
            timeout=timeout,
        )
        assert done.returncode == 0, f"{command} ended with {done.returncode}: {(done.stdout + done.stderr)[-3000:]}"
        return done.stdout + done.stderr

    @contextmanager
    def within_reach(self) -> Iterator[None]:
        """Have what this thread connects to be the ports that containers publish, and not the machine's."""
        with Path("/proc/thread-self/ns/net").open() as own, Path(f"/proc/{self.first}/ns/net").open() as theirs:
            _enter(theirs.fileno())
            try:
                yield
            finally:
                _enter(own.fileno())

    def well(self, container: str, within_seconds: float = 60) -> None:
        """Run the container's own health check until it passes."""
        end = time.monotonic() + within_seconds
        while True:
            try:
                self("healthcheck", "run", container)
                return
            except AssertionError:
                assert time.monotonic() < end, f"{container} isn't well: {self('logs', container)[-2000:]}"
                time.sleep(0.5)  # the pace of a health check


@contextmanager
def engine(folder: Path) -> Iterator[Podman]:
    """Start an engine that has its files below a folder; skips the test where it cannot be had, but never in CI."""
    _needs()
    with turn(UNPACKED) as lacking:
        if lacking:
            _bring()
    podman = Podman(folder, _environment(folder))
    _configure(podman)
    serves = f"{OWN_PLACES} && {_tool(podman, 'podman')} system service --time=0 unix://{folder}/socket"
    with (folder / "service.log").open("wb") as log:
        apart = subprocess.Popen([*APART, "sh", "-c", serves], env=dict(podman.environment), stdout=log, stderr=log)
    try:
        yield replace(podman, first=_first_of(apart))
    finally:
        apart.kill()
        apart.wait(10)


def _first_of(apart: subprocess.Popen[bytes]) -> int:
    """Return the process that the namespaces were made for, once it is there."""
    end = time.monotonic() + 30
    while not (children := psutil.Process(apart.pid).children()):
        assert time.monotonic() < end, "no namespaces could be made"
        time.sleep(0.05)
    return children[0].pid


def _enter(namespace: int) -> None:
    library = ctypes.CDLL(None, use_errno=True)  # os.setns is there from Python 3.12 on
    if library.setns(namespace, NEW_NETWORK):
        raise OSError(ctypes.get_errno(), "setns")


def room() -> Path | None:
    """Return where files are written fastest, in memory, if there is plenty of it."""
    memory = Path("/dev/shm")
    plenty = memory.is_dir() and min(shutil.disk_usage(memory).free, psutil.virtual_memory().available) > ROOM
    return memory if plenty else None


def _needs() -> None:
    for lack, there in (
        ("apt-get and dpkg, to bring podman", shutil.which("apt-get") and shutil.which("dpkg")),
        ("uv, to build them", UV),
        ("root, to start containers", os.geteuid() == 0),
        ("namespaces, to start containers", _makes_namespaces()),
    ):
        if not there:
            told = f"our images are run with podman, which needs {lack}"
            (pytest.fail if os.environ.get("CI") else pytest.skip)(told)


def _makes_namespaces() -> bool:
    tried = ["unshare", "--mount", "--net", "--pid", "--fork", "true"]
    return subprocess.run(tried, capture_output=True, check=False, timeout=30).returncode == 0


def _bring() -> None:
    """Unpack podman and all that it needs and this machine doesn't have."""
    at = CACHE / "podman.deb.d"
    for part in ("lists/partial", "archives/partial", "unpacked"):
        (at / part).mkdir(parents=True, exist_ok=True)
    own = ["-q", "-y", "-o", "Debug::NoLocking=1", "-o", f"Dir::Cache={at}", "-o", "APT::Sandbox::User=root"]
    download = [*own, "--no-install-recommends", "--download-only", "install", *PACKAGES]
    if _apt(*download).returncode:
        lists = ["-o", f"Dir::State::lists={at}/lists"]
        _apt(*own, *lists, "update")
        done = _apt(*lists, *download)
        assert done.returncode == 0, done.stderr[-2000:]
    for archive in (at / "archives").glob("*.deb"):
        subprocess.run(["dpkg", "-x", archive, at / "unpacked"], check=True, timeout=60)
    (at / "unpacked").rename(UNPACKED)


def _apt(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(["apt-get", *arguments], capture_output=True, text=True, check=False, timeout=120)


def _environment(folder: Path) -> dict[str, str]:
    programs = [folder / "bin", UNPACKED / "usr/bin", UNPACKED / "usr/sbin", UNPACKED / "sbin"]
    return {
        "PATH": ":".join([*map(str, programs), "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"]),
        "LD_LIBRARY_PATH": ":".join(str(path) for path in UNPACKED.glob("usr/lib/*-linux-gnu")),
        "XTABLES_LIBDIR": ":".join(str(path) for path in UNPACKED.glob("usr/lib/*-linux-gnu/xtables")),
        "PYTHONPATH": str(UNPACKED / "usr/lib/python3/dist-packages"),
        "HOME": str(folder / "home"),
        "TMPDIR": str(folder / "tmp"),
        "CONTAINERS_CONF": str(folder / "containers.conf"),
        "CONTAINERS_STORAGE_CONF": str(folder / "storage.conf"),
        "CONTAINERS_REGISTRIES_CONF": str(folder / "registries.conf"),
        "DOCKER_HOST": f"unix://{folder}/socket",
    }


def _tool(podman: Podman, name: str) -> str:
    found = shutil.which(name, path=podman.environment["PATH"])
    assert found, f"{name} is not in {UNPACKED}: delete that folder, and it is brought again"
    return found


def _configure(podman: Podman) -> None:
    folder = podman.folder
    downloads = folder / "tmp/buildah-cache/root/.cache/uv"  # where podman keeps the Dockerfile's cache
    for path in (folder / "bin", folder / "home/.config/containers", downloads.parent):
        path.mkdir(parents=True)
    if (had := Path(os.environ.get("UV_CACHE_DIR") or Path.home() / ".cache/uv")).is_dir():
        downloads.symlink_to(had)
    for name in ("iptables", "ip6tables", "iptables-save", "iptables-restore"):
        (folder / "bin" / name).symlink_to(_tool(podman, "xtables-nft-multi"))  # as setting up the package would do
    passed_on = [
        f'"{name}={podman.environment[name]}"' for name in ("PATH", "LD_LIBRARY_PATH", "XTABLES_LIBDIR", "HOME")
    ]
    (folder / "containers.conf").write_text(
        f"""
[containers]
default_ulimits = {ULIMITS}
seccomp_profile = "{UNPACKED}/usr/share/containers/seccomp.json"
[engine]
runtime = "runc"
cgroup_manager = "cgroupfs"
events_logger = "file"
lock_type = "file"
tmp_dir = "{folder}/libpod"
conmon_path = ["{_tool(podman, "conmon")}"]
conmon_env_vars = [{", ".join(passed_on)}]
helper_binaries_dir = ["{UNPACKED}/usr/lib/podman", "/usr/lib/podman"]
[engine.runtimes]
runc = ["{_tool(podman, "runc")}"]
[network]
network_backend = "netavark"
network_config_dir = "{folder}/networks"
"""
    )
    (folder / "storage.conf").write_text(
        f'[storage]\ndriver = "overlay"\ngraphroot = "{folder}/images"\nrunroot = "{folder}/run"\n'
    )
    (folder / "registries.conf").write_text('unqualified-search-registries = ["docker.io"]\n')
    (folder / "home/.config/containers/policy.json").write_text('{"default": [{"type": "insecureAcceptAnything"}]}')
