from __future__ import annotations

import face_nodes
import pytest

import flowmm


@pytest.fixture(autouse=True)
def fresh_home(tmp_path, monkeypatch):
    """Every test has a home of its own, and the list of nodes that ran is empty."""
    monkeypatch.setenv("FLOWMM_HOME", str(tmp_path / "home"))
    face_nodes.RAN.clear()


@pytest.fixture
def runtime(tmp_path):
    made = flowmm.Runtime("cpu", cache=tmp_path / "cache")
    yield made
    made.close()


@pytest.fixture
def noise_graph():
    """seed, size → image: random pixels, inverted."""
    with flowmm.Graph(title="Noise") as g:
        seed = g.input("seed", 3, help="The same seed, the same pixels.")
        size = g.input("size", 16)
        g.output(image=face_nodes.invert(face_nodes.noise(seed, size=size)))
    return g
