"""The shipped weights: float16, opened by the libraries' own classes, and right often enough."""

import json
import os

import numpy as np
import pytest

from flowmm.zoo import WEIGHTS, judge, weights, world

os.environ.setdefault("HF_HUB_OFFLINE", "1")
MODELS = sorted(path.parent.name for path in WEIGHTS.glob("*/flowmm.json"))


def folder(name):
    try:
        return weights(name)
    except FileNotFoundError as missing:
        pytest.skip(str(missing))


def test_an_unknown_model_is_refused_with_the_known_ones():
    with pytest.raises(FileNotFoundError, match="no embedded model 'nothing'"):
        weights("nothing")


@pytest.mark.parametrize("name", MODELS)
def test_every_tensor_is_float16_and_every_file_is_small(name):
    safetensors = pytest.importorskip("safetensors")
    paths = list(folder(name).rglob("*.safetensors"))
    assert paths
    for path in paths:
        assert path.stat().st_size < 12_000_000  # UniToken's tables have a row for every published id
        with safetensors.safe_open(path, framework="np") as file:
            kinds = {file.get_slice(key).get_dtype() for key in list(file.keys())}
        assert kinds <= {"F16", "I64"}, path


@pytest.mark.parametrize("name", MODELS)
def test_the_card_says_what_it_is_and_no_file_holds_a_machine_path(name):
    card = json.loads((folder(name) / "flowmm.json").read_text())
    assert {"about", "licence", "recipe"} <= set(card)
    for path in folder(name).rglob("*.json"):
        assert "_name_or_path" not in path.read_text()


def test_stable_diffusion_draws_what_is_asked():
    place = folder("sd")
    torch = pytest.importorskip("torch")
    from diffusers import StableDiffusionPipeline

    card = json.loads((place / "flowmm.json").read_text())
    pipeline = StableDiffusionPipeline.from_pretrained(place, torch_dtype=torch.float32)
    pipeline.set_progress_bar_config(disable=True)
    assert pipeline.scheduler.config.prediction_type == "v_prediction"
    assert pipeline.scheduler.config.timestep_spacing == "trailing"
    assert pipeline.scheduler.config.rescale_betas_zero_snr
    prompts = [f"a {colour} {shape}" for colour, shape in world.TRAINED_PAIRS[::2]] + ["a large green ring"] * 2
    made = pipeline(
        prompts,
        num_inference_steps=card["steps"],
        guidance_scale=card["guidance"],
        generator=[torch.Generator().manual_seed(number) for number in range(len(prompts))],
        output_type="np",
    ).images
    assert made.shape == (24, card["height"], card["width"], 3)
    right = [judge.agrees(judge.judge((picture * 255).round()), world.parse(text)) for picture, text in zip(made, prompts, strict=True)]
    assert np.mean(right) >= 0.8


@pytest.mark.parametrize("side", [32, 256])
def test_clip_names_colour_and_shape_in_pictures_of_any_size(side):
    place = folder("clip")
    torch = pytest.importorskip("torch")
    from transformers import CLIPImageProcessor, CLIPModel, CLIPTokenizer

    model = CLIPModel.from_pretrained(place, dtype=torch.float32).eval()
    tokenizer, processor = CLIPTokenizer.from_pretrained(place), CLIPImageProcessor.from_pretrained(place)
    rng = np.random.default_rng(4)
    scenes = [world.random_scene(rng) for _ in range(96)]
    pictures = [world.draw(scene).resize((side, side), 0) for scene in scenes]
    prompts = [f"a {colour} {shape}" for colour, shape in world.ALL_PAIRS]
    with torch.no_grad():
        scores = model(**tokenizer(prompts, padding=True, return_tensors="pt"), **processor(pictures, return_tensors="pt")).logits_per_image
    answers = [world.ALL_PAIRS.index((scene.things[0].colour, scene.things[0].shape)) for scene in scenes]
    assert np.mean(scores.argmax(dim=1).numpy() == answers) >= 0.85
