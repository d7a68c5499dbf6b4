"""PNGs of ComfyUI and AUTOMATIC1111, and parameters texts of several versions."""

from __future__ import annotations

import io
import json

import numpy as np
import pytest

import flowmm
from flowmm.face.graph import Graph
from flowmm.graph.problems import Unreadable
from flowmm.importing import opened, opened_file
from flowmm.importing.opening import of_texts

OLD = """a lighthouse in fog, (oil:1.2) <lora:ink:0.8>
second line
Negative prompt: blurry, low quality
ugly
Steps: 20, Sampler: Euler a, CFG scale: 7.5, Seed: 3885218402, Size: 512x768, Model hash: 7460a6fa, Model: sd-v1-4"""
KARRAS = """a cat
Steps: 28, Sampler: DPM++ 2M Karras, CFG scale: 5, Seed: 1, Size: 640x448, Model hash: 6ce0161689, Model: v1-5-pruned-emaonly, Clip skip: 2, \
ENSD: 31337, Version: v1.3.2"""
NEW = """a cat
Negative prompt: a dog
Steps: 28, Sampler: DPM++ 2M, Schedule type: Karras, CFG scale: 5, Seed: 1, Size: 640x448, Model hash: 6ce0161689, Model: v1-5, \
Denoising strength: 0.4, RNG: CPU, Lora hashes: "ink: 1234, other: 5678", Version: v1.10.1"""
HIRES = """a cat
Steps: 20, Sampler: DPM++ 2M, Schedule type: Automatic, CFG scale: 7, Seed: 5, Size: 512x512, Model: v1-5, Denoising strength: 0.5, \
Hires upscale: 2, Hires upscaler: Latent, Version: v1.10.1"""
UNICODE = """一个红色圆形
Negative prompt: 蓝色
Steps: 9, Sampler: UniPC, Schedule type: SGM Uniform, CFG scale: 1, Seed: 0, Size: 32x32"""


def defaults(made):
    return {name: one.default for name, one in made.document.inputs.items()}


def test_a_picture_of_comfyui_opens_its_workflow(picture, workflow):
    path = picture(prompt=json.dumps(workflow("two_stages_api")), workflow=json.dumps(workflow("text_to_image")))
    made = opened_file(path)
    assert made.program == "ComfyUI" and "paint_2" not in made.document.nodes and made.document.layout["nodes"]["paint"] == [863, 186]
    assert flowmm.load(path).document == made.document


def test_a_picture_without_the_workflow_opens_what_was_sent(picture, workflow):
    path = picture(prompt=json.dumps(workflow("two_stages_api")).replace('"filename_prefix"', '"is_changed": [NaN], "filename_prefix"'))
    assert "paint_2" in opened_file(path).document.nodes


def test_a_damaged_workflow_gives_way_to_what_was_sent(picture, workflow):
    assert "paint" in opened_file(picture(workflow="{", prompt=json.dumps(workflow("text_to_image_api")))).document.nodes


def test_a_picture_of_flowmm_is_its_own(picture):
    path = picture(flowmm="{", parameters=KARRAS)
    with pytest.raises(Unreadable, match="damaged"):
        flowmm.load(path)


def test_parameters_of_an_old_version(picture):
    made = opened_file(picture(parameters=OLD))
    assert made.program == "AUTOMATIC1111"
    assert defaults(made) == {
        "prompt": "a lighthouse in fog, (oil:1.2) \nsecond line", "negative": "blurry, low quality\nugly", "seed": 3885218402, "steps": 20, "guidance": 7.5,
        "width": 512, "height": 768, "scheduler": "euler_ancestral_linspace", "count": 1, "lora_weight": 0.8, "lora": "ink", "model": "sd-v1-4",
    }  # fmt: skip
    assert set(made.report.missing) == {"model", "lora"}
    assert any("graphics card" in line.why for line in made.report.of("note")) and any("emphasis" in line.why for line in made.report.of("changed"))


def test_a_sampler_and_its_schedule_in_one_name(picture):
    made = opened_file(picture(parameters=KARRAS))
    assert defaults(made)["scheduler"] == "dpmpp_2m_karras" and defaults(made)["negative"] == ""
    assert made.document.nodes["words"].inputs["clip_skip"] == 1
    assert any("ENSD" in line.why for line in made.report.of("note"))


def test_a_picture_made_from_a_picture(picture):
    made = opened_file(picture(parameters=NEW))
    assert defaults(made) | {"image": None} == defaults(made) and defaults(made)["strength"] == 0.4 and defaults(made)["steps"] == 28
    assert defaults(made)["scheduler"] == "dpmpp_2m_karras" and "image" in made.report.missing
    assert made.document.nodes["resized"].inputs["width"] == 640
    assert not any("graphics card" in line.why for line in made.report.of("note"))


def test_the_second_larger_pass_is_told_as_left_out(picture):
    made = opened_file(picture(parameters=HIRES))
    assert "start" not in made.document.nodes and any("larger pass" in line.why for line in made.report.of("note"))
    assert defaults(made)["scheduler"] == "dpmpp_2m_karras", "what Automatic means for this sampler"


def test_such_a_picture_runs(picture):
    graph = flowmm.load(picture(parameters=UNICODE))
    assert graph.run({"model": "zoo:sd"}).image.pixels.shape == (1, 3, 32, 32)
    by_hand = flowmm.load("text-to-image").run(
        {"prompt": "一个红色圆形", "negative": "蓝色", "steps": 9, "scheduler": "unipc_trailing", "guidance": 1.0, "seed": 0, "model": "zoo:sd"}
    )  # fmt: skip
    assert np.array_equal(graph.run({"model": "zoo:sd"}).image.pixels, by_hand.image.pixels)


@pytest.mark.parametrize("text", ["", "a cat", "Steps", "Negative prompt: x", "Steps 20, Sampler", "\n\n", "a\nb: c"])
def test_a_text_without_settings_is_none(text):
    with pytest.raises(Unreadable, match="no graph of a program"):
        of_texts({"parameters": text})


@pytest.mark.parametrize(
    "data",
    [b"", b"{", b"[]", b"{}", b'{"a": 1}', b'{"nodes": []}', b"\x89PNG\r\n", b"\xff\xfe", b"[" * 100_000, b'{"flowmm": 1}', b'{"1": {"class_type": 3}}'],
)  # fmt: skip
def test_what_is_nothing_is_refused_in_words(data):
    with pytest.raises(Unreadable) as error:
        opened(data)
    assert all(problem.message and problem.fix for problem in error.value.problems)


def test_a_graph_of_flowmm_is_told_as_its_own():
    with pytest.raises(Unreadable, match="a flowmm graph already"):
        opened(b'{"flowmm": 1, "nodes": {}}')


def test_a_picture_without_texts_is_refused_in_words(picture):
    for read in (opened_file, flowmm.load):
        with pytest.raises(Unreadable):
            read(picture())


def test_texts_after_the_pixels_are_found(workflow):
    """A PNG may carry its texts at its end."""
    import PIL.Image
    from PIL.PngImagePlugin import PngInfo

    info = PngInfo()
    info.add_text("prompt", json.dumps(workflow("text_to_image_api")), zip=False)
    out = io.BytesIO()
    PIL.Image.new("RGB", (4, 4)).save(out, "PNG", pnginfo=info)
    data = out.getvalue()
    at = data.index(b"tEXt") - 4
    length = int.from_bytes(data[at : at + 4]) + 12
    end = data.index(b"IEND") - 4
    moved = data[:at] + data[at + length : end] + data[at : at + length] + data[end:]
    assert Graph(opened(moved).document).outputs == ["image"]
