"""Stable Diffusion's relatives: what they are taught, that their folders open in the saved graphs, and what is measured of them."""

from dataclasses import replace
from itertools import count

import numpy as np
import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("peft")

from safetensors.torch import load_file

from flowmm.nodes import hint
from flowmm.sockets import Image
from flowmm.zoo import WEIGHTS, styles, world
from flowmm.zoo.recipes import RECIPES, codec, control, edit, relatives, style, training

pytestmark = pytest.mark.skipif(not (WEIGHTS / "sd" / "flowmm.json").exists(), reason="zoo:sd is not here")


def pairs_of(*scenes):
    return {(thing.colour, thing.shape) for scene in scenes for thing in scene.things}


@pytest.fixture(scope="module")
def base():
    return relatives.opened(WEIGHTS / "sd", "cpu")


@pytest.fixture(scope="module")
def out(tmp_path_factory):
    """A folder with all three, each after a step of training on a handful of scenes."""
    folder = tmp_path_factory.mktemp("trained")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(training, "gate", lambda *told: None)
        for module in (control, style, edit):
            patch.setattr(module, "SCENES", 20)
            patch.setattr(module, "BATCH", 4)
            patch.setattr(module, "measure", lambda *told: {name: 0.0 for name in ("one thing, named: right and in place", "style reached and content kept",
                                                                                   "edit done and the rest kept")})  # fmt: skip
        for module, count in ((control.Lesson, 16), (edit.Lesson, 16)):
            patch.setattr(module.__init__, "__defaults__", (*module.__init__.__defaults__[:-1], count))
        for module in (control, style, edit):
            module.train(folder, 2e-3)
    return folder


def test_hints_are_what_the_node_of_the_graphs_draws():
    picture = world.pixels(world.random_scene(np.random.default_rng(0)))
    expected = hint.outline(Image(picture.transpose(2, 0, 1)[None])).pixels
    assert np.array_equal(relatives.hints_of([picture])[0].numpy(), np.asarray(expected)[0])
    assert len(relatives.hints_of([picture] * 300)) == 300


@pytest.mark.parametrize("two", [0.0, 1.0])
def test_a_disguised_scene_keeps_shapes_and_places_and_tells_no_held_out_pair(two):
    rng = np.random.default_rng(1)
    for _ in range(100):
        scene = world.random_scene(rng, two=two)
        other = relatives.disguised(scene, rng)
        kept = [[(thing.shape, thing.size, thing.x, thing.y) for thing in each.things] for each in (scene, other)]
        assert kept[0] == kept[1]
        assert not pairs_of(other) & world.HELD_OUT
        assert two or other.things[0].colour != scene.things[0].colour


def test_in_place_asks_for_everything_and_for_the_place():
    rng = np.random.default_rng(2)
    for two in (0.0, 1.0):
        scene = world.random_scene(rng, two=two, sizes=("small",))
        first = scene.things[0]
        moved = replace(scene, things=(replace(first, x=first.x + 2.5), *scene.things[1:]))
        assert relatives.in_place(world.pixels(scene), scene, scene.background) and relatives.in_place(world.pixels(scene), scene, None)
        assert not relatives.in_place(world.pixels(moved), scene, None)
        other = "black" if scene.background == "white" else "white"
        assert not relatives.in_place(world.pixels(scene), scene, other)


def test_a_nameless_caption_names_no_shape():
    assert relatives.nameless("a large red circle on a white background") == "a large red thing on a white background"


def test_the_control_begins_as_the_base_and_adds_nothing(base):
    net = control.build(base.unet).eval()
    assert net.config.addition_embed_type_num_heads == base.unet.config.addition_embed_type_num_heads
    noisy, times, hidden = torch.randn(2, 4, 8, 8), torch.tensor([10, 900]), torch.randn(2, 16, 128)
    with torch.no_grad():
        steered = control.steered(base.unet, net, noisy, times, hidden, torch.rand(2, 3, 32, 32))
        assert torch.equal(steered, base.unet(noisy, times, hidden).sample)


def test_the_editor_begins_as_the_base_whatever_it_sees(base):
    wide = edit.widened(base.unet).eval()
    noisy, times, hidden = torch.randn(2, 4, 8, 8), torch.tensor([10, 900]), torch.randn(2, 16, 128)
    with torch.no_grad():
        made = wide(torch.cat([noisy, torch.randn(2, 4, 8, 8)], 1), times, hidden).sample
        assert torch.allclose(made, base.unet(noisy, times, hidden).sample, atol=1e-5)


@pytest.mark.parametrize("kind", edit.KINDS)
def test_an_instruction_says_what_changes_and_an_edit_changes_one_thing(kind):
    rng = np.random.default_rng(3)
    said = set()
    for _ in range(200):
        before = world.random_scene(rng)
        after = edit.changed(before, kind, rng)
        text = edit.instruct(before, after, kind, rng)
        to = {"colour": after.things[0].colour, "shape": after.things[0].shape, "background": after.background, "size": after.things[0].size}[kind]
        assert set(text.split()) & set(edit._SYNONYMS.get(to, (to,)))
        facts = [(scene.background, *(getattr(scene.things[0], name) for name in ("colour", "shape", "size"))) for scene in (before, after)]
        assert sum(one != other for one, other in zip(*facts)) == 1
        assert (before.things[0].x, before.things[0].y) == (after.things[0].x, after.things[0].y)
        assert not pairs_of(after) & world.HELD_OUT
        named = [word for word in text.split() if word in world.SHAPES]
        assert kind == "shape" or not ({(after.things[0].colour, shape) for shape in named if kind == "colour"} & world.HELD_OUT)
        said.add(text)
    assert len(said) >= 12


def test_an_edit_s_latents_are_of_the_scene_before_and_of_the_one_its_words_make_of_it(base):
    lesson = edit.Lesson(base.vae, 5, 6)
    after, before, texts = lesson.draw(32)
    scenes = [scene for row in lesson.scenes for scene in row]
    known = codec.encode(base.vae, scenes).flatten(1)

    def scene_of(latents):
        away = (known - latents.flatten()).norm(dim=1)
        assert away.min() < 1e-3
        return scenes[int(away.argmin())]

    for one, other, text in zip(after, before, texts):
        made, was = scene_of(one), scene_of(other)
        told = {fact for fact in (made.background, made.things[0].colour, made.things[0].shape, made.things[0].size)}
        changed = told - {was.background, was.things[0].colour, was.things[0].shape, was.things[0].size}
        assert len(changed) == 1 and set(text.split()) & {word for fact in changed for word in edit._SYNONYMS.get(fact, (fact,))}


def test_the_codec_learns_styles_and_keeps_filled_latents(tmp_path, monkeypatch):
    monkeypatch.setattr(codec, "BATCH", 4)
    monkeypatch.setattr(codec, "REFINED_PEAK", 0.01)  # what the first steps of the warm-up change would be lost in float16
    looks = count()
    monkeypatch.setattr(training.Clock, "_now", lambda _: float(next(looks)))  # as many steps on any machine
    codec.refine(tmp_path, 20)
    from diffusers import AutoencoderKL

    old, new = (AutoencoderKL.from_pretrained(folder, dtype=torch.float32).eval() for folder in (WEIGHTS / "sd" / "vae", tmp_path / "codec"))
    scenes = training.random_batch(np.random.default_rng(0), 8)[0]
    assert 0 < float((codec.encode(old, scenes) - codec.encode(new, scenes)).abs().max()) < 1
    assert set(styles.STYLES[1:]) < set(codec.measure(tmp_path / "codec", 2))


@pytest.mark.parametrize("module, name, figure", [
    (control, "sd-control", "one thing, named: right and in place"), (style, "sd-style-lora", "style reached and content kept"),
    (edit, "sd-edit", "edit done and the rest kept"),
])  # fmt: skip
def test_each_opens_in_its_graph_and_is_measured(out, module, name, figure):
    figures = module.measure(out / name, 2, seed=1)
    assert figure in figures and all(0 <= value <= 1 for key, value in figures.items() if key != "seconds a picture")
    assert RECIPES[module.__name__.rpartition(".")[2]].shipped == name


def test_all_weights_are_float16_and_no_path_is_left(out):
    for name in ("sd-control", "sd-style-lora", "sd-edit"):
        for path in (out / name).rglob("*.safetensors"):
            assert {tensor.dtype for tensor in load_file(path).values()} == {torch.float16}, path
        assert not [path for path in (out / name).rglob("*.json") if "_name_or_path" in path.read_text()]


def test_the_lora_is_in_diffusers_layout_and_changes_the_base_alone(out, base):
    state = load_file(out / "sd-style-lora" / "pytorch_lora_weights.safetensors")
    assert all(key.startswith("unet.") and ("lora_A" in key or "lora_B" in key or ".lora." in key) for key in state), list(state)[:4]


def test_training_goes_on_from_its_checkpoint(out, monkeypatch):
    monkeypatch.setattr(training, "gate", lambda *told: None)
    monkeypatch.setattr(edit, "measure", lambda *told: {"edit done and the rest kept": 0.0})
    monkeypatch.setattr(edit.Lesson.__init__, "__defaults__", (90, 16))
    before = torch.load(out / "sd-edit.pt", weights_only=True)["state"]
    edit.train(out, before["spent"] + 2e-3, resume=True)
    assert torch.load(out / "sd-edit.pt", weights_only=True)["state"]["step"] > before["step"]
