"""Imported graphs run, and give what the same graph made by hand gives, bit for bit."""

from __future__ import annotations

import numpy as np
import pytest

import flowmm
from flowmm.face.graph import Graph

TEXT = {"prompt": "a large red circle on a white background", "negative": "a blue star", "seed": 7, "steps": 12, "guidance": 6.0, "width": 32, "height": 32}


@pytest.fixture(scope="module")
def runtime(tmp_path_factory):
    made = flowmm.Runtime("cpu", cache=tmp_path_factory.mktemp("cache"))
    yield made
    made.close()


@pytest.fixture
def run(runtime, given):
    """An imported graph's result with what it is missing, and with other inputs where they are given."""

    def make(made, **inputs):
        graph = Graph(made.document)
        return graph.run({name: value for name, value in given.items() if name in graph.inputs} | inputs, runtime=runtime)

    return make


def pixels(result, name="image"):
    return getattr(result, name).pixels


@pytest.mark.parametrize("name", ["text_to_image", "text_to_image_api"])
def test_the_classic_text_to_image_equals_the_one_made_by_hand(imported, run, runtime, name):
    made = imported(name)
    assert made.report.of("placeholder", "changed") == []
    by_hand = flowmm.load("text-to-image").run({**TEXT, "scheduler": "euler_linspace", "model": "zoo:sd"}, runtime=runtime)
    assert np.array_equal(pixels(run(made)), pixels(by_hand))
    again = {"prompt": "a small green star on a black background", "seed": 3}
    other = flowmm.load("text-to-image").run({**TEXT, **again, "scheduler": "euler_linspace", "model": "zoo:sd"}, runtime=runtime)
    assert np.array_equal(pixels(run(made, **again)), pixels(other)) and not np.array_equal(pixels(other), pixels(by_hand))


def test_it_is_the_same_kind_of_graph(imported):
    document, by_hand = imported("text_to_image").document, flowmm.load("text-to-image").document
    assert {name: node.op for name, node in document.nodes.items()} == {
        name: node.op for name, node in by_hand.nodes.items() if node.op != "text.repeat"
    }  # fmt: skip
    assert set(document.inputs) == set(by_hand.inputs) and list(document.outputs) == list(by_hand.outputs)
    assert {name: document.inputs[name].default for name in TEXT} == TEXT


def test_image_to_image_takes_the_steps_that_comfyui_takes(imported, run, runtime, given):
    made = imported("image_to_image")
    assert made.document.inputs["steps"].default == 20 and int(20 * made.document.inputs["strength"].default) == 12
    small = flowmm.load("image-to-image").run(
        {"prompt": "a large green star on a white background", "negative": "", "seed": 5, "steps": 20, "guidance": 6.0, "strength": 0.6, "fit": False,
         "scheduler": "dpmpp_2m_karras", "model": "zoo:sd", "image": resized(given["image"])},
        runtime=runtime,
    )  # fmt: skip
    assert np.array_equal(pixels(run(made)), pixels(small))


def resized(path):
    """A picture as ImageScale with `area` makes it."""
    import PIL.Image

    with PIL.Image.open(path) as picture:
        return picture.convert("RGB").resize((32, 32), PIL.Image.Resampling.BOX)


def test_two_stages_give_what_one_gives(imported, run):
    """Twelve steps in two samplers, noise left over between them, are the twelve steps of one."""
    made = imported("two_stages_api")
    first, second = made.document.nodes["paint"].inputs, made.document.nodes["paint_2"].inputs
    assert (first["end"], second["start"]) == (6, 6) and "end" not in second and "start" not in first
    whole = run(imported("text_to_image_api"), seed=11, steps=10, scheduler="euler_linspace")
    assert np.array_equal(pixels(run(made)), pixels(whole))


def test_inpainting_keeps_what_is_outside_the_mask(imported, run):
    result = run(imported("inpaint"), seed=5)
    assert result.image.pixels.shape == result.image_2.pixels.shape
    made = imported("inpaint").document
    for sampler, hole in (("paint", "hole"), ("paint_2", "hole_2")):
        assert made.nodes[sampler].inputs["extra"] == {"from": f"{hole}.extra"} and made.nodes[sampler].inputs["latent"] == {"from": f"{hole}.latent"}


def test_conditioning_made_for_inpainting_brings_the_mask_along(imported, run):
    made = imported("inpaint_api")
    assert made.document.nodes["paint"].inputs["extra"] == {"from": "hole.extra"}
    assert [name for name in ("image", "mask") if name in made.report.missing] == ["image", "mask"]
    assert pixels(run(made)).shape[0] == 1


def test_a_controlnet_steers_as_by_hand(imported, run, runtime, given):
    made = imported("controlnet")
    control = made.document.nodes["control"].inputs
    assert (control["start"], control["end"], made.document.inputs["control_strength"].default) == (0.0, 0.5, 0.75)
    steered, other = run(made, count=1), run(made, count=1, control_strength=0.0)
    assert not np.array_equal(pixels(steered), pixels(other))
    assert len(pixels(run(made))) == 2, "a batch of two"


def test_a_bypassed_lora_changes_nothing_and_the_same_one_turned_on_does(imported, run, workflow):
    raw = workflow("odds_and_ends")
    off = run(imported(raw))
    for node in raw["nodes"]:
        node["mode"] = 0 if node["type"] == "LoraLoader" else node["mode"]
    on = imported(raw)
    assert on.document.nodes["styled"].mode == "" and on.document.inputs["lora_weight"].default == 0.8
    changed = run(on)
    assert not np.array_equal(pixels(off), pixels(changed))
    assert np.array_equal(pixels(off), pixels(run(on, lora_weight=0.0)))


def test_a_subgraph_gives_what_its_nodes_give_without_it(imported, run):
    made = imported("subgraph")
    assert [node.op for node in made.document.nodes.values()].count("graph:paint-and-decode") == 2, "one definition, used twice"
    assert list(made.document.graphs) == ["paint-and-decode"]
    flat = imported("text_to_image")
    result = run(made)
    assert np.array_equal(pixels(result), pixels(run(flat)))
    assert np.array_equal(pixels(result, "image_2"), pixels(run(flat, seed=8, steps=10))), "its own seed, and a setting that is told beside it"


def test_a_graph_with_unknown_nodes_gives_what_does_not_need_them(imported, run):
    made = imported("custom_nodes")
    assert pixels(run(made)).shape == (1, 3, 32, 32)
    ops = {name: node.op for name, node in made.document.nodes.items()}
    assert [op for op in ops.values() if op.startswith("comfyui:")] == ["comfyui:FreeU_V2", "comfyui:Detailer+ (pack)", "comfyui:VideoSaver"]


def test_prompts_that_are_combined_and_one_that_is_zeroed(imported, run):
    made = imported("combined_api")
    assert made.report.of("placeholder") == [] and made.document.inputs["prompt_2"].default == "a small green star on a black background"
    nodes = made.document.nodes
    assert nodes["paint"].inputs["positive"] == {"from": "both.conditioning"} and nodes["paint"].inputs["negative"] == {"from": "nothing.conditioning"}
    one, two = made.document.inputs["prompt"].default, made.document.inputs["prompt_2"].default
    assert pixels(run(made)).shape == (1, 3, 32, 32)
    both, first, second = (latent(made, a, b) for a, b in ((one, two), (one, one), (two, two)))
    # what is zeroed is the first prompt's, and zero whatever that is
    assert np.allclose(both, (first + second) / 2, atol=5e-2) and not np.allclose(first, second, atol=1)


def latent(made, prompt, prompt_2):
    """What one step makes, before it is a picture: linear in what the denoiser says."""
    graph = Graph(made.document)
    return graph.peek("paint.latent", model="zoo:sd", prompt=prompt, prompt_2=prompt_2, steps=1, scheduler="euler").values.numpy()
