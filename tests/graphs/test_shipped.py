"""Every shipped graph, run on the embedded models from a new process, its answer judged."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import replace

import numpy as np
import PIL.Image
import pytest

import flowmm
from flowmm.face.find import shipped
from flowmm.graph.document import dump, words
from flowmm.zoo import questions, styles, table, world
from flowmm.zoo.judge import agrees, judge

NAMES = sorted(path.stem for path in shipped().glob("*.json"))
READY, JUDGED = table.graphs(), set()


def judges(name):
    """Marks a test that judges what a graph makes; it is skipped while the pack has no model for the graph."""
    JUDGED.add(name)
    return pytest.mark.skipif(name not in READY, reason=f"the embedded pack has no model for {name} yet")


needs_sd = pytest.mark.skipif("text-to-image" not in READY, reason="the embedded pack has no sd yet")


def scenes(count, seed=3, **how):
    """Random scenes of trained pairs."""
    rng = np.random.default_rng(seed)
    return [world.random_scene(rng, **how) for _ in range(count)]


def right(image, *prompts):
    """How many of a batch the judge reads as the prompt, or each as its own."""
    told = [world.parse(prompt) for prompt in prompts] * (len(image) // len(prompts))
    return sum(agrees(judge(image.to_pil(i)), one) for i, one in enumerate(told))


def in_place(image, i, scene):
    """Whether picture i shows a scene's one thing where it is, to two pixels, whatever its size."""
    seen, thing = judge(image.to_pil(i)), scene.things[0]
    told = world.Facts((world.Wanted(thing.shape, thing.colour),), background=scene.background)
    return agrees(seen, told) and max(abs(seen.things[0].x - thing.x), abs(seen.things[0].y - thing.y)) <= 2


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


@judges("clip-embed")
def test_clip_embeds_pictures_near_the_texts_that_are_true_of_them(runtime):
    some = scenes(6, 5)
    result = flowmm.load("clip-embed").run({"image": [world.draw(scene) for scene in some], "texts": [world.caption(scene) for scene in some]}, runtime=runtime)
    pictures, texts = np.asarray(result.image_embedding.values), np.asarray(result.text_embedding.values)
    assert np.allclose(np.linalg.norm(pictures, axis=1), 1, atol=1e-5) and np.allclose(np.linalg.norm(texts, axis=1), 1, atol=1e-5)
    assert (pictures @ texts.T).argmax(axis=1).tolist() == list(range(6))


@judges("clip-match")
def test_clip_match_finds_what_is_in_the_picture(runtime):
    scores = flowmm.load("clip-match").run({}, runtime=runtime).scores
    best = scores.values.argmax(axis=0)
    assert [scores.rows[i] for i in best] == ["a cyan square", "a red circle"]


@judges("clip-zero-shot")
def test_clip_zero_shot_puts_the_right_label_first(runtime):
    labels = flowmm.load("clip-zero-shot").run({}, runtime=runtime).labels
    assert labels.names[0][0] == "cyan square" and labels.probabilities[0][0] > 0.9
    assert abs(labels.probabilities.sum() - 1) < 0.01


@judges("clip-search")
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


@judges("text-to-image")
@pytest.mark.parametrize("prompt", ["a large red circle on a white background", "a blue square", "a small yellow star on a black background"])
def test_text_to_image_draws_what_the_prompt_says(runtime, prompt):
    """Four seeds each, at least three right: the shipped weights' own figure is printed by `python -m flowmm.zoo measure sd`."""
    image = flowmm.load("text-to-image").run({"prompt": [prompt] * 4, "seed": 10}, runtime=runtime).image
    assert right(image, prompt) >= 3


@judges("image-to-image")
@pytest.mark.parametrize("prompt", ["a large green star on a white background", "a small yellow cross on a black background"])
def test_image_to_image_makes_of_a_picture_what_the_prompt_says(runtime, prompt):
    image = flowmm.load("image-to-image").run({"prompt": [prompt] * 4, "seed": 10, "strength": 0.9}, runtime=runtime).image
    assert right(image, prompt) >= 3


@judges("inpaint")
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


@judges("control")
def test_a_control_net_puts_the_thing_of_the_outline_where_it_is_in_the_colour_told(runtime):
    some = [replace(scene, things=(replace(scene.things[0], shape=shape),)) for scene, shape in zip(scenes(6, 8, sizes=("large",)), world.SHAPES, strict=True)]
    told = [replace(scene, things=(replace(scene.things[0], colour="cyan"),)) for scene in some]
    inputs = {"image": [world.draw(scene) for scene in some], "prompt": [world.caption(scene) for scene in told], "seed": 10}
    result = flowmm.load("control").run(inputs, runtime=runtime)
    assert sum(in_place(result.image, i, scene) for i, scene in enumerate(told)) >= 5
    assert len(result.outlines) == 6


@judges("control")
def test_the_outline_of_a_picture_larger_than_the_model_knows_is_followed_too(runtime):
    result = flowmm.load("control").run({}, runtime=runtime)  # its own picture is 128 pixels wide
    assert agrees(judge(result.image.to_pil(0)), world.Facts((world.Wanted("circle", "yellow"),), background="black"))


@judges("edit")
@pytest.mark.parametrize(("prompt", "colour"), [("make it blue", "blue"), ("make it pink", "pink")])
def test_an_edit_changes_what_was_told_and_keeps_the_rest(runtime, prompt, colour):
    some = [scene for scene in scenes(24, 9) if scene.things[0].colour != colour][:6]
    result = flowmm.load("edit").run({"image": [world.draw(scene) for scene in some], "prompt": [prompt] * 6, "seed": 10}, runtime=runtime)
    wanted = [replace(scene, things=(replace(scene.things[0], colour=colour),)) for scene in some]
    assert sum(in_place(result.image, i, scene) for i, scene in enumerate(wanted)) >= 5


@judges("style-transfer")
def test_style_transfer_reaches_the_style_and_keeps_the_content(runtime):
    some = scenes(6, 11, sizes=("large",))
    inputs = {"image": [world.draw(scene) for scene in some], "prompt": [world.caption(scene) for scene in some], "seed": 10}
    image = flowmm.load("style-transfer").run(inputs, runtime=runtime).image
    assert sum(styles.shows(styles.read(image.to_pil(i)), scene, "outline") for i, scene in enumerate(some)) >= 5


@judges("text-to-image-codes")
@pytest.mark.parametrize("prompt", ["a large red circle on a white background", "a small yellow star on a black background", "a green ring"])
def test_codes_become_the_picture_that_the_prompt_says(runtime, prompt):
    assert right(flowmm.load("text-to-image-codes").run({"prompt": [prompt] * 4, "seed": 10}, runtime=runtime).image, prompt) >= 3


@judges("dalle1")
@pytest.mark.parametrize("prompt", ["a large red circle on a white background", "a small cyan cross on a grey background"])
def test_the_best_candidate_shows_what_was_asked_and_is_the_one_that_clip_scores_highest(runtime, prompt):
    result = flowmm.load("dalle1").run({"prompt": prompt, "seed": 10}, runtime=runtime)
    assert len(result.image) == 1 and right(result.image, prompt) == 1
    others = flowmm.load("text-to-image-codes").run({"prompt": prompt, "seed": 10, "count": 8}, runtime=runtime).image
    asked = {"image": [others.to_pil(i) for i in range(8)], "texts": [prompt]}
    best = int(flowmm.load("clip-match").run(asked, runtime=runtime).scores.values[0].argmax())
    assert np.array_equal(np.asarray(others.to_pil(best)), np.asarray(result.image.to_pil(0)))


@judges("dalle2")
@pytest.mark.parametrize("prompt", ["a large red circle on a white background", "a small yellow cross on a black background"])
def test_prior_and_decoder_draw_what_the_prompt_says(runtime, prompt):
    assert right(flowmm.load("dalle2").run({"prompt": [prompt] * 4, "seed": 10}, runtime=runtime).image, prompt) >= 3


@judges("dvae-reconstruct")
def test_a_picture_made_of_codes_shows_the_same_scene(runtime):
    for scene in scenes(6, 12, two=0.5):
        result = flowmm.load("dvae-reconstruct").run({"image": world.draw(scene)}, runtime=runtime)
        assert agrees(judge(result.image.to_pil(0)), world.facts(scene)) and float(result.psnr.values.min()) > 20


@judges("vit-features")
def test_patches_of_a_thing_are_more_alike_than_thing_and_background(runtime):
    thing = world.Thing("circle", "blue", "large", 16.0, 16.0)
    result = flowmm.load("vit-features").run({"image": world.draw(world.Scene("white", (thing,)))}, runtime=runtime)
    grid = np.asarray(result.features.values)[0]
    cells = 32 // grid.shape[1]
    cover = world.coverage("circle", 10.0, 16.0, 16.0).reshape(grid.shape[1], cells, grid.shape[2], cells).mean(axis=(1, 3)).ravel()
    vectors = grid.reshape(len(grid), -1).T
    vectors = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    inside, outside = vectors[cover == 64], vectors[cover == 0]
    assert len(inside) >= 9 and len(outside) >= 9
    assert (inside @ inside.T).mean() > (inside @ outside.T).mean() + 0.1
    shown = np.asarray(result.picture.to_pil(0), dtype=float)
    size = shown.shape[0] // 32
    middle, corner = shown[12 * size : 20 * size, 12 * size : 20 * size].mean(axis=(0, 1)), shown[: 4 * size, : 4 * size].mean(axis=(0, 1))
    assert np.abs(middle - corner).max() > 40


@judges("vit-attention")
@judges("vit-classify")
@pytest.mark.parametrize("name", ["cyan-square", "purple-star", "green-triangle"])
def test_vit_names_the_shape_and_looks_at_it(runtime, name):
    picture = str(shipped() / "examples" / f"{name}.png")
    labels = flowmm.load("vit-classify").run({"image": picture}, runtime=runtime).labels
    assert labels.names[0][0] == name.replace("-", " ") and labels.probabilities[0][0] > 0.5
    heat = flowmm.load("vit-attention").run({"image": picture}, runtime=runtime).heat.values[0]
    edge = [*heat[0], *heat[-1], *heat[1:-1, 0], *heat[1:-1, -1]]
    assert heat[2:6, 2:6].mean() > 1.5 * sum(edge) / len(edge)


@judges("caption")
@pytest.mark.parametrize("beginning", ["", "a picture of"])
def test_a_caption_tells_what_is_in_the_picture(runtime, beginning):
    some = scenes(8, two=0.5)
    captions = flowmm.load("caption").run({"image": [world.draw(scene) for scene in some], "beginning": beginning}, runtime=runtime).caption
    assert all(line.startswith(beginning) for line in captions)
    assert sum(world.agree(world.parse(caption), scene) for caption, scene in zip(captions, some)) >= 7


@judges("ask")
@pytest.mark.parametrize(("question", "answer"), [("what colour is the circle?", "red"), ("is there a square?", "no"), ("what shape is the red thing?", "circle")])
def test_a_question_is_answered(runtime, question, answer):
    assert list(flowmm.load("ask").run({"question": question}, runtime=runtime).answer) == [answer]


@judges("ask")
def test_questions_of_all_kinds_about_many_pictures_are_answered(runtime):
    """At least four of five: `python -m flowmm.zoo measure blip2` prints the weights' own figures."""
    rng = np.random.default_rng(4)
    some = scenes(40, 4)
    asked = [questions.ask(scene, rng) for scene in some]
    said = flowmm.load("ask").run({"image": [world.draw(scene) for scene in some], "question": [one.text for one in asked]}, runtime=runtime).answer
    assert len({one.kind for one in asked}) >= 8
    assert sum(questions.right(*one) for one in zip(asked, said, strict=True)) >= 32


@judges("chat")
@pytest.mark.parametrize("name", ["red-circle", "cyan-square", "yellow-star"])
def test_a_second_question_may_speak_of_the_first(runtime, name):
    colour, shape = name.split("-")
    result = flowmm.load("chat").run({"image": str(shipped() / "examples" / f"{name}.png")}, runtime=runtime)
    assert [list(result.first_answer), list(result.second_answer)] == [[shape], [colour]]


@judges("draw-and-ask")
@pytest.mark.parametrize("thing", ["red circle", "blue star", "yellow cross"])
def test_one_model_draws_and_says_what_it_drew(runtime, thing):
    colour, shape = thing.split(" ")
    prompt = f"a large {thing} on a white background"
    result = flowmm.load("draw-and-ask").run({"prompt": prompt, "question": f"what colour is the {shape}?", "seed": 10, "count": 4}, runtime=runtime)
    assert right(result.image, prompt) >= 3 and list(result.answer).count(colour) >= 3


@judges("image-text-matching")
def test_true_captions_match_and_near_misses_do_not(runtime):
    some = scenes(8, 6, two=0.5)
    wrong = [replace(scene, background="white" if scene.background != "white" else "black") for scene in some]
    texts = [world.caption(scene) for scene in (*some, *wrong)]
    matching = flowmm.load("image-text-matching").run({"image": [world.draw(scene) for scene in some], "texts": texts}, runtime=runtime).matching.values
    true, false = (np.diag(matching[rows]) for rows in (slice(0, 8), slice(8, 16)))
    assert (true > 0.5).sum() >= 7 and (false < 0.5).sum() >= 7


@judges("unitoken-two-readings")
def test_both_readings_together_answer_rightly_and_the_codes_keep_the_picture(runtime):
    result = flowmm.load("unitoken-two-readings").run({}, runtime=runtime)
    assert list(result.both) == ["red"]
    assert agrees(judge(result.kept.to_pil(0)), world.parse("a red circle"))


@judges("best-of-n")
def test_of_several_draws_the_best_is_right_where_one_is_wrong(runtime):
    prompt, graph = "a red star below a blue ring", flowmm.load("best-of-n")
    result = graph.run({"prompt": prompt}, runtime=runtime)
    assert right(result.image, prompt) == 1
    worst = flowmm.load("text-to-image").run({"prompt": prompt, "seed": int(result.scores.columns[-1].removeprefix("seed "))}, runtime=runtime).image
    assert right(worst, prompt) == 0 and result.scores.values[0, -1] < result.scores.values[0, 0] - 10


@judges("seed-guidance-sheet")
def test_a_sheet_of_seeds_and_guidances_has_right_pictures_at_the_guidance_that_is_recommended(runtime):
    graph = flowmm.load("seed-guidance-sheet")
    images = graph.run({}, runtime=runtime).images
    told = graph.inputs["guidances"].default
    assert len(images) == 3 * len(told) and sum(right(image, graph.inputs["prompt"].default) for image in images[told.index(2) :: len(told)]) == 3


@judges("redraw-until-it-matches")
@pytest.mark.parametrize("thing", ["green square", "red star", "cyan ring"])
def test_what_is_redrawn_until_it_matches_shows_what_was_in_the_picture(runtime, thing):
    """The first two the painter never saw, of which it draws most wrongly."""
    colour, shape = thing.split(" ")
    scene = world.Scene("white", (world.Thing(shape, colour, "large", 16.0, 16.0),))
    result = flowmm.load("redraw-until-it-matches").run({"image": world.draw(scene), "seed": 0}, runtime=runtime)
    assert result.good and 1 <= result.rounds <= 8 and right(result.image, f"a {thing}") == 1


@judges("folder-captioner")
def test_every_picture_of_the_examples_has_the_caption_that_its_name_tells(runtime):
    result = flowmm.load("folder-captioner").run({}, runtime=runtime)
    told = [name.removesuffix(".png").replace("-", " ") for name in result.names]
    assert len(told) >= 12 and all(thing in caption for thing, caption in zip(told, result.captions, strict=True))


@judges("class-to-image")
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


def test_every_shipped_graph_is_judged():
    assert sorted(JUDGED) == NAMES


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
