"""Captions in two languages tell the same facts, whatever their words and order."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from flowmm.zoo import world
from flowmm.zoo.check import told_wrong

LANGUAGES = {"en": (world.caption, world.parse), "zh": (world.caption_zh, world.parse_zh)}


def drawn(seed, two):
    rng = np.random.default_rng(seed)
    return world.random_scene(rng, two=float(two), held_out=True), rng


def told_of(scene):
    """The facts without sizes of two things, which no caption tells."""
    full = world.facts(scene)
    if scene.relation is None:
        return full
    return world.Facts(tuple(world.Wanted(want.shape, want.colour) for want in full.things), full.relation, full.background)


@pytest.mark.parametrize("language", LANGUAGES)
@given(seed=st.integers(0, 2**31), two=st.booleans())
@settings(deadline=None, max_examples=200)
def test_a_whole_caption_parses_back_to_all_facts(language, seed, two):
    caption, parse = LANGUAGES[language]
    scene, _ = drawn(seed, two)
    assert parse(caption(scene)) == told_of(scene)


@pytest.mark.parametrize("language", LANGUAGES)
@given(seed=st.integers(0, 2**31), two=st.booleans())
@settings(deadline=None, max_examples=200)
def test_a_varied_caption_tells_facts_and_of_details_all_or_nothing(language, seed, two):
    caption, parse = LANGUAGES[language]
    scene, rng = drawn(seed, two)
    told, full = parse(caption(scene, rng)), told_of(scene)
    assert told.relation == full.relation and told.background in (None, full.background)
    assert [(want.shape, want.colour) for want in told.things] == [(want.shape, want.colour) for want in full.things]
    assert all(want.size in (None, true.size) for want, true in zip(told.things, full.things, strict=True))


@given(seed=st.integers(0, 2**31), two=st.booleans(), attribute=st.sampled_from(["colour", "shape", "background", "relation", "binding"]))
@settings(deadline=None, max_examples=200)
def test_a_chinese_caption_is_false_of_a_scene_told_wrongly(seed, two, attribute):
    scene, rng = drawn(seed, two)
    if not two and attribute in ("relation", "binding"):
        return
    assert not world.fits(world.parse_zh(world.caption_zh(scene)), told_wrong(world.facts(scene), attribute, rng))


def test_the_same_is_said_in_several_ways_and_every_detail_is_left_out_now_and_then():
    scene, _ = drawn(3, True)
    said = {world.caption_zh(scene, np.random.default_rng(seed)) for seed in range(200)}
    told = {world.parse_zh(text) for text in said}
    assert len(said) >= 12 and len(told) == 2  # with the background and without it
    single, _ = drawn(3, False)
    assert len({world.parse_zh(world.caption_zh(single, np.random.default_rng(seed))) for seed in range(100)}) == 4


@pytest.mark.parametrize(
    ("text", "english"),
    [
        ("白色背景上的一个大红色圆形", "a large red circle on a white background"),
        ("一个红色圆形在一个蓝色方块的左边", "a red circle left of a blue square"),
        ("一个蓝色方块的左边有一个红色圆形", "a red circle left of a blue square"),
        ("灰色背景上，一个粉红色的五角星在一个青色圆环的下方", "a pink star below a cyan ring on a grey background"),
        ("一个橘色的小十字形，黑色背景", "a small orange cross on a black background"),
        ("圆环", "ring"),
    ],
)
def test_both_languages_say_the_same(text, english):
    assert world.parse_zh(text) == world.parse(english)


def test_a_chinese_text_without_a_shape_says_what_the_shapes_are():
    with pytest.raises(ValueError, match="no shape.*圆形"):
        world.parse_zh("今天天气很好")
