"""The shapes world: the same everywhere, true to its captions, and silent about the held-out pairs."""

import hashlib
import subprocess
import sys

import numpy as np
import pytest
from PIL import Image

from flowmm.zoo import world

FROZEN = "7cd9decb97508f6b24332f009180c735619e11cbdb54df64110bd436814739ac"  # sha256 of 24 pictures, two things in about half


def scenes(n, seed=0, **how):
    rng = np.random.default_rng(seed)
    return [world.random_scene(rng, **how) for _ in range(n)]


def test_the_same_seed_draws_the_same_bytes_on_any_machine():
    drawn = np.stack([world.pixels(scene) for scene in scenes(24, seed=7, two=0.5, held_out=True)])
    assert hashlib.sha256(drawn.tobytes()).hexdigest() == FROZEN


def test_a_drawn_picture_is_the_pixels():
    scene = scenes(1)[0]
    picture = world.draw(scene)
    assert picture.mode == "RGB" and picture.size == (32, 32)
    assert np.array_equal(np.asarray(picture), world.pixels(scene))


def test_edges_are_anti_aliased_and_the_inside_is_the_pure_colour():
    scene = world.Scene("black", (world.Thing("circle", "red", "large", 16.0, 16.0),))
    picture = world.pixels(scene)
    assert tuple(picture[16, 16]) == world.COLOURS["red"]
    assert tuple(picture[0, 0]) == world.BACKGROUNDS["black"]
    assert len(np.unique(picture.reshape(-1, 3), axis=0)) >= 8


@pytest.mark.parametrize("two", [0.0, 1.0])
def test_held_out_pairs_are_never_drawn_or_said_unless_asked_for(two):
    told = {(t.colour, t.shape) for scene in scenes(3000, two=two) for t in scene.things}
    assert told == set(world.TRAINED_PAIRS)
    told = {(t.colour, t.shape) for scene in scenes(3000, two=two, held_out=True) for t in scene.things}
    assert told == set(world.ALL_PAIRS)


def test_five_pairs_are_held_out_with_no_colour_or_shape_twice():
    colours, shapes = zip(*world.HELD_OUT, strict=True)
    assert len(world.HELD_OUT) == len(set(colours)) == len(set(shapes)) == 5


@pytest.mark.parametrize("two", [0.0, 1.0])
def test_captions_parse_back_to_facts_that_hold(two):
    rng = np.random.default_rng(1)
    for scene in scenes(200, two=two):
        told = world.parse(world.caption(scene, rng))
        assert world.agree(told, scene)
        full = world.parse(world.caption(scene))
        assert full.background == scene.background and full.relation == scene.relation
        assert [(w.colour, w.shape) for w in full.things] == [(t.colour, t.shape) for t in scene.things]


def test_a_caption_is_false_of_another_scene():
    for one, other in zip(scenes(200, seed=1), scenes(200, seed=2), strict=True):
        same = [(t.colour, t.shape, t.size) for t in one.things] == [(t.colour, t.shape, t.size) for t in other.things]
        same &= one.background == other.background
        assert world.agree(world.parse(world.caption(one)), other) == same


def test_a_pair_may_be_told_from_either_side():
    scene = scenes(1, two=1.0)[0]
    assert world.agree(world.parse(world.caption(world.reversed_view(scene))), scene)


@pytest.mark.parametrize(
    ("text", "facts"),
    [
        ("A BIG red circle!", world.Facts((world.Wanted("circle", "red", "large"),))),
        (
            "a photo of an orange star on a gray background",
            world.Facts((world.Wanted("star", "orange"),), background="grey"),
        ),
        (
            "a blue ring to the left of a pink cross",
            world.Facts((world.Wanted("ring", "blue"), world.Wanted("cross", "pink")), relation="left of"),
        ),
        ("square", world.Facts((world.Wanted("square"),))),
    ],
)
def test_people_may_put_it_their_way(text, facts):
    assert world.parse(text) == facts


def test_a_caption_without_a_shape_says_what_the_shapes_are():
    with pytest.raises(ValueError, match="no shape.*circle"):
        world.parse("a lovely day")


@pytest.mark.parametrize("relation", world.RELATIONS)
def test_two_things_stand_as_their_relation_says_and_do_not_touch(relation):
    found = [scene for scene in scenes(400, two=1.0) if scene.relation == relation]
    for scene in found:
        first, second = scene.things
        across, down = first.x - second.x, first.y - second.y
        side = {"left of": -across, "right of": across, "above": -down, "below": down}[relation]
        assert side >= 15
        covers = [world.coverage(t.shape, 6.0, t.x, t.y) for t in scene.things]
        assert not np.any((covers[0] > 0) & (covers[1] > 0))


def test_examples_are_written_enlarged_with_their_captions(tmp_path):
    paths = world.examples(tmp_path / "pictures", n=4, seed=3)
    again = world.examples(tmp_path / "again", n=4, seed=3)
    assert [p.read_bytes() for p in paths] == [p.read_bytes() for p in again]
    assert all(Image.open(path).size == (256, 256) for path in paths)
    assert (tmp_path / "pictures" / "captions.json").read_text() == (tmp_path / "again" / "captions.json").read_text()


def test_world_and_judge_import_without_torch():
    code = "import sys, flowmm.zoo.world, flowmm.zoo.judge, flowmm.zoo.__main__; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
