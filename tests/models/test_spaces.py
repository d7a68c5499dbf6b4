"""Spaces: what fits is decided by config files; what only differs in weights or vocabulary is warned about."""

import json

from flowmm.nodes import clip, diffusion


def spaces(node, folder):
    return node.spec.spaces({"source": str(folder)})


def edit(path, **changes):
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))


def test_two_checkpoints_of_one_width_fit_but_are_told_apart(clip_folder, tmp_path):
    import tiny

    other = tiny.save_clip(tmp_path / "other", seed=5)
    mine, theirs = spaces(clip.load, clip_folder), spaces(clip.load, other)
    assert mine["E"].facts == theirs["E"].facts == (("family", "clip"), ("width", 24))
    assert not mine["E"].same_prints(theirs["E"])
    assert mine["V"] == theirs["V"]


def test_another_width_does_not_fit(clip_folder, tmp_path):
    import tiny

    other = tiny.save_clip(tmp_path / "other", projection_dim=28)
    differences = spaces(clip.load, clip_folder)["E"].differences(spaces(clip.load, other)["E"])
    assert differences == ["width 24, not 28"]


def test_another_tokenizer_of_the_same_size_is_told_apart(clip_folder, saved_clip):
    edit(clip_folder / "tokenizer.json", truncation={"max_length": 3})
    mine, theirs = spaces(clip.load, clip_folder)["V"], spaces(clip.load, saved_clip)["V"]
    assert mine.facts == theirs.facts and not mine.same_prints(theirs)


def test_a_diffusion_models_spaces_are_read_from_its_configs(saved_diffusion):
    found = {name: dict(space.facts) for name, space in spaces(diffusion.load, saved_diffusion).items()}
    assert found["V"] == {"size": 514}
    assert found["C"] == {"family": "clip", "width": 32}
    assert found["S"] == {"channels": 4, "factor": 2, "scale": 0.18215, "shift": 0.0}
    assert found["X"] == {"channels": 0}
    assert found["P"] == {"predicts": "epsilon", "betas": "scaled_linear", "start": 0.00085, "end": 0.012, "timesteps": 1000, "zero_snr": False}


def test_latents_of_another_scale_and_noise_of_another_kind_do_not_fit(diffusion_folder, saved_diffusion):
    edit(diffusion_folder / "vae" / "config.json", scaling_factor=0.13025)
    edit(diffusion_folder / "scheduler" / "scheduler_config.json", prediction_type="v_prediction")
    edit(diffusion_folder / "unet" / "config.json", in_channels=9)
    mine, theirs = spaces(diffusion.load, diffusion_folder), spaces(diffusion.load, saved_diffusion)
    assert mine["S"].differences(theirs["S"]) == ["scale 0.13025, not 0.18215"]
    assert mine["P"].differences(theirs["P"]) == ["predicts v_prediction, not epsilon"]
    assert mine["X"].differences(theirs["X"]) == ["channels 5, not 0"]


def test_a_config_full_of_nonsense_leaves_the_spaces_unknown(clip_folder, diffusion_folder):
    for config, change in (
        (clip_folder / "config.json", {"projection_dim": "wide"}), (clip_folder / "config.json", {"text_config": 3}),
        (clip_folder / "tokenizer_config.json", {"model_max_length": float("nan")}),
    ):  # fmt: skip
        before = config.read_text()
        edit(config, **change)
        found = spaces(clip.load, clip_folder)
        assert found == {} or "model_max_length" in change
        config.write_text(before)
    for part, change in (
        ("vae", {"block_out_channels": 7}), ("vae", {"scaling_factor": "big"}), ("unet", {"in_channels": -1}),
        ("text_encoder", {"hidden_size": None}),
    ):  # fmt: skip
        config = diffusion_folder / part / "config.json"
        before = config.read_text()
        edit(config, **change)
        assert spaces(diffusion.load, diffusion_folder) == {}, change
        config.write_text(before)
    assert len(spaces(diffusion.load, diffusion_folder)) == 5
