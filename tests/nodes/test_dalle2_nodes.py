"""unCLIP nodes: what rules say beforehand, progress and cancelling of both halves, clear refusals."""

import json
import shutil

import pytest
import tiny
import tiny_kandinsky
import torch
from test_describe_rules import PICTURES, agrees, fact, known

import flowmm
from flowmm import Graph
from flowmm.catalog import Cancelled, Context
from flowmm.models.residency import residency
from flowmm.models.source import SourceError
from flowmm.nodes import diffusion, text, unclip, vision
from flowmm.sockets import Image, Seed, Text


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tiny_kandinsky.save(tmp_path_factory.mktemp("kandinsky"))


@pytest.fixture
def prior(folder):
    return unclip.load_prior(str(folder / "prior"))


@pytest.fixture
def decoder(folder):
    return unclip.load_decoder(str(folder / "decoder"))


def prompt(prior, *lines):
    return unclip.encode_prompt(prior.tokenizer, prior.text_encoder, Text(lines or ("a",)))


def told(node, spaces, facts, **values):
    rule = known(node, facts, **values)
    rule.spaces.update(spaces)
    return node.spec.describe(rule)


def test_rules_agree_with_what_is_made(folder, prior, decoder):
    spaces = unclip.load_prior.spec.spaces({"source": str(folder / "prior")})
    assert {name: dict(space.facts) for name, space in spaces.items() if name in "VCE"} == {
        "V": {"size": 514}, "C": {"family": "clip", "width": 32, "pooled": 32}, "E": {"family": "clip", "width": 32},
    }  # fmt: skip
    handles = unclip.load_prior.spec.describe(known(unclip.load_prior, source=str(folder / "prior")))
    words = prompt(prior, "a", "b", "c")
    facts = told(unclip.encode_prompt, spaces, {"encoder": handles["text_encoder"], "text": fact(Text(("a", "b", "c")))})
    assert facts == fact(words) and words.pooled.shape == (3, 32) and words.mask.shape == (3, tiny.LENGTH)
    embedding = unclip.sample_prior(prior.prior, prior.schedule, words, seed=Seed(0), steps=2, guidance=1.0, count=2)
    facts = told(unclip.sample_prior, spaces, {"prior": handles["prior"], "positive": facts}, count=2)
    assert facts == fact(embedding)
    pixels = vision.preprocess(prior.processor, PICTURES)
    assert agrees(told(vision.preprocess, spaces, {"processor": handles["processor"], "image": fact(PICTURES)}), fact(pixels))
    seen = unclip.encode_image(prior.image_encoder, pixels)
    assert told(unclip.encode_image, spaces, {"encoder": handles["image_encoder"], "pixels": fact(pixels)}) == fact(seen)
    assert told(unclip.empty_picture, spaces, {"encoder": handles["image_encoder"]}) == fact(unclip.empty_picture(prior.image_encoder))
    wanted = unclip.condition(embedding)
    facts = told(unclip.condition, spaces, {"embedding": facts})
    assert facts == fact(wanted)
    spaces = unclip.load_decoder.spec.spaces({"source": str(folder / "decoder")})
    assert dict(spaces["S"].facts) == {"channels": 4, "factor": 2, "scale": 1.0, "shift": 0.0}
    painting = unclip.load_decoder.spec.describe(known(unclip.load_decoder, source=str(folder / "decoder")))
    facts = told(diffusion.sample, spaces, {"denoiser": painting["denoiser"], "positive": facts}, width=32, height=24)
    latent = diffusion.sample(decoder.denoiser, decoder.schedule, wanted, seed=Seed(0), steps=1, guidance=1.0, width=32, height=24)
    assert facts == fact(latent)
    assert told(diffusion.decode, spaces, {"latent": facts}) == fact(diffusion.decode(decoder.autoencoder, latent, tile=True))
    for parts, facts in ((prior, handles), (decoder, painting)):
        for name in [name for name, one in facts.items() if one.weights]:
            module = residency("cpu").load(getattr(parts, name))
            held = sum(p.numel() * p.element_size() for p in module.parameters())
            assert abs(facts[name].weights - held) <= 4096, name


def test_one_folder_of_both_halves_is_typed_as_two(folder):
    both, apart = str(folder / "both"), {"model": str(folder / "decoder"), "prior": str(folder / "prior")}
    assert unclip.load_prior.spec.spaces({"source": both}) == unclip.load_prior.spec.spaces({"source": apart["prior"]})
    assert unclip.load_decoder.spec.spaces({"source": both}) == unclip.load_decoder.spec.spaces({"source": apart["model"]})
    graph = flowmm.load("dalle2")
    assert graph.check(**apart).problems == [] and graph.check(model=both, prior=both).problems == []


def test_recommendations_of_a_folder_of_both_halves_go_to_the_half_they_name(folder, tmp_path):
    both = shutil.copytree(folder / "both", tmp_path / "both")
    (both / "flowmm.json").write_text(json.dumps({"steps": 9, "guidance": 2.0, "height": 32, "width": 48, "prior_steps": 5, "prior_guidance": 1.5}))
    settings = dict(unclip.load_prior(str(both)).prior.settings)
    assert settings == {"steps": 5, "guidance": 1.5}
    settings = dict(unclip.load_decoder(str(both)).denoiser.settings)
    assert [settings[name] for name in ("steps", "guidance", "height", "width")] == [9, 2.0, 32, 48]


def test_a_prior_of_another_width_is_refused_before_weights_load(folder, tmp_path):
    wide = tiny_kandinsky.save(tmp_path, width=48)
    problems = flowmm.load("dalle2").check(model=str(wide / "decoder"), prior=str(folder / "prior")).errors()
    assert [str(problem).partition(".")[0] for problem in problems] == ["paint", "paint"]
    assert "`towards.conditioning` does not fit with `decoder.denoiser`, which is wired to `paint.denoiser`: width 32, not 48" in str(problems[0])


def test_latents_of_movq_do_not_fit_a_stable_diffusion_decoder(folder, diffusion_folder):
    with Graph() as graph:
        painter = unclip.load_decoder(str(folder / "decoder"))
        nothing = unclip.condition(unclip.empty_picture(unclip.load_prior(str(folder / "prior")).image_encoder))
        latent = diffusion.sample(painter.denoiser, painter.schedule, nothing, seed=0, guidance=1.0)
        diffusion.decode(diffusion.load(diffusion_folder).autoencoder, latent)
    told = "`sample.latent` does not fit with `load.autoencoder`, which is wired to `decode.autoencoder`: scale 1, not 0.18215"
    assert told in str(graph.check().errors()[0])


def test_a_stable_diffusion_prompt_does_not_fit_a_prior(folder, diffusion_folder):
    with Graph() as graph:
        other, parts = diffusion.load(diffusion_folder), unclip.load_prior(str(folder / "prior"))
        unclip.sample_prior(parts.prior, parts.schedule, diffusion.encode_prompt(other.tokenizer, other.text_encoder, "a"), seed=0, guidance=1.0)
    assert "`encode_prompt.conditioning` does not fit with `load_prior.prior`" in str(graph.check().errors()[0])


def test_either_half_says_which_other_it_was_given(folder, diffusion_folder, tmp_path):
    with pytest.raises(SourceError, match="`unclip.load_prior` wants a prior of Kandinsky 2.2; .* is a KandinskyV22Pipeline"):
        unclip.load_prior(str(folder / "decoder"))
    with pytest.raises(SourceError, match="`unclip.load_decoder` wants a decoder of Kandinsky 2.2; .* is a KandinskyV22PriorPipeline"):
        unclip.load_decoder(str(folder / "prior"))
    with pytest.raises(SourceError, match="is a StableDiffusionPipeline"):
        unclip.load_decoder(diffusion_folder)
    other = shutil.copytree(folder / "decoder", tmp_path / "decoder")
    config = other / "unet" / "config.json"
    config.write_text(json.dumps(json.loads(config.read_text()) | {"addition_embed_type": "text_image"}))
    with pytest.raises(SourceError, match="wants a denoiser that is told a picture's embedding; .* is told text_image"):
        unclip.load_decoder(str(other))
    assert unclip.load_decoder.spec.spaces({"source": str(other)}) == {}


def test_the_prior_tells_progress_and_is_cancelled_between_steps(prior):
    steps = []
    context = Context("imagined", report=lambda *said: steps.append(said))
    unclip.sample_prior(prior.prior, prior.schedule, prompt(prior), seed=Seed(0), steps=3, guidance=1.0, context=context)
    assert [(done, total) for done, total, _ in steps] == [(0, 3), (1, 3), (2, 3), (3, 3)]
    steps.clear()
    context = Context("imagined", report=lambda *said: steps.append(said), cancelled=lambda: len(steps) >= 2)
    with pytest.raises(Cancelled):
        unclip.sample_prior(prior.prior, prior.schedule, prompt(prior), seed=Seed(0), steps=50, guidance=1.0, context=context)
    assert len(steps) == 2


def test_the_decoder_shows_a_preview_and_is_cancelled_between_steps(prior, decoder):
    seen = []
    nothing = unclip.condition(unclip.empty_picture(prior.image_encoder))
    context = Context("paint", report=lambda *said: seen.append(said), cancelled=lambda: len(seen) >= 2)
    with pytest.raises(Cancelled):
        diffusion.sample(decoder.denoiser, decoder.schedule, nothing, seed=Seed(0), steps=50, guidance=1.0, width=32, height=32, context=context)
    picture = seen[1][2]()
    assert len(seen) == 2 and isinstance(picture, Image) and picture.pixels.shape == (1, 3, 32, 32)


def test_guidance_needs_something_to_lead_away_from(prior):
    with pytest.raises(ValueError, match="guidance 4 needs `negative`: wire the encoded empty text to it"):
        unclip.sample_prior(prior.prior, prior.schedule, prompt(prior), seed=Seed(0), steps=2)


def test_an_empty_and_an_endless_prompt_fill_the_same_length(prior):
    words = prompt(prior, "", "x" * 100_000)
    assert words.hidden.shape == (2, tiny.LENGTH, 32) and words.mask.sum(1).tolist() == [2, tiny.LENGTH]


def test_one_negative_serves_many_prompts(prior):
    wanted, one = prompt(prior, "a", "b"), prompt(prior, "")
    many = prompt(prior, "", "")
    ours, theirs = (unclip.sample_prior(prior.prior, prior.schedule, wanted, negative, seed=Seed(0), steps=2, guidance=2.0).values for negative in (one, many))
    assert torch.allclose(ours, theirs, atol=1e-5)


def test_the_prior_runs_twice_only_for_a_negative_prompt(folder):
    runtime = flowmm.Runtime("cpu", cache=None, threads=1)
    inputs = {"prompt": "a", "steps": 1, "prior_steps": 2, "width": 32, "height": 32, "model": str(folder / "both"), "prior": str(folder / "both")}

    def ran(negative):
        names = []
        flowmm.load("dalle2").run(inputs | {"negative": negative}, runtime=runtime, listener=lambda e: names.append(e.node) if e.kind == "running" else None)
        return names

    assert "nothing" in ran(" ") and "unwanted" not in ran("  ")
    assert "unwanted" in ran("dull") and "nothing" not in ran("dull and grey")
    runtime.close()


def test_a_text_is_empty_when_nothing_is_written():
    assert text.is_empty(Text(("", "  \n"))) and not text.is_empty(Text(("", "a")))


def test_a_prior_takes_two_steps_or_more(folder):
    graph = flowmm.load("dalle2")
    problems = graph.check(model=str(folder / "both"), prior=str(folder / "both"), prior_steps=1).errors()
    assert "`prior_steps`" in str(problems[0]) and "1 is out of range: 2 to 1000" in str(problems[0])
