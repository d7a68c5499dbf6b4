"""The shipped graphs that are made of graphs, over the server: as runs, as forms, and which folders a browser may name."""

from __future__ import annotations

import shutil

import pytest
from running import serving
from test_forms import client, components

import flowmm
from flowmm.face.find import shipped
from flowmm.zoo import table

MADE = {"best-of-n", "folder-captioner", "redraw-until-it-matches", "seed-guidance-sheet"}
pytestmark = pytest.mark.skipif(not set(table.graphs()) >= MADE, reason="the embedded pack has not all of their models yet")


@pytest.fixture(scope="module")
def album(tmp_path_factory):
    """A folder of pictures that the server was started with."""
    made = tmp_path_factory.mktemp("allowed") / "album"
    made.mkdir()
    for name in ("red-circle.png", "blue-star.png"):
        shutil.copy(shipped() / "examples" / name, made / name)
    return made


@pytest.fixture(scope="module")
def server(tmp_path_factory, album):
    with serving(tmp_path_factory.mktemp("served"), roots=(album.parent,)) as made:
        yield made


def local(name, **inputs):
    runtime = flowmm.Runtime("cpu", cache=None, threads=1)
    try:
        return flowmm.load(name).run(inputs, runtime=runtime)
    finally:
        runtime.close()


def outputs(run):
    assert run["state"] == "done", run
    return run["outputs"]


def test_runs_give_what_python_gives(server):
    given = {"steps": 2, "candidates": 2, "seed": 5}
    best, mine = outputs(server.run("best-of-n", inputs=given)), local("best-of-n", **given)
    assert best["seed"]["summary"] == {"value": mine.seed.value} and best["scores"]["summary"]["columns"] == list(mine.scores.columns)
    redrawn = outputs(server.run("redraw-until-it-matches"))
    assert redrawn["rounds"]["summary"] == {"value": 3} and redrawn["good"]["summary"] == {"value": True}
    sheet = outputs(server.run("seed-guidance-sheet", inputs={"steps": 1, "seeds": 2, "guidances": [1, 2]}))
    assert sheet["images"]["type"] == "list[Image]" and sheet["images"]["summary"]["count"] == 4


def test_a_folder_within_the_allowed_ones_is_captioned_and_no_other(server, album, tmp_path):
    shutil.copytree(album, tmp_path / "private")
    for folder in ("album", str(album)):
        found = outputs(server.run("folder-captioner", inputs={"folder": folder}))
        assert found["captions"]["summary"]["text"] == "a small blue star on a black background\na large red circle on a white background"
        assert found["names"]["summary"]["text"] == "blue-star.png\nred-circle.png"
    refused = server.post("/api/runs", graph="folder-captioner", inputs={"folder": str(tmp_path / "private")})
    assert refused.status_code == 422 and "lies outside" in refused.text and "folder" in refused.text, refused.text


def test_forms_have_a_field_for_each_input_and_give_what_the_graphs_give(server, album):
    found = components(server, "folder-captioner")
    assert {name: one["type"] for name, one in found.items()} == {"folder": "textbox", "most": "number", "beginning": "textbox", "model": "dropdown"}
    assert "server" in found["folder"]["props"]["info"]
    with client(server, "folder-captioner") as asked:
        sheet, captions, names = asked.predict(folder="album", api_name="/run")
        assert captions.splitlines()[0] == "a small blue star on a black background" and names.splitlines() == ["blue-star.png", "red-circle.png"] and len(sheet) == 1
        with pytest.raises(Exception, match="lies outside"):
            asked.predict(folder="/etc", api_name="/run")
    with client(server, "redraw-until-it-matches") as asked:
        image, caption, _, rounds, good = asked.predict(least=0, api_name="/run")
        assert (caption, rounds, good, len(image)) == ("a small blue star on a black background", 1, True, 1)
    with client(server, "seed-guidance-sheet") as asked:
        sheet, images = asked.predict(steps=1, seeds=1, guidances="1\n2.5", api_name="/run")
        assert (len(sheet), len(images)) == (1, 2)
    with client(server, "best-of-n") as asked:
        image, seed, *_ = asked.predict(steps=1, candidates=2, api_name="/run")
        assert len(image) == 1 and seed in (0, 1)
