from __future__ import annotations

import json

import pytest
import small_nodes


@pytest.fixture(autouse=True)
def ran():
    """The calls of nodes so far, in order."""
    small_nodes.RAN.clear()
    return small_nodes.RAN


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
