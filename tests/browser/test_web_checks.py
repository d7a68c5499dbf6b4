"""The editor's own tests, its types, and that what it knows of the API is what the server says."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

WEB = Path(__file__).parent.parent.parent / "web"
sys.path.insert(0, str(WEB))
import bundle

pytestmark = pytest.mark.skipif(not bundle.installed(), reason="the editor's libraries are not here: python web/bundle.py fetches them")


def said(command: list[str], folder: Path = WEB) -> str:
    """What a command says; it must succeed."""
    path = os.pathsep.join([str(Path(sys.executable).parent), str(bundle.node().parent), os.environ["PATH"]])
    environment = os.environ | {"PATH": path, "PYTHONPATH": str(WEB.parent), "CI": "1", "NO_COLOR": "1"}
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_the_components_pass_their_tests(tmp_path):
    said([*bundle.tool("vitest"), "run", "--reporter=json", f"--outputFile={tmp_path / 'told.json'}", "--passWithNoTests"])
    told = json.loads((tmp_path / "told.json").read_text())
    assert told["success"] and told["numFailedTests"] == 0


def test_the_sources_have_no_type_errors():
    said([*bundle.tool("typescript", "tsc"), "--noEmit"])


def test_the_editors_types_of_the_api_are_those_that_the_server_describes(tmp_path):
    for name in ("package.json", "node_modules"):
        (tmp_path / name).symlink_to(WEB / name)
    (tmp_path / "src" / "api").mkdir(parents=True)
    said([*bundle.npm(), "run", "types"], tmp_path)
    made = (tmp_path / "src" / "api" / "schema.d.ts").read_text()
    assert made == (WEB / "src" / "api" / "schema.d.ts").read_text(), "the API has changed: `npm run types` in web/ writes its types anew"


@pytest.mark.parametrize("change", ["a newer source", "a source that is gone", "another lock"])
def test_the_editor_is_built_again_after(change, tmp_path, monkeypatch):
    web = tmp_path / "web"
    shutil.copytree(WEB, web, ignore=shutil.ignore_patterns("node_modules", "dist"))
    (web / "dist").mkdir()
    (web / "dist" / "index.html").write_text("built")
    monkeypatch.setattr(bundle, "HERE", web)
    monkeypatch.setattr(bundle, "BUILT", web / "dist" / "index.html")
    long_ago = 1_000_000_000
    for path in [web, *web.rglob("*")]:
        if path != bundle.BUILT:
            os.utime(path, (long_ago, long_ago))
    assert bundle.fresh()
    if change == "a newer source":
        os.utime(web / "src" / "main.tsx")
    elif change == "another lock":
        os.utime(web / "package-lock.json")
    else:
        os.utime(bundle.BUILT, (long_ago + 1, long_ago + 1))
        (web / "src" / "main.tsx").unlink()
    assert not bundle.fresh()


def test_libraries_are_fetched_again_when_the_lock_asks_for_others(tmp_path, monkeypatch):
    monkeypatch.setattr(bundle, "HERE", tmp_path)
    others = {"node_modules/for-another-machine": {"version": "1.0.0", "optional": True}}
    (tmp_path / "package-lock.json").write_text(json.dumps({"packages": {"": {}, "node_modules/react": {"version": "19.3.1"}} | others}))
    assert not bundle.installed()
    (tmp_path / "node_modules").mkdir()
    found = tmp_path / "node_modules" / ".package-lock.json"
    found.write_text(json.dumps({"packages": {"node_modules/react": {"version": "19.3.1"}}}))
    assert bundle.installed()
    found.write_text(json.dumps({"packages": {"node_modules/react": {"version": "18.0.0"}}}))
    assert not bundle.installed()


def test_what_cannot_be_fetched_is_said_in_a_sentence(tmp_path):
    shutil.copytree(WEB, tmp_path / "web", ignore=shutil.ignore_patterns("node_modules", "dist"))
    nowhere = {"npm_config_registry": "http://127.0.0.1:9", "npm_config_fetch_retries": "0", "npm_config_cache": str(tmp_path / "cache")}
    done = subprocess.run([sys.executable, "bundle.py"], cwd=tmp_path / "web", env=os.environ | nowhere, capture_output=True, text=True)
    assert done.returncode == 1 and "The editor was not built. Its libraries could not be fetched. Are you online?" in done.stderr
    assert "Traceback" not in done.stderr
