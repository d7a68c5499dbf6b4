"""What the README tells people to type works as it stands there."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
import threading
from pathlib import Path

import pytest

README = Path(__file__).resolve().parents[2] / "README.md"
TEXT = README.read_text(encoding="utf-8")
COMMANDS = [line.partition("#")[0].strip() for block in re.findall(r"```sh\n(.*?)```", TEXT, re.S) for line in block.splitlines() if line.startswith("flowmm ")]
SCRIPTS = re.findall(r"```python\n(.*?)```", TEXT, re.S)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A folder as a person stands in it after cloning, with a home of its own."""
    made = tmp_path_factory.mktemp("clone")
    (made / "graphs").symlink_to(README.parent / "graphs")
    return made


def run(arguments, folder):
    env = os.environ | {"FLOWMM_HOME": str(folder / "home")}
    done = subprocess.run([sys.executable, *arguments], cwd=folder, env=env, capture_output=True, text=True)
    fine = (0, 1) if "doctor" in arguments else (0,)  # a full disk is the machine's trouble, and doctor says so with a 1
    assert done.returncode in fine and "Traceback" not in done.stderr, done.stderr


def test_the_commands_work_in_the_order_they_stand_in(folder):
    assert len(COMMANDS) >= 8
    for command in COMMANDS:
        run(["-m", "flowmm.cli", *shlex.split(command)[1:]], folder)
    assert (folder / "out" / "image.png").is_file() and (folder / "out" / "sheet.png").is_file()


@pytest.fixture
def address(folder):
    """What `flowmm serve` prints when it has started."""
    env = os.environ | {"FLOWMM_HOME": str(folder / "home")}
    server = subprocess.Popen([sys.executable, "-m", "flowmm.cli", "serve", "--port", "0"], cwd=folder, env=env, stderr=subprocess.PIPE, text=True)
    printed = ""
    for line in server.stderr:
        if printed := line.strip() * line.strip().startswith("http"):
            break
    threading.Thread(target=server.stderr.read, daemon=True).start()  # or it would wait for someone to read its log
    yield printed
    server.terminate()
    server.wait(60)


@pytest.mark.parametrize("number", range(len(SCRIPTS)))
def test_the_scripts_work(folder, number, request):
    text = SCRIPTS[number]
    if "flowmm.connect(" in text:
        text = text.replace(re.search(r'"(http://\S+)"', text)[1], request.getfixturevalue("address"))
    script = folder / f"script{number}.py"
    script.write_text(text, encoding="utf-8")
    run([str(script)], folder)
