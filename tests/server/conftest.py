from __future__ import annotations

import json

import pytest
from running import TOKEN, serving
from saved_folders import graph

import flowmm
from flowmm.server.refusals import Refused
from flowmm.server.saved import SavedGraphs


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


@pytest.fixture
def folders(tmp_path):
    """A person's own graphs, of which there are none yet, beside one that is shipped."""
    shipped = tmp_path / "shipped"
    shipped.mkdir()
    (shipped / "clip.json").write_bytes(graph("CLIP", tags=["understanding", "CLIP"]))
    return SavedGraphs(tmp_path / "own", shipped)


@pytest.fixture
def refused():
    """Call something that must be refused: the refusal, which must be sentences that can be sent."""

    def call(method, *args, **named) -> Refused:
        with pytest.raises(Refused) as caught:
            method(*args, **named)
        error = caught.value.as_json()["error"]
        assert error["message"] and not error["message"].endswith(".") and error["fix"].endswith((".", "?"))
        json.dumps(error, ensure_ascii=False).encode()
        return caught.value

    return call
