from __future__ import annotations

import json

import language_nodes
import pytest

from flowmm import Runtime


@pytest.fixture(autouse=True)
def ran():
    """The calls of nodes so far, in order."""
    language_nodes.RAN.clear()
    return language_nodes.RAN


@pytest.fixture
def runtime():
    made = Runtime("cpu", cache=None, threads=1)
    yield made
    made.close()


@pytest.fixture
def save(tmp_path, monkeypatch):
    """Writes graphs beside each other, where they may use each other."""
    monkeypatch.setenv("FLOWMM_HOME", str(tmp_path / "home"))
    (tmp_path / "home" / "graphs").mkdir(parents=True)

    def write(name, raw):
        path = tmp_path / "home" / "graphs" / f"{name}.json"
        path.write_text(json.dumps({"flowmm": 1} | raw))
        return path

    return write
