"""A server in development: a node's file that is saved counts at the next look and the next run, in its worker process too."""

from __future__ import annotations

import sys

import pytest

from flowmm.catalog import code, packs

DOUBLE = "from flowmm import node\n\n@node(version=1)\ndef double(x: int, times: int = 2) -> int:\n    return x * times\n"
GRAPH = {"flowmm": 1, "nodes": {"d": {"op": "served:plain.double", "in": {"x": 3}}}, "outputs": {"out": {"from": "d.value"}}}


@pytest.fixture
def pack(tmp_path, monkeypatch):
    """Writes the one module of an installed pack."""
    folder = tmp_path / "site" / "served"
    (tmp_path / "site" / "served_nodes-1.0.dist-info").mkdir(parents=True)
    (tmp_path / "site" / "served_nodes-1.0.dist-info" / "METADATA").write_text("Metadata-Version: 2.1\nName: served-nodes\nVersion: 1.0\n")
    (tmp_path / "site" / "served_nodes-1.0.dist-info" / "entry_points.txt").write_text("[flowmm.packs]\nserved = served\n")
    folder.mkdir()
    (folder / "__init__.py").write_text("")
    (folder / "plain.py").write_text(DOUBLE)
    monkeypatch.syspath_prepend(str(tmp_path / "site"))
    monkeypatch.setenv("FLOWMM_DEV", "1")
    packs.packs.cache_clear()
    yield (folder / "plain.py").write_text
    for name in ("served", "served.plain"):
        sys.modules.pop(name, None)
        packs.LOADED.pop(name, None)
    packs.packs.cache_clear()
    code.forget()
    packs.renew()


def out(server, run):
    return server.http.get(f"/api/runs/{run['id']}/outputs/out").text.strip()


def test_checks_runs_and_the_palette_follow_what_is_saved(pack, fresh_server):
    assert "times" in fresh_server.http.get("/api/nodes").json()["nodes"]["served:plain.double"]["inputs"]
    first = fresh_server.run(GRAPH)
    assert first["state"] == "done" and out(fresh_server, first) == "6"
    pack(DOUBLE.replace("x * times", "x + times").replace("times: int", "by: int").replace("times", "by"))
    assert "by" in fresh_server.http.get("/api/nodes").json()["nodes"]["served:plain.double"]["inputs"]
    second = fresh_server.run(GRAPH)
    assert second["state"] == "done" and out(fresh_server, second) == "5"
    pack("def broken(:\n")
    problem, = fresh_server.post("/api/check", graph=GRAPH).json()["problems"]
    assert problem["code"] == "unknown-op" and "SyntaxError" in problem["message"]
    pack(DOUBLE)
    assert fresh_server.post("/api/check", graph=GRAPH).json()["problems"] == [] and out(fresh_server, fresh_server.run(GRAPH)) == "6"
