"""What the graphs of Stable Diffusion cost over their bare pipelines: same weights, pictures and seeds, one process, taking turns."""

from __future__ import annotations

import itertools
import sys
from pathlib import Path

import pytest
from test_models import alternate

import flowmm
from flowmm.zoo import WEIGHTS

sys.path.insert(0, str(Path(__file__).parent.parent / "parity"))  # the tiny models

STEPS, PROMPT = 20, "a large red circle on a white background"
GRAPHS = {
    "image-to-image": ("StableDiffusionImg2ImgPipeline", {}),
    "inpaint": ("StableDiffusionInpaintPipeline", {}),
    "inpaint-9": ("StableDiffusionInpaintPipeline", {"in_channels": 9}),
    "edit": ("StableDiffusionInstructPix2PixPipeline", {"in_channels": 8}),
    "control": ("StableDiffusionControlNetPipeline", {}),
    "style-transfer": ("StableDiffusionControlNetImg2ImgPipeline", {}),
    "xl": ("StableDiffusionXLPipeline", {}),
}


@pytest.fixture
def runtime():
    made = flowmm.Runtime("cpu", cache=None)
    yield made
    made.close()


@pytest.mark.parametrize("name", GRAPHS)
def test_against_the_bare_pipeline(benchmark, runtime, tmp_path, name):
    """zoo:sd where the graph runs on it; else a random model of the same shape, which costs the same."""
    import tiny_sd
    import torch
    from sd_runs import hole, photo

    cls, unet = GRAPHS[name]
    graph = flowmm.load({"inpaint-9": "inpaint", "xl": "text-to-image"}.get(name, name))
    benchmark.group = f"{name}, {STEPS} steps, warm"
    embedded = WEIGHTS / "sd"
    if name == "xl":
        model = tiny_sd.save_xl(tmp_path / "model", sample_size=32)
    elif unet or "Control" in cls or not embedded.is_dir():
        model = tiny_sd.save(tmp_path / "model", cls if "Control" not in cls else "StableDiffusionPipeline", unet=unet)
    else:
        model = str(embedded)
    parts, ours, theirs = {}, {"model": model, "prompt": PROMPT, "steps": STEPS, "guidance": 2.0}, {"num_inference_steps": STEPS, "guidance_scale": 2.0}
    if "control" in graph.inputs:
        from diffusers import ControlNetModel

        net = tiny_sd.save_control(tmp_path / "net", model)
        parts = {"controlnet": ControlNetModel.from_pretrained(net)}
        ours["control"] = net
    pipeline = tiny_sd.reference(cls, model, **parts)
    if "lora" in graph.inputs:
        ours["lora"] = tiny_sd.save_lora(tmp_path / "style.safetensors", model)
        pipeline.load_lora_weights(ours["lora"])
    if "mask" in graph.inputs:
        ours |= {"mask": hole()}
        theirs |= {"mask_image": hole(), "height": 32, "width": 32}
    seeds, pictures = itertools.count(1), (photo(seed=seed) for seed in itertools.count())

    def run_ours():
        picture = {"image": next(pictures)} if "image" in graph.inputs else {}
        graph.run(ours | picture | {"seed": next(seeds)}, runtime=runtime)

    def run_theirs():
        given = {"image": next(pictures)} if "image" in graph.inputs else {}
        if name == "style-transfer":
            given["control_image"] = given["image"]
        pipeline(PROMPT, generator=torch.Generator().manual_seed(next(seeds)), output_type="np", **given, **theirs)

    alternate(benchmark, run_ours, run_theirs, 5)
