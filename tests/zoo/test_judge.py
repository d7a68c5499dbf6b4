"""The judge: accepts what is true, refuses what is wrong in one attribute, and does not see shapes in noise."""

import numpy as np
import pytest

from flowmm.zoo import judge, world
from flowmm.zoo.check import measure_judge

FIGURES = measure_judge(n=150)


@pytest.mark.parametrize("name", [name for name in FIGURES if name.startswith("true")])
def test_true_pictures_are_accepted(name):
    assert FIGURES[name] >= 0.99


@pytest.mark.parametrize("name", [name for name in FIGURES if not name.startswith("true")])
def test_pictures_told_wrongly_are_refused(name):
    assert FIGURES[name] <= 0.01


def some(n=20, **how):
    rng = np.random.default_rng(5)
    return [world.random_scene(rng, **how) for _ in range(n)]


def test_enlarged_pictures_are_read_alike():
    for scene in some(5):
        picture = world.draw(scene)
        assert judge.judge(picture.resize((256, 256), 0)) == judge.judge(picture)


def test_positions_are_read_to_half_a_pixel():
    for scene in some():
        seen = judge.judge(world.draw(scene)).things[0]
        assert abs(seen.x - scene.things[0].x) <= 0.5 and abs(seen.y - scene.things[0].y) <= 0.5


@pytest.mark.parametrize("noise", [4.0, 8.0])
def test_a_little_noise_does_not_confuse_it(noise):
    rng = np.random.default_rng(6)
    for scene in some():
        picture = np.clip(world.pixels(scene) + rng.normal(0, noise, (32, 32, 3)), 0, 255)
        assert judge.agrees(judge.judge(picture), world.facts(scene))


def test_noise_an_empty_picture_and_blends_of_two_pictures_are_not_clean():
    rng = np.random.default_rng(7)
    assert not judge.judge(rng.integers(0, 256, (32, 32, 3))).clean
    assert not judge.judge(np.full((32, 32, 3), 248)).clean
    one = world.pixels(world.Scene("white", (world.Thing("circle", "red", "large", 16.0, 16.0),)))
    other = world.pixels(world.Scene("white", (world.Thing("circle", "green", "large", 16.0, 16.0),)))
    assert not judge.judge((one.astype(int) + other) // 2).clean


def test_a_second_thing_is_noticed():
    scene = some(1, two=1.0)[0]
    alone = world.facts(world.Scene(scene.background, scene.things[:1]))
    assert not judge.agrees(judge.judge(world.draw(scene)), alone)


def test_a_picture_of_another_size_is_refused_with_the_sizes_that_work():
    with pytest.raises(ValueError, match="multiples of 32"):
        judge.judge(np.zeros((33, 32, 3)))
