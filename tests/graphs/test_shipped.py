"""Every shipped graph, run on the embedded models from a new process, its answer judged."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import numpy as np
import PIL.Image
import pytest

import flowmm
from flowmm.face.find import shipped
from flowmm.graph.document import dump, words
from flowmm.zoo import WEIGHTS, world
from flowmm.zoo.judge import agrees, judge

NAMES = sorted(path.stem for path in shipped().glob("*.json"))
needs_sd = pytest.mark.skipif(not (WEIGHTS / "sd" / "model_index.json").is_file(), reason="the embedded pack has no sd yet")


@pytest.fixture(scope="module")
def runtime(tmp_path_factory):
    made = flowmm.Runtime("cpu", cache=tmp_path_factory.mktemp("cache"))
    yield made
    made.close()


@pytest.mark.parametrize("name", NAMES)
def test_a_shipped_graph_is_typed_canonical_and_told_in_two_languages(name):
    graph = flowmm.load(name)
    assert graph.check().errors() == []
    assert dump(graph.document).encode() == graph.path.read_bytes()
    for text in (graph.document.title, graph.document.about):
        assert words(text, "en") and words(text, "zh") and words(text, "en") != words(text, "zh")
    assert "arXiv" in graph.about and all(p.help or p.default is not None for p in graph.inputs.values())
    assert "model" in graph.inputs
    assert graph.document.tags[0] in ("understanding", "generation", "both") and len(graph.document.tags) > 1


def test_clip_match_finds_what_is_in_the_picture(runtime):
    scores = flowmm.load("clip-match").run({}, runtime=runtime).scores
    best = scores.values.argmax(axis=0)
    assert [scores.rows[i] for i in best] == ["a cyan square", "a red circle"]


def test_clip_zero_shot_puts_the_right_label_first(runtime):
    labels = flowmm.load("clip-zero-shot").run({}, runtime=runtime).labels
    assert labels.names[0][0] == "cyan square" and labels.probabilities[0][0] > 0.9
    assert abs(labels.probabilities.sum() - 1) < 0.01


@pytest.mark.parametrize("text, best", [("a red circle", "red-circle.png"), ("a purple star", "purple-star.png")])
def test_clip_search_ranks_the_right_picture_first(runtime, text, best):
    result = flowmm.load("clip-search").run({"text": text}, runtime=runtime)
    assert result.scores.columns[0] == best and result.sheet.width > 300


def test_another_search_text_embeds_no_picture_again(runtime):
    graph = flowmm.load("clip-search")
    graph.run({"text": "a blue star"}, runtime=runtime)
    ran = []
    graph.run({"text": "a cyan ring"}, runtime=runtime, listener=lambda e: ran.append(e.node) if e.kind == "running" else None)
    assert "text" in ran and "picture" not in ran and "pixels" not in ran


@needs_sd
@pytest.mark.parametrize("prompt", ["a large red circle on a white background", "a blue square", "a small yellow star on a black background"])
def test_text_to_image_draws_what_the_prompt_says(runtime, prompt):
    """Four seeds each, at least three right: the shipped weights' own figure is printed by `python -m flowmm.zoo measure sd`."""
    image = flowmm.load("text-to-image").run({"prompt": [prompt] * 4, "seed": 10}, runtime=runtime).image
    told = world.parse(prompt)
    assert sum(agrees(judge(image.to_pil(i)), told) for i in range(len(image))) >= 3


def right(image, prompt):
    """How many of a batch the judge reads as the prompt."""
    return sum(agrees(judge(image.to_pil(i)), world.parse(prompt)) for i in range(len(image)))


@needs_sd
@pytest.mark.parametrize("prompt", ["a large green star on a white background", "a small yellow cross on a black background"])
def test_image_to_image_makes_of_a_picture_what_the_prompt_says(runtime, prompt):
    image = flowmm.load("image-to-image").run({"prompt": [prompt] * 4, "seed": 10, "strength": 0.9}, runtime=runtime).image
    assert right(image, prompt) >= 3


@needs_sd
def test_inpainting_is_right_inside_the_mask_and_unchanged_outside(runtime):
    prompt, graph = "a large blue star on a white background", flowmm.load("inpaint")
    image = graph.run({"prompt": [prompt] * 4, "seed": 10}, runtime=runtime).image
    assert right(image, prompt) >= 3
    before = np.asarray(PIL.Image.open(shipped() / "examples" / "red-circle.png").convert("RGB")).transpose(2, 0, 1)
    mask = np.asarray(PIL.Image.open(shipped() / "examples" / "masks" / "middle.png").convert("L")) > 127
    assert mask.any() and not mask.all()
    for i in range(len(image)):
        after = np.asarray(image.to_pil(i)).transpose(2, 0, 1)
        assert np.array_equal(after[:, ~mask], before[:, ~mask]) and not np.array_equal(after[:, mask], before[:, mask])


@pytest.mark.parametrize("name", ["cyan-square", "purple-star", "green-triangle"])
def test_vit_names_the_shape_and_looks_at_it(runtime, name):
    picture = str(shipped() / "examples" / f"{name}.png")
    labels = flowmm.load("vit-classify").run({"image": picture}, runtime=runtime).labels
    assert labels.names[0][0] == name.replace("-", " ") and labels.probabilities[0][0] > 0.5
    heat = flowmm.load("vit-attention").run({"image": picture}, runtime=runtime).heat.values[0]
    edge = [*heat[0], *heat[-1], *heat[1:-1, 0], *heat[1:-1, -1]]
    assert heat[2:6, 2:6].mean() > 1.5 * sum(edge) / len(edge)


def test_a_caption_tells_what_is_in_the_picture(runtime):
    rng = np.random.default_rng(3)
    scenes = [world.random_scene(rng, two=0.5) for _ in range(8)]
    captions = flowmm.load("caption").run({"image": [world.draw(scene) for scene in scenes]}, runtime=runtime).caption
    assert sum(world.agree(world.parse(caption), scene) for caption, scene in zip(captions, scenes)) >= 7
    begun = flowmm.load("caption").run({"image": [world.draw(scene) for scene in scenes], "beginning": "a picture of"}, runtime=runtime).caption
    assert all(line.startswith("a picture of") for line in begun)


@pytest.mark.parametrize(("question", "answer"), [("what colour is the circle?", "red"), ("is there a square?", "no"), ("what shape is the red thing?", "circle")])
def test_a_question_is_answered(runtime, question, answer):
    assert list(flowmm.load("ask").run({"question": question}, runtime=runtime).answer) == [answer]


@pytest.mark.parametrize("label", ["red circle", "yellow cross", "purple star"])
def test_class_to_image_draws_the_class(runtime, label):
    image = flowmm.load("class-to-image").run({"label": label, "count": 4, "seed": 10}, runtime=runtime).image
    assert right(image, label) >= 3


@needs_sd
def test_a_picture_reproduces_itself_in_a_new_process(runtime, tmp_path):
    result = flowmm.load("text-to-image").run({"prompt": "a green circle", "seed": 4}, runtime=runtime)
    result.image.save(tmp_path / "made.png")
    env = os.environ | {"FLOWMM_HOME": str(tmp_path / "home")}
    command = [sys.executable, "-m", "flowmm.cli", "run", "made.png", "-o", "again", "-q", "--no-cache"]
    subprocess.run(command, cwd=tmp_path, env=env, check=True, capture_output=True)
    with PIL.Image.open(tmp_path / "made.png") as first, PIL.Image.open(tmp_path / "again" / "image.png") as second:
        assert first.tobytes() == second.tobytes()


PROBE = """
import sys
from flowmm import cli
sys.argv = ["flowmm", "run", "clip-match", "-q"]
try: cli.main()
except SystemExit as stop: assert not stop.code
loads = sys.modules["flowmm.models.residency"].LOADS if "flowmm.models.residency" in sys.modules else []
print("LOADS", len(loads), "TORCH", "torch" in sys.modules)
"""


def test_the_second_run_in_a_new_process_loads_no_weights_and_no_torch(tmp_path):
    env = os.environ | {"FLOWMM_HOME": str(tmp_path / "home")}
    runs = [subprocess.run([sys.executable, "-c", PROBE], cwd=tmp_path, env=env, capture_output=True, text=True) for _ in range(2)]
    told = [run.stdout.strip().splitlines()[-1] for run in runs]
    assert told == ["LOADS 1 TORCH True", "LOADS 0 TORCH False"], [run.stderr for run in runs]
    assert "from the cache" in runs[1].stderr


def test_the_worker_process_gives_the_same_bits_and_keeps_torch_out_of_this_one(tmp_path):
    probe = """
import sys, flowmm, json
here = flowmm.Runtime("cpu", cache=None, separate=True)
result = flowmm.load("clip-match").run({}, runtime=here)
print(json.dumps([result.scores.values.tolist(), "torch" in sys.modules]))
here.close()
"""
    done = subprocess.run([sys.executable, "-c", probe], capture_output=True, text=True, env=os.environ | {"FLOWMM_HOME": str(tmp_path)}, check=True)
    values, torch_here = json.loads(done.stdout)
    inline = flowmm.Runtime("cpu", cache=None)
    assert not torch_here and values == flowmm.load("clip-match").run({}, runtime=inline).scores.values.tolist()
    inline.close()


@needs_sd
def test_ctrl_c_stops_within_a_step_and_writes_nothing(tmp_path):
    import signal

    env = os.environ | {"FLOWMM_HOME": str(tmp_path / "home")}
    command = [sys.executable, "-m", "flowmm.cli", "run", "text-to-image", "--steps", "1000", "-o", "out"]
    heard = lambda: signal.signal(signal.SIGINT, signal.SIG_DFL)  # noqa: E731 (a job started in the background inherits that it is ignored)
    with subprocess.Popen(command, cwd=tmp_path, env=env, stderr=subprocess.PIPE, text=True, preexec_fn=heard) as process:
        assert any(line.startswith("paint") for line in process.stderr)
        process.send_signal(signal.SIGINT)
        rest = process.stderr.read()
    assert process.returncode == 130 and "cancelled" in rest and "Traceback" not in rest
    assert not (tmp_path / "out").exists()
