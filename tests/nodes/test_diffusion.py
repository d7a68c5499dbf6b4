"""Diffusion nodes beside parity: what describe rules foretell, what is refused and in which words, names of schedulers, progress."""

import pytest
import tiny
import tiny_sd
import torch
from sd_runs import hole, photo
from test_describe_rules import agrees, fact, known

import flowmm
from flowmm.catalog import Cancelled, Context
from flowmm.nodes import diffusion, hint, image, mask
from flowmm.nodes.diffusion.schedules import SCHEDULERS, build_scheduler, understood
from flowmm.sockets import Fact, Image, Latent, Mask, Seed, Text


@pytest.fixture(scope="session")
def models(tmp_path_factory):
    """One model of each kind."""
    there = tmp_path_factory.mktemp("models")
    made = {
        "sd": tiny_sd.save(there / "sd"),
        "inpaint": tiny_sd.save(there / "inpaint", "StableDiffusionInpaintPipeline", unet=tiny_sd.INPAINT),
        "edit": tiny_sd.save(there / "edit", "StableDiffusionInstructPix2PixPipeline", unet=tiny_sd.EDIT),
        "xl": tiny_sd.save_xl(there / "xl"),
    }
    return made | {"net": tiny_sd.save_control(there / "net", made["sd"]), "xl net": tiny_sd.save_control(there / "xlnet", made["xl"])}


def told(parts, *lines, **how):
    return diffusion.encode_prompt(parts.tokenizer, parts.text_encoder, Text(lines or ("a",)), **how)


def errors(graph, **inputs):
    return [problem.message for problem in flowmm.load(graph).check(**inputs).errors()]


# ── what is foretold ────────────────────────────────────────────────────────────────────────────


def rule(node, model, facts, **values):
    made = known(node, facts, **values)
    made.spaces.update(diffusion.load.spec.spaces({"source": model}))
    return node.spec.describe(made)


@pytest.mark.parametrize("settings", [{}, {"fit": True}, {"width": 24, "height": 16}])
def test_encoders_foretell_their_latents(models, settings):
    pictures, cover = Image.accept([photo(70, 51)] * 2), Mask.accept(hole())
    handles = diffusion.load.spec.describe(known(diffusion.load, source=models["sd"]))
    facts = {"autoencoder": handles["autoencoder"], "image": fact(pictures), "mask": fact(cover)}
    codec = diffusion.load(models["sd"]).autoencoder
    latent = diffusion.encode(codec, pictures, **settings)
    assert agrees(rule(diffusion.encode, models["sd"], facts, **settings), fact(latent)) and len(latent.values) == 2
    hollow = diffusion.encode_masked(codec, pictures, cover, **settings)
    foretold = rule(diffusion.encode_masked, models["sd"], facts, **settings)
    assert foretold["latent"] == fact(hollow.latent)
    batch, channels, *sides = hollow.extra.latent.values.shape
    assert foretold["extra"].shape == (batch, channels + 1, *sides) and tuple(hollow.extra.mask.shape) == (batch, 1, *sides)
    edited = diffusion.encode_edited(codec, pictures, **settings)
    assert rule(diffusion.encode_edited, models["sd"], facts, **settings) == fact(edited.latent)


def test_the_sampler_foretells_what_starts_from_a_picture(models):
    parts = diffusion.load(models["sd"])
    handles = diffusion.load.spec.describe(known(diffusion.load, source=models["sd"]))
    start = diffusion.encode(parts.autoencoder, Image.accept([photo(40, 24)] * 2))
    facts = {"denoiser": handles["denoiser"], "positive": Fact((1, 16, 32)), "latent": fact(start)}
    made = diffusion.sample(parts.denoiser, parts.schedule, told(parts), latent=start, seed=Seed(0), steps=2, guidance=1.0, count=2)
    assert rule(diffusion.sample, models["sd"], facts, count=2) == fact(made)
    assert rule(diffusion.sample, models["sd"], {name: facts[name] for name in ("denoiser", "positive")} | {"controls": Fact()}).shape == (1, 4, None, None)


def test_masks_hints_and_conditioning_foretell_theirs(models):
    pictures, cover = Image.accept([photo(20, 12)] * 2), Mask.accept(hole(20, 12))
    for node, values in ((mask.from_picture, {"image": pictures}), (hint.outline, {"image": pictures}),
                         (mask.paste, {"original": pictures, "painted": Image.accept([photo()] * 4), "mask": cover})):  # fmt: skip
        assert node.spec.describe(known(node, {name: fact(value) for name, value in values.items()})) == fact(node(**values))
    parts = diffusion.load(models["xl"])
    handles = diffusion.load.spec.describe(known(diffusion.load, source=models["xl"]))
    facts = {"tokenizer": handles["tokenizer"], "encoder": handles["text_encoder"], "text": Fact((2,))}
    assert rule(diffusion.encode_prompt, models["xl"], facts) == fact(told(parts, "a", "b"))


def test_loras_and_nets_foretell_their_weights(models, tmp_path):
    lora = tiny_sd.save_lora(tmp_path / "style.safetensors", models["sd"])
    foretold = diffusion.with_lora.spec.describe(known(diffusion.with_lora, {"denoiser": Fact((None, 4, 16, 16), weights=9)}, source=lora))
    assert foretold["denoiser"].shape == (None, 4, 16, 16) and foretold["denoiser"].weights > 1000
    assert diffusion.with_lora_text.spec.describe(known(diffusion.with_lora_text, {"encoder": Fact((None, 16, 32))}))["text_encoder"].weights == 0
    assert diffusion.load_control.spec.describe(known(diffusion.load_control, source=models["net"]))["control_net"].weights > 1000


# ── what is refused before weights load ─────────────────────────────────────────────────────────


@pytest.mark.parametrize("model, channels", [("inpaint", 5), ("edit", 4)])
def test_a_text_graph_refuses_a_denoiser_that_sees_more_than_noise(models, model, channels):
    (said,) = errors("text-to-image", model=models[model])
    assert said == (f"`parts.denoiser` has extra channels +{channels}, but `paint`, wired as it is, has +0: channels 0, not {channels}")
    assert errors("image-to-image", model=models[model])
    assert errors("inpaint", model=models["inpaint"]) == errors("inpaint", model=models["sd"]) == errors("edit", model=models["edit"]) == []


@pytest.mark.parametrize(
    "graph, model, words",
    [
        ("inpaint", "edit", "sees 4 channels beside the latent; inpainting needs one of 5, or of none"),
        ("edit", "sd", "this denoiser edits no pictures: it sees 0 channels beside the latent, not 4"),
        ("edit", "inpaint", "this denoiser edits no pictures: it sees 5 channels beside the latent, not 4"),
    ],
)
def test_a_graph_for_another_kind_of_denoiser_says_so_before_its_weights_load(models, graph, model, words):
    from flowmm.models.residency import LOADS

    before = LOADS["unet"] + LOADS["unet_edit"]
    with pytest.raises(Exception, match=words):
        flowmm.load(graph)(model=models[model], image=photo(), prompt="a")
    assert LOADS["unet"] + LOADS["unet_edit"] == before


def test_conditioning_of_another_width_is_refused(models):
    with flowmm.Graph() as graph:
        one, two = diffusion.load(models["xl"]), diffusion.load(models["sd"])
        words = diffusion.encode_prompt(one.tokenizer, one.text_encoder, graph.input("prompt", "a"))
        diffusion.sample(two.denoiser, two.schedule, words, seed=0)
    said = [problem.message for problem in graph.check().errors()]
    assert len(said) == 1 and "width 56, not 32" in said[0], said


def test_latents_of_another_space_are_refused(models):
    with flowmm.Graph() as graph:
        one, two = diffusion.load(models["xl"]), diffusion.load(models["sd"])
        words = diffusion.encode_prompt(one.tokenizer, one.text_encoder, graph.input("prompt", "a"))
        latent = diffusion.sample(one.denoiser, one.schedule, words, seed=0)
        diffusion.decode(two.autoencoder, latent)
    said = [problem.message for problem in graph.check().errors()]
    assert len(said) == 1 and "scale 0.13025, not 0.18215" in said[0], said


def test_a_net_of_another_family_is_refused(models):
    said = errors("control", model=models["sd"], control=models["xl net"])
    assert len(said) == 1 and "width 56, not 32" in said[0], said
    assert errors("control", model=models["sd"], control=models["net"]) == errors("control", model=models["xl"], control=models["xl net"]) == []


def test_a_net_for_other_latents_is_refused_before_it_loads(models, tmp_path):
    import json
    import shutil

    from flowmm.models.residency import LOADS

    net = shutil.copytree(models["net"], tmp_path / "net")
    config = json.loads((net / "config.json").read_text())
    (net / "config.json").write_text(json.dumps(config | {"conditioning_embedding_out_channels": [8, 16, 16, 16]}))
    before = LOADS["controlnet"]
    with pytest.raises(Exception, match="was made for latents 8 times smaller than the picture, this model's are 2 times smaller"):
        flowmm.load("control")(model=models["sd"], control=str(net), image=photo(), prompt="a")
    assert LOADS["controlnet"] == before


def test_a_text_encoder_of_another_width_in_the_same_folder_is_refused(tmp_path):
    model = tiny_sd.save(tmp_path, unet={"cross_attention_dim": 48})
    with pytest.raises(ValueError, match="the unet of `.*` wants conditioning 48 wide, but the text_encoder of `.*` makes it 32 wide"):
        diffusion.load(model)


def test_spaces_of_xl_say_what_it_is_told(models):
    assert dict(diffusion.load.spec.spaces({"source": models["xl"]})["C"].facts) == {"family": "clip", "width": 56, "pooled": 20}
    assert diffusion.load_control.spec.spaces({"source": models["xl net"]})["C"] == diffusion.load.spec.spaces({"source": models["xl"]})["C"]


@pytest.mark.parametrize(
    "settings, words",
    [
        ({"strength": 0.01, "steps": 4}, "strength 0.01 of 4 steps leaves nothing to do"),
        ({"start": 4, "steps": 4}, "from step 4 to step 4 of 4 leaves nothing to do"),
        ({"width": 64}, "the picture to start from is 32×32, but 64×32 is to be painted"),
    ],
)
def test_settings_that_leave_nothing_to_do_or_disagree_say_so(models, settings, words):
    parts = diffusion.load(models["sd"])
    start = diffusion.encode(parts.autoencoder, Image.accept(photo()))
    with pytest.raises(ValueError, match=words):
        diffusion.sample(parts.denoiser, parts.schedule, told(parts), latent=start, seed=Seed(0), guidance=1.0, **settings)


def test_numbers_that_do_not_go_in_pairs_say_so(models):
    parts = diffusion.load(models["sd"])
    start = diffusion.encode(parts.autoencoder, Image.accept([photo()] * 3))
    with pytest.raises(ValueError, match="2 prompts, but 3 pictures to start from"):
        diffusion.sample(parts.denoiser, parts.schedule, told(parts, "a", "b"), latent=start, seed=Seed(0), guidance=1.0)
    with pytest.raises(ValueError, match="3 pictures, but 2 masks"):
        diffusion.encode_masked(parts.autoencoder, Image.accept([photo()] * 3), Mask.accept([hole()] * 2))
    with pytest.raises(ValueError, match="4 painted pictures, but 3 originals"):
        mask.paste(Image.accept([photo()] * 3), Image.accept([photo()] * 4), Mask.accept(hole()))
    with pytest.raises(ValueError, match="there must be a latent to go on with"):
        diffusion.sample(parts.denoiser, parts.schedule, told(parts), seed=Seed(0), guidance=1.0, start=2)
    with pytest.raises(ValueError, match="cannot start at 0.8"):
        diffusion.control(diffusion.load_control(models["net"]), Image.accept(photo()), start=0.8, end=0.2)


def test_pictures_too_narrow_or_sizes_that_do_not_divide_say_so(models):
    codec = diffusion.load(models["sd"]).autoencoder
    with pytest.raises(ValueError, match="a picture of 1×1 is too narrow for this model, which sees 2×2 pixels as one"):
        diffusion.encode(codec, Image.accept(photo(1, 1)))
    with pytest.raises(ValueError, match="width 33 is no multiple of 2; try 32"):
        diffusion.encode(codec, Image.accept(photo()), width=33)
    assert diffusion.encode(codec, Image.accept(photo(1, 1)), width=8, height=8).values.shape == (1, 4, 4, 4)
    assert diffusion.encode(codec, Image.accept(photo(300, 3)), fit=True).values.shape == (1, 4, 1, 150)


# ── masks and hints ─────────────────────────────────────────────────────────────────────────────


def test_a_picture_is_fitted_to_what_the_model_was_trained_on(models):
    codec = diffusion.load(models["sd"]).autoencoder
    small, large = Image.accept(photo(codec.setting("height", 0), codec.setting("width", 0))), Image.accept(photo(300, 200))
    assert diffusion.fit(codec, small) is small and diffusion.fit(codec, large, fit=False) is large
    fitted = diffusion.fit(codec, large)
    assert fitted.height * fitted.width <= small.height * small.width and fitted.height % codec.setting("factor", 0) == 0
    assert diffusion.encode(codec, fitted).values.shape == diffusion.encode(codec, large, fit=True).values.shape
    with pytest.raises(ValueError, match="too narrow"):
        diffusion.fit(codec, Image.accept(photo(3000, 1)))


def test_a_mask_of_a_picture_covers_what_is_bright():
    grey = Image.accept([photo()])
    soft, hard, dark = mask.from_picture(grey), mask.from_picture(grey, threshold=0.5), mask.from_picture(grey, threshold=0.5, invert=True)
    assert set(hard.pixels.ravel()) == {0, 255} and (hard.pixels + dark.pixels == 255).all()
    assert ((soft.pixels > 127) == (hard.pixels == 255)).all()


def test_outlines_are_where_colours_change_and_not_at_the_border():
    lines = hint.outline(Image.accept("graphs/examples/red-circle.png"))
    assert set(lines.pixels.ravel()) == {0, 255} and 0.005 < (lines.pixels == 255).mean() < 0.1
    assert (lines.pixels[..., 0] == 0).all() and (lines.pixels[..., :, 0] == 0).all()
    assert (hint.outline(Image.accept("graphs/examples/red-circle.png"), invert=True).pixels + lines.pixels == 255).all()


# ── schedulers ──────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    "name, short",
    [
        ("euler_a", "euler_ancestral"), ("Euler a", "euler_ancestral"), ("k_euler", "euler"), ("sample_euler_ancestral", "euler_ancestral"),
        ("DPM++ 2M Karras", "dpmpp_2m_karras"), ("dpmpp_2m", "dpmpp_2m"), ("DPM++ 2M SDE Karras", "dpmpp_2m_sde_karras"), ("UniPC", "unipc"),
        ("uni_pc", "unipc"), ("PLMS", "pndm"), ("DDIM", "ddim"), ("EulerAncestralDiscreteScheduler", "euler_ancestral"), ("dpm_2_ancestral", "dpm2_ancestral"),
        ("euler normal", "euler"), ("dpmpp_2m_sde_gpu", "dpmpp_2m_sde"), ("DPMSolverMultistepScheduler", "dpmpp_2m"),
    ],
)  # fmt: skip
def test_schedulers_are_known_by_the_names_other_programs_use(name, short):
    assert understood(name) == SCHEDULERS[short]


@pytest.mark.parametrize(
    "name, setting, value",
    [("euler_karras", "use_karras_sigmas", True), ("Euler Exponential", "use_exponential_sigmas", True),
     ("dpmpp_2m_exponential", "use_exponential_sigmas", True), ("euler_a_sgm_uniform", "timestep_spacing", "trailing"), ("ddim_trailing", "timestep_spacing", "trailing")],
)  # fmt: skip
def test_an_ending_says_how_steps_are_spaced(name, setting, value):
    made = build_scheduler(tiny_sd.SCHEDULE | {"_class_name": "DDIMScheduler"}, name)
    assert made.config[setting] == value
    made.set_timesteps(5)


def test_names_nobody_knows_and_spacings_nobody_has_say_so():
    with pytest.raises(ValueError, match="there is no scheduler `eulr`; did you mean euler"):
        build_scheduler({}, "eulr")
    with pytest.raises(ValueError, match="there is no scheduler `qqqqq`; there are ddim, ddpm"):
        build_scheduler({}, "qqqqq")
    with pytest.raises(ValueError, match="the scheduler `ddim_karras` is not to be had: diffusers' DDIMScheduler has no use_karras_sigmas"):
        build_scheduler({}, "ddim_karras")


def test_a_spacing_whose_library_is_missing_says_so():
    from diffusers.utils import is_scipy_available

    if is_scipy_available():
        assert build_scheduler({}, "euler_beta").config["use_beta_sigmas"]
    else:
        with pytest.raises(ValueError, match="needs a library that is not here .*scipy"):
            build_scheduler({}, "euler_beta")


def test_a_graph_takes_another_programs_name(models):
    inputs = {"prompt": "a", "model": models["sd"], "steps": 2, "seed": 1}
    one, two = (flowmm.load("text-to-image")(**inputs, scheduler=name).image for name in ("Euler a", "euler_ancestral"))
    assert one == two


# ── while it works ──────────────────────────────────────────────────────────────────────────────


def test_every_way_of_starting_shows_progress_and_previews_and_can_be_cancelled(models):
    for model, begin in (("sd", "latent"), ("sd", "masked"), ("inpaint", "masked"), ("edit", "edited"), ("sd", "control")):
        parts = diffusion.load(models[model])
        pictures = Image.accept(photo())
        wired = {}
        if begin == "latent":
            wired = {"latent": diffusion.encode(parts.autoencoder, pictures)}
        elif begin == "masked":
            wired = diffusion.encode_masked(parts.autoencoder, pictures, Mask.accept(hole()))._asdict()
        elif begin == "edited":
            wired = {"extra": diffusion.encode_edited(parts.autoencoder, pictures)}
        else:
            wired = {"controls": [diffusion.control(diffusion.load_control(models["net"]), pictures)]}
        how = {"seed": Seed(0), "steps": 4, "guidance": 2.0, **wired}
        seen = []
        context = Context("paint", report=lambda *one: seen.append(one), cancelled=lambda: len(seen) >= 2)
        with pytest.raises(Cancelled):
            diffusion.sample(parts.denoiser, parts.schedule, told(parts), told(parts, ""), context=context, **how)
        assert len(seen) == 2 and seen[1][2]().pixels.shape == (1, 3, 32, 32)
        made = [diffusion.sample(parts.denoiser, parts.schedule, told(parts), told(parts, ""), **how).values for _ in range(2)]
        assert torch.equal(*made), begin  # the models are usable after a cancel, and keep no state


def test_a_plain_latent_is_not_drawn_from(models):
    """Only an encoder's Gaussian uses up part of an item's noise."""
    parts = diffusion.load(models["sd"])
    start = diffusion.encode(parts.autoencoder, Image.accept(photo()))
    how = {"seed": Seed(0), "steps": 2, "guidance": 1.0, "strength": 1.0}
    plain = diffusion.sample(parts.denoiser, parts.schedule, told(parts), latent=Latent(start.values), **how).values
    assert not torch.equal(plain, diffusion.sample(parts.denoiser, parts.schedule, told(parts), latent=start, **how).values)
    assert diffusion.decode(parts.autoencoder, start).pixels.shape == (1, 3, 32, 32)


def test_clip_skip_reads_an_earlier_layer_through_the_last_norm(models):
    """diffusers' own clip_skip asks for text_model.final_layer_norm, which this version of transformers has moved."""
    from transformers import CLIPTextModel

    parts = diffusion.load(models["sd"])
    model = CLIPTextModel.from_pretrained(f"{models['sd']}/text_encoder")
    ids = tiny.tokenizer()(["a"], padding="max_length", max_length=tiny.LENGTH, return_tensors="pt").input_ids
    with torch.no_grad():
        expected = model.final_layer_norm(model(ids, output_hidden_states=True).hidden_states[-2])
    assert torch.equal(told(parts, "a", clip_skip=1).hidden, expected)
    assert torch.equal(told(parts, "a", clip_skip=0).hidden, told(parts, "a").hidden)
    assert not torch.equal(told(parts, "a", clip_skip=1).hidden, told(parts, "a").hidden)


def test_a_resized_picture_can_be_encoded_too(models):
    codec = diffusion.load(models["sd"]).autoencoder
    smaller = image.resize(Image.accept(photo(64, 64)), 32, 32)
    assert diffusion.encode(codec, smaller).values.shape == (1, 4, 16, 16)
