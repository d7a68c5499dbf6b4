"""Wires that cannot work are refused from config files alone, in a sentence, before any weight loads."""

import json

import pytest
import torch
from safetensors.torch import save_file

import flowmm
from flowmm.models import checkpoint, residency
from flowmm.nodes import autoregressive, clip, codes, diffusion, text, vision


@pytest.fixture(autouse=True)
def nothing_loads():
    before = residency.LOADS.total()
    yield
    assert residency.LOADS.total() == before


@pytest.fixture(scope="module")
def published(tmp_path_factory):
    """Checkpoints of the published sizes, as far as their keys and shapes tell: no weights to speak of."""
    folder = tmp_path_factory.mktemp("published")

    def make(kind, channels=4):
        path = folder / f"{kind}{channels}.safetensors"
        save_file({checkpoint.FIRST: torch.zeros(320, channels, 3, 3), checkpoint.TEXT[kind]: torch.zeros(1)}, path)
        return str(path)

    return make


@pytest.fixture(scope="module")
def clips(tmp_path_factory):
    """The configs of CLIP B and L, with a tensor instead of their weights."""
    folder = tmp_path_factory.mktemp("clips")

    def make(name, projection):
        made = folder / name
        made.mkdir(exist_ok=True)
        config = {"architectures": ["CLIPModel"], "projection_dim": projection, "text_config": {"vocab_size": 49408, "max_position_embeddings": 77}}
        (made / "config.json").write_text(json.dumps(config))
        (made / "preprocessor_config.json").write_text(json.dumps({"image_processor_type": "CLIPImageProcessor"}))
        (made / "tokenizer.json").write_text("{}")
        save_file({"logit_scale": torch.zeros(())}, made / "model.safetensors")
        return str(made)

    return make


def refused(graph):
    """The one error a graph has, as people read it."""
    errors = graph.check().errors()
    assert len(errors) == 1, [str(error) for error in errors]
    assert errors[0].code == "type-mismatch"
    return str(errors[0])


def conditioned(parts, node=diffusion):
    return node.encode_prompt(parts.tokenizer, parts.text_encoder, "a cat")


def test_an_sdxl_latent_into_an_sd1_decoder(published):
    with flowmm.Graph() as g:
        big, small = diffusion.load(published("sdxl")), diffusion.load(published("sd1"))
        latent = diffusion.sample(big.denoiser, big.schedule, conditioned(big), seed=0, guidance=1.0)
        g.output(image=diffusion.decode(small.autoencoder, latent))
    told = refused(g)
    assert "scale 0.13025, not 0.18215" in told and "decode" in told and "latent" in told


def test_the_conditioning_of_sd2_into_a_denoiser_of_sd1(published):
    with flowmm.Graph() as g:
        wide, narrow = diffusion.load(published("sd2")), diffusion.load(published("sd1"))
        latent = diffusion.sample(narrow.denoiser, narrow.schedule, conditioned(wide), seed=0, guidance=1.0)
        g.output(image=diffusion.decode(narrow.autoencoder, latent))
    told = refused(g)
    assert "1024" in told and "768" in told and "positive" in told


def test_the_schedule_of_a_v_model_with_an_epsilon_denoiser(published):
    with flowmm.Graph() as g:
        v, epsilon = diffusion.load(published("sd2")), diffusion.load(published("sd1"))
        latent = diffusion.sample(epsilon.denoiser, v.schedule, conditioned(epsilon), seed=0, guidance=1.0)
        g.output(image=diffusion.decode(epsilon.autoencoder, latent))
    assert "v_prediction" in refused(g)


@pytest.mark.parametrize("channels", [8, 9])
def test_a_denoiser_that_edits_or_inpaints_in_a_plain_graph(published, channels):
    with flowmm.Graph() as g:
        parts = diffusion.load(published("sd1", channels))
        latent = diffusion.sample(parts.denoiser, parts.schedule, conditioned(parts), seed=0, guidance=1.0)
        g.output(image=diffusion.decode(parts.autoencoder, latent))
    told = str(g.check().errors()[0])
    assert str(channels - 4) in told


def test_texts_of_clip_b_against_pictures_of_clip_l(clips):
    from flowmm.nodes import tokens

    with flowmm.Graph() as g:
        base, large = clip.load(clips("base", 512)), clip.load(clips("large", 768))
        words = clip.encode_text(base.model, tokens.encode(base.tokenizer, "a cat"))
        seen = clip.encode_image(large.model, vision.preprocess(large.processor, g.input("image")))
        g.output(score=clip.similarity(words, seen))
    told = refused(g)
    assert "width 768, not 512" in told or "width 512, not 768" in told


def test_pictures_prepared_for_one_encoder_into_another(clips):
    with flowmm.Graph() as g:
        base, large = clip.load(clips("base", 512)), clip.load(clips("large", 768))
        g.output(seen=clip.encode_image(base.model, vision.preprocess(large.processor, g.input("image"))))
    assert "512" in refused(g) and "768" in refused(g)


def test_codes_of_janus_into_the_decoder_of_unitoken(tmp_path):
    import tiny_janus
    import tiny_unitoken

    janus, unitoken = str(tiny_janus.save(tmp_path / "janus")), str(tiny_unitoken.save(tmp_path / "unitoken"))
    with flowmm.Graph() as g:
        parts = autoregressive.load(janus)
        drawn = autoregressive.sample_codes(parts.model, autoregressive.picture_prompt(parts.tokenizer, "a cat"), seed=0)
        g.output(image=codes.decode(codes.load(unitoken), drawn))
    told = refused(g)
    assert "decode" in told and "codes" in told


def test_a_prompt_of_one_tokenizer_into_another_language_model(tmp_path, clips):
    import tiny_janus
    import tiny_unitoken

    janus, unitoken = str(tiny_janus.save(tmp_path / "janus")), str(tiny_unitoken.save(tmp_path / "unitoken"))
    with flowmm.Graph() as g:
        mine, theirs = autoregressive.load(janus), autoregressive.load(unitoken)
        prompt = autoregressive.picture_prompt(mine.tokenizer, text.join("a", "cat"))
        g.output(codes=autoregressive.sample_codes(theirs.model, prompt, seed=0))
    told = refused(g)
    assert "size" in told and "prompt" in told
