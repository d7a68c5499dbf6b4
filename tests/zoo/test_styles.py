"""The styles of the world, and the judge that tells them apart and sees what was kept."""

from dataclasses import replace

import numpy as np
import pytest

from flowmm.zoo import check, judge, styles, world

SCENE = world.Scene("white", (world.Thing("circle", "blue", "large", 16.0, 16.0),))


def differs(picture, scene):
    return np.abs(picture.astype(int) - world.BACKGROUNDS[scene.background]).sum(-1) > 0


def test_filled_is_the_world_as_it_is():
    scene = world.random_scene(np.random.default_rng(0), two=1.0)
    assert np.array_equal(styles.pixels(scene, "filled"), world.pixels(scene))


@pytest.mark.parametrize("shape", world.SHAPES)
def test_an_outline_is_a_line_along_the_contour_and_nothing_else(shape):
    thing = replace(SCENE.things[0], shape=shape)
    away = styles.distance(thing).reshape(32, styles.SUB, 32, styles.SUB)
    marked = differs(styles.pixels(replace(SCENE, things=(thing,)), "outline"), SCENE)
    assert not marked[np.abs(away).min(axis=(1, 3)) > styles.LINE / 2].any()
    assert marked[np.abs(away).max(axis=(1, 3)) <= styles.LINE / 2].all()


def test_an_outline_has_the_line_width_it_says():
    cover = styles.ink(SCENE.things[0], "outline").sum()
    assert cover == pytest.approx(2 * np.pi * world.RADII["large"] * styles.LINE, rel=0.02)


def test_distances_agree_with_the_world_about_what_is_inside():
    for shape in world.SHAPES:
        for x, y in ((16.0, 16.0), (13.5, 18.0)):
            inside = (styles.distance(world.Thing(shape, "red", "large", x, y)) <= 0).reshape(32, styles.SUB, 32, styles.SUB).mean(axis=(1, 3))
            assert np.abs(inside - world.coverage(shape, world.RADII["large"], x, y) / 64).max() < 0.2


def test_a_sketch_is_the_same_of_the_same_generator_and_another_of_another():
    one, again, other = (styles.pixels(SCENE, "sketch", np.random.default_rng(seed)) for seed in (1, 1, 2))
    assert np.array_equal(one, again) and not np.array_equal(one, other)
    assert 0.4 < differs(one, SCENE).sum() / differs(world.pixels(SCENE), SCENE).sum() < 1.2


def test_small_things_and_pairs_have_no_styles():
    small = replace(SCENE, things=(replace(SCENE.things[0], size="small"),))
    for scene in (small, world.random_scene(np.random.default_rng(0), two=1.0)):
        with pytest.raises(ValueError, match="only one large thing can be drawn as outline"):
            styles.pixels(scene, "outline")
    with pytest.raises(ValueError, match="there is no style 'cubist'"):
        styles.ink(SCENE.things[0], "cubist")
    assert styles.pixels(styles.enlarged(small), "outline").shape == (32, 32, 3)


def test_the_judge_of_styles_accepts_what_is_true_and_refuses_what_has_one_thing_wrong():
    figures = check.measure_styles(150, seed=5)
    wrong = {name: share for name, share in figures.items() if "wrong" in name}
    assert figures["true styled accepted"] >= 0.99 and len(wrong) == 6
    assert max(wrong.values()) <= 0.01, wrong


def test_an_empty_picture_shows_nothing():
    plain = np.full((32, 32, 3), 248, dtype=np.uint8)
    assert styles.read(plain) is None and not styles.keeps(None, SCENE) and not styles.shows(None, SCENE, "filled")


def test_ink_beside_the_thing_is_not_clean():
    picture = styles.pixels(SCENE, "outline")
    picture[0:3, 0:3] = world.COLOURS["blue"]
    assert styles.shows(styles.read(styles.pixels(SCENE, "outline")), SCENE, "outline")
    assert not styles.shows(styles.read(picture), SCENE, "outline")


def test_a_blob_is_in_no_style():
    rng = np.random.default_rng(3)
    noise = np.where(rng.random((32, 32, 1)) < 0.5, np.array(world.COLOURS["red"]), 248).astype(np.uint8)
    noise[:4], noise[-4:], noise[:, :4], noise[:, -4:] = 248, 248, 248, 248
    assert styles.read(noise).style is None or not styles.read(noise).clean


def test_the_world_s_judge_still_reads_a_filled_thing_as_the_judge_of_styles_does():
    rng = np.random.default_rng(4)
    for _ in range(20):
        scene = styles.random_scene(rng)
        seen, read = judge.judge(world.draw(scene)).things[0], styles.read(styles.draw(scene, "filled"))
        assert (seen.shape, seen.colour, seen.size, seen.x, seen.y) == (read.thing.shape, read.thing.colour, read.thing.size, read.thing.x, read.thing.y)
