"""Chinese beside English in one tokenizer, and how CLIP is taught it."""

import numpy as np
import pytest
import torch
from transformers import CLIPTokenizer

from flowmm.zoo import world
from flowmm.zoo.recipes import chinese, clip, sd, tokens, training


def some_scenes(count):
    rng = np.random.default_rng(0)
    return [world.random_scene(rng, two=0.5) for _ in range(count)]


def test_english_ids_are_the_same_with_chinese_behind_them(tmp_path):
    english, both = tokens.build(), tokens.bilingual()
    texts = [world.caption(scene) for scene in some_scenes(20)] + ["zebra", ""]
    assert both(texts).input_ids == english(texts).input_ids
    both.save_pretrained(tmp_path)
    opened = CLIPTokenizer.from_pretrained(tmp_path)
    assert opened.get_vocab() == both.get_vocab() and opened.eos_token_id == english.eos_token_id


def test_every_chinese_caption_is_made_of_whole_words_and_fits():
    words, rng = tokens.bilingual(), np.random.default_rng(1)
    known = {*tokens.chinese(), tokens.BEGIN, tokens.END}
    for scene in some_scenes(300):
        ids = words(world.caption_zh(scene, rng)).input_ids
        assert len(ids) <= tokens.LENGTH and set(words.convert_ids_to_tokens(ids)) <= known


def test_captions_of_both_languages_ask_for_the_same_and_near_misses_do_not():
    said, english = chinese.captions(np.random.default_rng(2))
    assert len(said) == len(english) == 4 * chinese.QUADRUPLES
    assert [world.parse_zh(one) for one in said] == [world.parse(one) for one in english]
    assert not any(set(thing.colour + thing.shape for thing in world.parse(one).things) & {colour + shape for colour, shape in world.HELD_OUT} for one in english)


def test_teaching_leaves_pictures_as_they_are_and_brings_chinese_near(tmp_path, monkeypatch):
    torch.manual_seed(0)
    words = tokens.bilingual()
    model = clip.build(words)
    pictures = training.to_tensor(world.pixels(scene) for scene in some_scenes(2))
    before, vision = clip.embed(model, words, pictures, None), {name: value.clone() for name, value in model.vision_model.state_dict().items()}
    monkeypatch.setattr(chinese, "QUADRUPLES", 2)
    chinese.teach(tmp_path, model, words, 0.01)
    assert torch.equal(clip.embed(model, words, pictures, None), before)
    assert all(torch.equal(value, vision[name]) for name, value in model.vision_model.state_dict().items())
    assert (tmp_path / "clip-chinese.pt").exists() and all(parameter.requires_grad for parameter in model.parameters())


def test_chinese_words_begin_as_the_english_ones():
    words = tokens.bilingual()
    model = clip.build(words)
    chinese.begin(model.text_model, words)
    pair = clip.embed(model, words, None, ["红色", "red"]), clip.embed(model, words, None, ["圆环", "ring"])
    assert all(torch.allclose(one[0], one[1], atol=1e-6) for one in pair)


@pytest.mark.parametrize("share", [0.0, 1.0])
def test_stable_diffusion_is_told_in_both_languages(share, monkeypatch):
    lesson = sd.Lesson.__new__(sd.Lesson)
    lesson.scenes, lesson.tokenizer, lesson.rng = some_scenes(32), tokens.bilingual(), np.random.default_rng(3)
    lesson.latents = torch.zeros(32, 4, 8, 8)
    monkeypatch.setattr(sd, "CHINESE", share)
    ids = torch.cat([lesson.batch(1.0)[1] for _ in range(8)])
    told = ids[(ids[:, 1] != lesson.tokenizer.eos_token_id)]
    chosen = (told >= len(tokens.build())).any(dim=1).float().mean()
    assert chosen == share
