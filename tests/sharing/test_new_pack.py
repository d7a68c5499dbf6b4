"""A new pack works as it is: it installs, its node is listed and runs, its test passes."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


def python(*arguments, path=(), **more):
    roots = os.pathsep.join(map(str, [*path, ROOT]))
    return subprocess.run([sys.executable, *map(str, arguments)], capture_output=True, text=True, timeout=600, env=os.environ | {"PYTHONPATH": roots}, **more)


def test_a_new_pack_installs_and_its_node_is_listed_runs_and_passes_its_test(tmp_path, command):
    status, out, err = command("new-pack", "my-stars", "--folder", tmp_path)
    assert status == 0 and f"{tmp_path / 'my-stars' / 'pyproject.toml'}\n" in out and "pip install -e" in err
    target = tmp_path / "installed"
    installed = python("-m", "pip", "install", "--quiet", "--no-deps", "--no-build-isolation", "--no-index", "--target", target, tmp_path / "my-stars")
    assert installed.returncode == 0, installed.stderr
    listed = python("-m", "flowmm.cli", "nodes", "my_stars:picture.brighten", "--json", path=[target])
    assert listed.returncode == 0, listed.stderr
    assert json.loads(listed.stdout)["op"] == "my_stars:picture.brighten"
    tested = python("-m", "pytest", "-q", "-p", "no:cacheprovider", tmp_path / "my-stars" / "tests", path=[target], cwd=tmp_path)
    assert tested.returncode == 0 and "2 passed" in tested.stdout, tested.stdout
    graph = tmp_path / "graph.json"
    graph.write_text(json.dumps({"flowmm": 1, "nodes": {"b": {"op": "my_stars:picture.brighten", "in": {"image": {"from": "input.image"}}}},
                                 "inputs": {"image": {}}, "outputs": {"image": {"from": "b.image"}}}))  # fmt: skip
    bundled = python("-m", "flowmm.cli", "bundle", graph, "-o", tmp_path / "bundle.json", path=[target])
    assert bundled.returncode == 0, bundled.stderr
    assert json.loads((tmp_path / "bundle.json").read_text())["requires"]["packs"] == {"my_stars": {"distribution": "my-stars", "version": "0.1.0"}}
    missing = python("-m", "flowmm.cli", "check", tmp_path / "bundle.json")
    assert missing.returncode == 1 and "`pip install my-stars==0.1.0`" in missing.stderr


@pytest.mark.parametrize("name", ["1st", "a b", "../up", "class", "numpy", "json", "builtin", "graph", "", "x" * 70, "é", "a.b"])
def test_names_that_will_not_do_are_refused(command, name, tmp_path):
    status, _, err = command("new-pack", name, "--folder", tmp_path)
    assert status == 1 and "is no name for a pack" in err and not list(tmp_path.glob("*/pyproject.toml"))


def test_a_folder_that_is_there_is_left_alone(command, tmp_path):
    (tmp_path / "stars").mkdir()
    status, _, err = command("new-pack", "stars", "--folder", tmp_path)
    assert status == 1 and "is there already" in err and list((tmp_path / "stars").iterdir()) == []
