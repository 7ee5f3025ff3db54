"""Builds the MCPB bundle of a server, which Claude Desktop installs with a click: python -m publish.bundle logs

The bundle holds wheels of the server and of our packages that it stands on; uv, which the client brings, fetches the
rest from PyPI at the first start.
"""

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

from publish.describe import ROOT, SERVERS, project

OURS = ("kit", "store")
_ENTRY = '''"""Starts midwatch-{server}; made by publish/bundle.py."""

from midwatch_{server}.server import main

main()
'''
_PROJECT = """[project]
name = "midwatch-{server}-bundle"
version = "{version}"
requires-python = "{python}"
dependencies = [{names}]

[tool.uv]
package = false

[tool.uv.sources]
{sources}
"""


def bundle(server: str, to: Path) -> Path:
    """Write a server's bundle into a folder, and return its path; raises `CalledProcessError` when uv cannot build."""
    about = project(server)
    with tempfile.TemporaryDirectory() as folder:
        staged = Path(folder)
        wheels = [*_wheels((server, *OURS), staged / "wheels")]
        names = ", ".join(f'"{_name(wheel)}"' for wheel in wheels)
        sources = "\n".join(f'{_name(wheel)} = {{ path = "wheels/{wheel.name}" }}' for wheel in wheels)
        text = _PROJECT.format(
            server=server, version=about["version"], python=about["requires-python"], names=names, sources=sources
        )
        (staged / "pyproject.toml").write_text(text, encoding="utf-8")
        (staged / "server.py").write_text(_ENTRY.format(server=server), encoding="utf-8")
        shutil.copy(ROOT / "servers" / server / "manifest.json", staged)
        shutil.copy(ROOT / "LICENSE", staged)
        to.mkdir(parents=True, exist_ok=True)
        return _packed(staged, to / f"{about['name']}-{about['version']}.mcpb")


def _wheels(parts: tuple[str, ...], to: Path) -> list[Path]:
    uv = os.environ.get("UV") or shutil.which("uv") or "uv"
    for part in parts:
        command = [uv, "build", "--quiet", "--wheel", "--out-dir", str(to), str(ROOT / "servers" / part)]
        subprocess.run(command, check=True, timeout=300)
    return sorted(to.glob("*.whl"))


def _packed(folder: Path, target: Path) -> Path:
    """Pack files alone: mcpb cannot unpack a bundle that has entries for folders."""
    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as bundle:
        for path in sorted(path for path in folder.rglob("*") if path.is_file() and path.name != ".gitignore"):
            bundle.write(path, path.relative_to(folder).as_posix())
    return target


def _name(wheel: Path) -> str:
    return wheel.name.partition("-")[0].replace("_", "-")


def main() -> None:
    """Build the bundles that are asked for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("servers", nargs="*", metavar="SERVER", help=f"{', '.join(SERVERS)}; all of them")
    parser.add_argument("--to", type=Path, default=Path("dist"), help="folder for the bundles")
    asked = parser.parse_args()
    if unknown := [server for server in asked.servers if server not in SERVERS]:
        sys.exit(f"there is no server {', '.join(unknown)}: there are {', '.join(SERVERS)}")
    for server in asked.servers or SERVERS:
        sys.stdout.write(f"{bundle(server, asked.to)}\n")


if __name__ == "__main__":
    main()
