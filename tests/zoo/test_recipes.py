"""The recipes: what they teach stays inside the trained pairs, and the shared parts do what they say."""

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from flowmm.zoo import world
from flowmm.zoo.recipes import RECIPES, clip, codec, recipe, sd, tokens, training

FROZEN_IDS = [320, 733, 693, 605]  # another id for a word would turn every shipped text model's words about


def pairs_of(scenes):
    return {(thing.colour, thing.shape) for scene in scenes for thing in scene.things}


@pytest.mark.parametrize("two", [0.0, 1.0])
def test_near_misses_never_show_or_tell_a_held_out_pair(two):
    rng = np.random.default_rng(0)
    for _ in range(400):
        scenes, captions = clip.quadruple(rng, two, 3.0)
        assert not pairs_of(scenes) & world.HELD_OUT
        told = {(want.colour, want.shape) for text in captions for want in world.parse(text).things}
        assert not told & world.HELD_OUT


@pytest.mark.parametrize("two", [0.0, 1.0])
def test_near_misses_are_told_apart_by_their_captions(two):
    rng = np.random.default_rng(1)
    for _ in range(100):
        scenes, captions = clip.quadruple(rng, two, 3.0)
        first = world.parse(captions[0])
        assert world.agree(first, scenes[0])
        assert not any(world.agree(first, other) for other in scenes[1:])


def test_rewording_keeps_the_facts():
    rng = np.random.default_rng(2)
    for _ in range(300):
        text = world.caption(world.random_scene(rng, two=0.3), rng)
        assert world.parse(tokens.reword(text, rng)) == world.parse(text)


def test_every_word_of_the_world_is_one_token_and_any_text_has_tokens():
    tokenizer = tokens.build()
    assert all(len(tokenizer(word).input_ids) == 3 for word in tokens.words())
    assert tokenizer.eos_token_id == len(tokenizer) - 1
    strange = tokenizer.tokenize("zebra naïve 火 ☂!")
    assert strange and tokenizer.eos_token not in strange


def test_stratified_times_fill_every_slice_once():
    times = training.stratified_times(10, 1.0, torch.Generator().manual_seed(0))
    assert sorted(int(time) // 100 for time in times) == list(range(10))


def test_the_averaged_weights_swap_in_and_out():
    module = torch.nn.Linear(2, 1)
    average = training.Average({"one": module}, 0.9)
    before = module.weight.detach().clone()
    with torch.no_grad():
        module.weight.add_(1.0)
    average.update()
    average.swap()
    assert (module.weight > before).all() and (module.weight < before + 1).all()
    average.swap()
    assert torch.equal(module.weight, before + 1)


def test_a_checkpoint_brings_everything_back(tmp_path):
    def made():
        module = torch.nn.Linear(3, 2)
        return module, training.Average({"one": module}, 0.9), torch.optim.AdamW(module.parameters())

    module, average, optimizer = made()
    module(torch.ones(1, 3)).sum().backward()
    optimizer.step()
    average.update()
    training.save_checkpoint(tmp_path / "one.pt", average, optimizer, step=7)
    other, other_average, other_optimizer = made()
    assert training.load_checkpoint(tmp_path / "one.pt", other_average, other_optimizer) == {"step": 7}
    assert torch.equal(module.weight, other.weight)
    assert torch.equal(average.weights["one"][0], other_average.weights["one"][0])


def test_a_gate_says_what_failed():
    with pytest.raises(training.GateFailed, match="below 0.98"):
        training.gate("codec", 0.5, 0.98)


def test_folding_statistics_normalises_latents_and_changes_no_reconstruction():
    torch.manual_seed(0)
    model = codec.build().eval()
    _, pictures = training.random_batch(np.random.default_rng(0), 4)
    with torch.no_grad():
        before = model.decode(model.encode(pictures).latent_dist.mean).sample
        codec.fold_statistics(model, 64)
        latents = model.encode(pictures).latent_dist.mean
        assert torch.allclose(model.decode(latents).sample, before, atol=1e-4)
    assert 0.3 < float(latents.std()) < 3


def test_the_schedule_ends_in_pure_noise():
    scheduler = sd.build_scheduler()
    assert float(scheduler.alphas_cumprod[-1]) == 0
    scheduler.set_timesteps(20)
    assert scheduler.timesteps[0] == 999


@pytest.mark.parametrize("name", RECIPES)
def test_every_recipe_can_train_and_measure(name):
    module = recipe(name)
    assert callable(module.train) and callable(module.measure)


def test_an_unknown_recipe_names_the_known_ones():
    with pytest.raises(KeyError, match="clip"):
        recipe("nothing")


def test_the_tokenizer_is_the_same_on_every_call_and_in_every_process():
    here = tokens.build().get_vocab()
    assert here == tokens.build().get_vocab()
    assert [here[word + "</w>"] for word in ("a", "red", "left", "background")] == FROZEN_IDS
