"""Results as files, and PNGs that open as the graph that made them."""

from __future__ import annotations

import csv
import json

import face_nodes
import PIL.Image
import pytest

import flowmm


def test_a_png_reproduces_the_picture(noise_graph, runtime, tmp_path):
    result = noise_graph.run({"seed": 9, "size": 8}, runtime=runtime)
    (path,) = result.save(tmp_path / "out")
    again = flowmm.load(path)
    assert again.inputs["seed"].default == 9 and again.inputs["size"].default == 8
    assert again.run({}, runtime=runtime).image == result.image


def test_image_save_embeds_too_and_embed_false_does_not(noise_graph, runtime, tmp_path):
    image = noise_graph.run({}, runtime=runtime).image
    image.save(tmp_path / "with.png")
    image.save(tmp_path / "without.png", embed=False)
    assert flowmm.load(tmp_path / "with.png").document == noise_graph.document
    with pytest.raises(flowmm.GraphError, match="carries no flowmm graph"):
        flowmm.load(tmp_path / "without.png")


def test_a_png_tells_versions_and_no_paths(runtime, tmp_path):
    with flowmm.Graph() as g:
        g.output(image=face_nodes.invert(g.input("picture")))
    picture = tmp_path / "secret-folder" / "p.png"
    picture.parent.mkdir()
    PIL.Image.new("RGB", (4, 4), (1, 2, 3)).save(picture)
    g.run({"picture": str(picture)}, runtime=runtime).image.save(tmp_path / "out.png")
    with PIL.Image.open(tmp_path / "out.png") as opened:
        text = opened.text["flowmm"]
    assert "secret-folder" not in text and str(tmp_path) not in text
    carried = json.loads(text)
    assert carried["inputs"]["picture"]["file"] == "p.png" and len(carried["inputs"]["picture"]["sha256"]) == 64
    assert carried["versions"]["flowmm"] == flowmm.__version__ and "numpy" in carried["versions"]


def test_an_input_file_is_found_beside_the_png_by_its_content(runtime, tmp_path):
    with flowmm.Graph() as g:
        g.output(image=face_nodes.invert(g.input("picture")))
    picture = tmp_path / "p.png"
    PIL.Image.new("RGB", (4, 4), (1, 2, 3)).save(picture)
    result = g.run({"picture": picture}, runtime=runtime)
    result.image.save(tmp_path / "out.png")
    assert flowmm.load(tmp_path / "out.png").run({}, runtime=runtime).image == result.image
    PIL.Image.new("RGB", (4, 4), (9, 9, 9)).save(picture)
    with pytest.raises(flowmm.GraphError, match="`picture` needs a value"):
        flowmm.load(tmp_path / "out.png").run({}, runtime=runtime)


@pytest.mark.parametrize("content", [b"", b"not a picture", b"\x89PNG\r\n\x1a\nrubbish"])
def test_a_broken_png_is_one_message(tmp_path, content):
    (tmp_path / "x.png").write_bytes(content)
    with pytest.raises(flowmm.GraphError, match="cannot be read as a picture"):
        flowmm.load(tmp_path / "x.png")


def test_scores_become_csv_text_and_html(runtime, tmp_path):
    with flowmm.Graph() as g:
        g.output(lengths=face_nodes.count(g.input("text")))
    result = g.run({"text": ["a b", "c, d <e>"]}, runtime=runtime)
    (path,) = result.save(tmp_path)
    with open(path, newline="") as file:
        assert list(csv.reader(file)) == [["", "words"], ["a b", "2"], ["c, d <e>", "3"]]
    assert "c, d <e>" in str(result.lengths) and "&lt;e&gt;" in result._repr_html_()


def test_a_batch_is_written_as_numbered_pictures(runtime, tmp_path):
    with flowmm.Graph() as g:
        g.output(image=face_nodes.invert(g.input("picture")))
    black = PIL.Image.new("RGB", (4, 4))
    files = g.run({"picture": [black, black]}, runtime=runtime).save(tmp_path)
    assert [f.name for f in files] == ["image-0.png", "image-1.png"]


def test_a_text_that_happens_to_be_a_file_name_stays_a_text(runtime, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "cat").write_text("x")
    with flowmm.Graph() as g:
        size = face_nodes.steps(3)
        g.output(image=face_nodes.noise(g.input("seed", 1), size=size), lengths=face_nodes.count(g.input("text", "")))
    result = g.run({"text": "cat"}, runtime=runtime)
    result.image.save(tmp_path / "out.png")
    assert flowmm.load(tmp_path / "out.png").inputs["text"].default == "cat"
