from __future__ import annotations

import pytest
from running import TOKEN, serving

import flowmm


@pytest.fixture(autouse=True)
def own_home(tmp_path_factory, monkeypatch):
    """Nothing here sees or changes the person's own folder."""
    monkeypatch.setenv("FLOWMM_HOME", str(tmp_path_factory.mktemp("home")))


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    """One server for a module's tests."""
    with serving(tmp_path_factory.mktemp("served")) as made:
        yield made


@pytest.fixture
def fresh_server(tmp_path):
    """A server of one's own."""
    with serving(tmp_path / "served") as made:
        yield made


@pytest.fixture(scope="module")
def remote(server):
    """The module's server as a client has it."""
    with flowmm.connect(server.url, TOKEN) as made:
        yield made
