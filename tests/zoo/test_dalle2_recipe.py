"""DALL-E 2's recipe: the decoder begins as Stable Diffusion, both halves learn, and one folder of them runs in the saved graph and the library."""

import json

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from diffusers import AutoencoderKL, KandinskyV22CombinedPipeline, UNet2DConditionModel
from torch.nn import functional as F
from transformers import CLIPModel

from flowmm.zoo import WEIGHTS, world
from flowmm.zoo.recipes import blip, codec, dalle2, dalle2_prior, sd, sd_measure, tokens, training


@pytest.fixture(scope="module")
def parts():
    return dalle2_prior.encoders(WEIGHTS / "clip")


@pytest.fixture(scope="module")
def scenes():
    rng = np.random.default_rng(0)
    return [world.random_scene(rng, two=0.2) for _ in range(160)]


@pytest.fixture(scope="module")
def vectors(parts, scenes):
    return dalle2_prior.embed(parts["image_encoder"], scenes)


@pytest.fixture(scope="module")
def out(tmp_path_factory, parts, scenes, vectors):
    """A folder made by the recipe's own parts after a step or two of each half."""
    made = tmp_path_factory.mktemp("zoo")
    dalle2.keep(made, resume=False)
    training.learn(made / "dalle2.pt", {"unet": dalle2.begun(made)}, 0.0, False, lambda step: None, peak=1e-3, batch=1)
    dalle2_prior.train(made, parts, scenes, vectors, 0.002, "cpu", False)
    dalle2.export(made)
    return made


def test_the_two_encoders_are_the_halves_of_clip(parts, scenes, vectors):
    whole = CLIPModel.from_pretrained(WEIGHTS / "clip", dtype=torch.float32).eval()
    pictures = training.to_tensor(world.pixels(scene) for scene in scenes[:8])
    texts = [world.caption(scene) for scene in scenes[:8]]
    ids = tokens.to_ids(parts["tokenizer"], texts)
    with torch.no_grad():
        both = whole(input_ids=ids, pixel_values=pictures)
    told = dalle2_prior.Told(parts, "cpu")(texts)
    assert torch.allclose(F.normalize(vectors[:8], dim=-1), both.image_embeds, atol=1e-5)
    assert torch.allclose(F.normalize(told["proj_embedding"], dim=-1), both.text_embeds, atol=1e-5)
    assert told["attention_mask"].sum(dim=1).tolist() == [len(parts["tokenizer"](text).input_ids) for text in texts]


def test_the_decoder_begins_with_stable_diffusions_convolutions_and_a_silent_second_half():
    unet = dalle2.begun(WEIGHTS)
    there = UNet2DConditionModel.from_pretrained(WEIGHTS / "sd" / "unet", dtype=torch.float32).state_dict()
    state = unet.state_dict()
    taken = [name for name in state if name in there and torch.equal(state[name], there[name])]
    assert sum(state[name].numel() for name in taken) > 0.7 * unet.num_parameters()
    assert torch.equal(state["conv_out.weight"][:4], there["conv_out.weight"]) and not state["conv_out.weight"][4:].any()


def test_embeddings_in_training_are_near_the_true_ones_and_a_tenth_are_of_no_picture(parts, vectors):
    told = dalle2.Embeddings(parts["image_encoder"], vectors, 0)
    chosen = np.random.default_rng(0).integers(len(vectors), size=4000)
    made = told(chosen)
    nothing = (made == told.nothing).all(dim=1)
    assert 0.08 < nothing.float().mean() < 0.12
    off = ((made - vectors[chosen]) / vectors.std(dim=0))[~nothing]
    assert 0.5 * dalle2.NOISE < off.std() < dalle2.NOISE


def test_the_priors_statistics_are_the_embeddings_and_stay_what_they_are(out, vectors):
    prior = dalle2_prior.build()
    training.restore(out / "dalle2-prior.pt", {"prior": prior})
    assert torch.allclose(prior.clip_mean[0], vectors.mean(dim=0)) and torch.allclose(prior.clip_std[0], vectors.std(dim=0))


def test_a_prior_learns_embeddings_from_their_captions(tmp_path, parts, scenes, vectors):
    few = [scene for scene in scenes if scene.relation is None][:8]
    captions, those = [world.caption(scene) for scene in few], dalle2_prior.embed(parts["image_encoder"], few)
    told, network, alike = dalle2_prior.Told(parts, "cpu"), dalle2_prior.build(), []
    targets = (those - those.mean(dim=0)) / those.std(dim=0)
    optimizer = torch.optim.AdamW([weight for weight in network.parameters() if weight.requires_grad], lr=1e-3)
    for _ in range(2):
        alike.append(dalle2_prior.cosines(network, told, targets, captions, captions[1:] + captions[:1]))
        for _ in range(30):
            made = network(torch.randn(8, dalle2_prior.WIDTH), torch.full((8,), 999), **told(captions)).predicted_image_embedding
            optimizer.zero_grad()
            F.mse_loss(made, targets).backward()
            optimizer.step()
    assert abs(alike[0]["cosine"]) < 0.3 < 0.6 < alike[1]["cosine"] and alike[1]["shape_gap"] > 0.3


def test_the_movq_decodes_unquantised_latents_as_the_codec_does(out, scenes):
    source, movq = AutoencoderKL.from_pretrained(WEIGHTS / "sd" / "vae", dtype=torch.float32).eval(), dalle2.decoder(out).movq
    latents = codec.encode(source, scenes[:8])
    pictures = training.to_tensor(world.pixels(scene) for scene in scenes[:8])
    with torch.no_grad():
        assert torch.allclose(movq.encode(pictures).latents, latents, atol=1e-4)
        assert torch.allclose(movq.decode(latents, force_not_quantize=True).sample, source.decode(latents).sample, atol=1e-5)
    assert 0.7 < latents.std() < 1.3


def test_what_latents_and_embeddings_are_made_by_stays_on_resume_though_its_source_changes(tmp_path):
    dalle2.keep(tmp_path, resume=True)
    card = tmp_path / "dalle2-clip" / "flowmm.json"
    card.write_text("another")
    dalle2.keep(tmp_path, resume=True)
    assert card.read_text() == "another"
    dalle2.keep(tmp_path, resume=False)
    assert card.read_bytes() == (WEIGHTS / "clip" / "flowmm.json").read_bytes() and dalle2.codec_of(tmp_path).config.latent_channels == 4


def test_one_folder_holds_both_halves_in_float16_and_the_settings_of_both(out):
    safetensors = pytest.importorskip("safetensors")
    folder = out / "dalle2"
    files = list(folder.glob("**/*.safetensors"))
    for path in files:
        with safetensors.safe_open(path, framework="np") as file:
            assert {file.get_slice(key).get_dtype() for key in file.keys()} == {"F16"}  # noqa: SIM118
    assert {path.parent.name for path in files} == {"unet", "movq", "prior_prior", "prior_text_encoder", "prior_image_encoder"}
    assert sum(path.stat().st_size for path in folder.glob("**/*") if path.is_file()) < 7_600_000
    assert not any("_name_or_path" in path.read_text() for path in folder.glob("**/*.json"))
    card = json.loads((folder / "flowmm.json").read_text())
    assert {"steps", "guidance", "height", "width", "prior_steps", "prior_guidance"} < set(card)


def test_the_saved_graph_paints_what_the_librarys_pipelines_paint(out):
    """Both in float32 from the same files, with the card's settings left out of the graph and told to the pipelines."""
    texts = ["a large red circle on a white background", "a blue square"]
    made = sd_measure.generate(lambda **inputs: blip.graph("dalle2", out / "dalle2")(prior=str(out / "dalle2"), **inputs), texts, 5)
    whole = KandinskyV22CombinedPipeline.from_pretrained(out / "dalle2", dtype=torch.float32)

    def drawn():
        return [torch.Generator().manual_seed(5 + i) for i in range(2)]

    for one in (whole.prior_pipe, whole.decoder_pipe):
        one.set_progress_bar_config(disable=True)
    scale = dalle2_prior.GUIDANCE
    embedding, nothing = whole.prior_pipe(texts, num_inference_steps=dalle2_prior.STEPS, guidance_scale=scale, generator=drawn(), return_dict=False)
    theirs = whole.decoder_pipe(image_embeds=embedding, negative_image_embeds=nothing, num_inference_steps=dalle2.STEPS, guidance_scale=dalle2.GUIDANCE,
                                height=32, width=32, generator=drawn(), output_type="np").images  # fmt: skip
    assert np.abs(made.astype(int) - (theirs * 255).round().astype(int)).max() <= 1 and made.std() > 5


def test_measuring_gives_shares_of_everything_it_names(out):
    figures = dalle2.measure(out / "dalle2", 2)
    wanted = {"one thing, trained pairs", "one thing, held-out pairs", "two things", "Chinese, one thing: all right", "Chinese, two things: all right",
              "one thing, the best of 8 by CLIP", "true embeddings, trained pairs", "true embeddings, held-out pairs", "seconds a picture"}  # fmt: skip
    assert set(figures) == wanted and all(0 <= value <= 1 for name, value in figures.items() if name != "seconds a picture")


def test_a_painted_picture_is_right_where_the_judge_reads_what_was_told():
    scene = world.Scene("white", (world.Thing("circle", "red", "large", 16, 16),))
    assert sd_measure.right(world.pixels(scene)[None].repeat(2, axis=0), ["a red circle", "a red square"]) == 0.5


def test_the_best_of_several_is_the_one_that_clip_matches():
    scenes = [world.Scene("white", (world.Thing(shape, "red", "large", 16, 16),)) for shape in ("square", "circle", "cross")]

    class Made:
        image = blip.image_of(scenes)

    best = dalle2.best_of(3, lambda **inputs: Made, ["a red circle", "a red cross"], 0, WEIGHTS / "clip")
    assert np.array_equal(best, np.stack([world.pixels(scenes[1]), world.pixels(scenes[2])]))


def test_nothing_held_out_is_taught():
    lesson_pairs = {(thing.colour, thing.shape) for scene in sd.Lesson(codec.build().eval(), None, count=64, two=dalle2.TWO).scenes for thing in scene.things}
    assert not lesson_pairs & world.HELD_OUT
