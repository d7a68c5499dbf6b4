"""A graph file is data: it reads nothing outside its folder, and imports nothing that is not an installed pack."""

from __future__ import annotations

import json
import sys

import PIL.Image
import pytest

import flowmm


def written(tmp_path, nodes, inputs=None, output="x.image"):
    """A graph file in a folder of its own, with a secret beside the folder."""
    folder = tmp_path / "shared"
    folder.mkdir(exist_ok=True)
    PIL.Image.new("RGB", (2, 2)).save(tmp_path / "secret.png")
    path = folder / "graph.json"
    path.write_text(json.dumps({"flowmm": 1, "inputs": inputs or {}, "nodes": nodes, "outputs": {"y": {"from": output}}}))
    return flowmm.load(path)


@pytest.mark.parametrize("path", ["../secret.png", "/etc/hostname", "inside/../../secret.png", "~/secret.png"])
def test_a_path_inside_a_graph_cannot_leave_its_folder(tmp_path, path, runtime):
    graph = written(tmp_path, {"x": {"op": "image.load", "in": {"path": path}}})
    with pytest.raises(flowmm.GraphError, match="outside the graph's folder"):
        graph.run({}, runtime=runtime)


def test_a_default_is_inside_the_file_and_held_to_the_same(tmp_path, runtime):
    graph = written(tmp_path, {"x": {"op": "image.load", "in": {"path": {"from": "input.p"}}}}, {"p": {"default": "../secret.png"}})
    with pytest.raises(flowmm.GraphError, match="outside the graph's folder"):
        graph.run({}, runtime=runtime)
    given = graph.run({"p": tmp_path / "secret.png"}, runtime=runtime)  # a person may point anywhere
    assert given.y.pixels.shape == (1, 3, 2, 2)


def test_a_link_that_leads_out_of_the_folder_is_not_followed(tmp_path, runtime):
    graph = written(tmp_path, {"x": {"op": "image.load", "in": {"path": "link.png"}}})
    (tmp_path / "shared" / "link.png").symlink_to(tmp_path / "secret.png")
    with pytest.raises(flowmm.GraphError, match="outside the graph's folder"):
        graph.run({}, runtime=runtime)


def test_a_model_source_inside_a_graph_is_held_to_its_folder_too(tmp_path, runtime):
    graph = written(tmp_path, {"x": {"op": "clip.load", "in": {"source": "/etc"}}}, output="x.model")
    with pytest.raises(flowmm.GraphError, match="outside the graph's folder"):
        graph.run({}, runtime=runtime)


@pytest.mark.parametrize("op", ["local:antigravity.fly", "local:this.s", "antigravity.fly", "os:path.join", "..x.y", "builtin:os.system"])
def test_naming_a_module_in_a_graph_does_not_import_it(tmp_path, op, runtime):
    graph = written(tmp_path, {"x": {"op": op, "in": {}}})
    with pytest.raises(flowmm.GraphError):
        graph.run({}, runtime=runtime)
    assert "antigravity" not in sys.modules and "this" not in sys.modules


def test_a_copy_of_a_shipped_graph_still_finds_the_examples_that_came_with_it(tmp_path):
    """Relative paths that its own folder does not have are looked up beside the shipped graphs."""
    shipped = flowmm.load("clip-match")
    (tmp_path / "mine.json").write_bytes(shipped.path.read_bytes())
    checked = flowmm.load(tmp_path / "mine.json").check()
    assert not checked.errors()


def test_its_own_folder_comes_first(tmp_path):
    from flowmm.graph.coerce import Folder

    near, far = tmp_path / "near", tmp_path / "far"
    for folder in (near, far):
        folder.mkdir()
        (folder / "both.png").touch()
    (far / "only.png").touch()
    folder = Folder(near, (far,))
    assert [folder.resolve(name) for name in ("both.png", "only.png", "neither.png")] == [near / "both.png", far / "only.png", near / "neither.png"]


@pytest.mark.parametrize("text", ["a" * 300, "\ud800.png", "ring", "ring/a.png"])
def test_what_no_disk_takes_as_a_path_is_refused_in_a_sentence(tmp_path, text):
    from flowmm.graph.coerce import Folder
    from flowmm.sockets import NotAccepted

    (tmp_path / "ring").symlink_to("ring")
    with pytest.raises(NotAccepted, match="is no path: "):
        Folder(tmp_path).resolve(text)
