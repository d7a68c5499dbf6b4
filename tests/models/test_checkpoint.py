"""Single checkpoints in the original layout: the same model as the folder it was made of, read in place."""

import json
import shutil

import ldm
import pytest
import torch
from safetensors.torch import load_file, save_file

import flowmm
from flowmm.models import checkpoint
from flowmm.models.residency import Residency
from flowmm.models.source import SourceError, open_source
from flowmm.nodes import diffusion


def configs_of(folder, target):
    """The configs of a pipeline folder, without its weights."""
    return shutil.copytree(folder, target, ignore=shutil.ignore_patterns("*.safetensors"))


@pytest.fixture(scope="module")
def single(saved_diffusion, tmp_path_factory):
    """A checkpoint with the configs of a tiny model beside it."""
    import tiny

    made = tmp_path_factory.mktemp("single")
    pipeline = tiny.pipeline(saved_diffusion)
    path = ldm.write(made / "tiny.safetensors", ldm.unet(pipeline.unet), ldm.vae(pipeline.vae), ldm.clip(pipeline.text_encoder))
    configs_of(saved_diffusion, made / "tiny")
    return path


@pytest.mark.parametrize("part", ["text_encoder", "denoiser", "autoencoder"])
def test_every_weight_is_that_of_the_folder(single, saved_diffusion, part):
    here = Residency("cpu")
    mine, theirs = (here.load(getattr(diffusion.load(str(source)), part)).state_dict() for source in (single, saved_diffusion))
    assert mine.keys() == theirs.keys() and all(torch.equal(mine[name], theirs[name]) for name in theirs)


def test_a_graph_draws_the_same_picture_from_either(single, saved_diffusion):
    runtime = flowmm.Runtime("cpu", cache=None, threads=1)
    given = {"prompt": "a red circle", "seed": 3, "steps": 3, "guidance": 3.0}
    mine, theirs = (flowmm.load("text-to-image").run(given | {"model": str(source)}, runtime=runtime).image for source in (single, saved_diffusion))
    runtime.close()
    assert mine == theirs


def test_the_memory_predicted_is_that_of_each_part(single, saved_diffusion):
    mine, theirs = (open_source(str(source)) for source in (single, saved_diffusion))
    for name in ("unet", "vae", "text_encoder"):
        loaded, expected = mine.component(name).weights.loaded_bytes, theirs.component(name).weights.loaded_bytes
        assert loaded == pytest.approx(expected, rel=0.01), name


def test_open_clip_text_encoders_are_taken_apart(tmp_path):
    """Stable Diffusion 2 and the second encoder of SDXL: fused projections, the text projection transposed."""
    import tiny
    from transformers import CLIPTextConfig, CLIPTextModel, CLIPTextModelWithProjection

    config = CLIPTextConfig(**tiny.TEXT | {"projection_dim": 32, "hidden_act": "gelu"})
    for cls, prefix, key, name in (
        (CLIPTextModel, "cond_stage_model.model.", "text_encoder", "sd2"),
        (CLIPTextModelWithProjection, "conditioner.embedders.1.model.", "text_encoder_2", "sdxl"),
    ):
        model = tiny.widen(cls(config))
        parts = [ldm.open_clip(model, prefix), {checkpoint.FIRST: torch.zeros(320, 4, 3, 3)}]
        if name == "sdxl":
            parts.append(ldm.clip(tiny.widen(CLIPTextModel(config)), "conditioner.embedders.0.transformer."))
        path = ldm.write(tmp_path / f"{name}.safetensors", *parts)
        root = shutil.copytree(checkpoint.CONFIG_FOLDER / name, tmp_path / name)
        config.save_pretrained(root / key)
        loaded = checkpoint.Part(str(path), key, cls.__name__, path).load(cls, "float32").state_dict()
        assert all(torch.equal(loaded[one], tensor) for one, tensor in model.state_dict().items()), name


@pytest.mark.parametrize(
    ("text", "channels", "kind"),
    [("sd1", 4, "sd1"), ("sd1", 9, "sd1-inpaint"), ("sd1", 8, "sd1-edit"), ("sd2", 4, "sd2"), ("sd2", 9, "sd2-inpaint"), ("sdxl", 4, "sdxl")],
)
def test_without_configs_beside_it_the_shipped_ones_are_chosen_by_keys_and_shapes(tmp_path, text, channels, kind):
    path = tmp_path / "downloaded.safetensors"
    save_file({checkpoint.FIRST: torch.zeros(320, channels, 3, 3), checkpoint.TEXT[text]: torch.zeros(77, 768)}, path)
    found = open_source(str(path))
    index = json.loads((checkpoint.CONFIG_FOLDER / kind / "model_index.json").read_text())
    assert found.cls == index["_class_name"]
    assert found.component("unet").config["in_channels"] == channels
    assert found.component("vae").config["scaling_factor"] == (0.13025 if text == "sdxl" else 0.18215)
    if kind in ("sd1", "sd2", "sdxl"):
        spaces = diffusion.load.spec.spaces({"source": str(path)})
        assert dict(spaces["S"].facts)["channels"] == 4


def test_the_shipped_tokenizer_is_clips():
    """Ids as published for openai/clip-vit-large-patch14."""
    from flowmm.models.families import build, make
    from flowmm.sockets import Tokenizer

    part = checkpoint.Part("x", "tokenizer", "CLIPTokenizer", checkpoint.CONFIG_FOLDER / "sd1.safetensors")
    made = build(make(Tokenizer, part, "clip"))
    assert made("a photo of a cat").input_ids == [49406, 320, 1125, 539, 320, 2368, 49407]
    assert made("Hello, World!!").input_ids == [49406, 3306, 267, 1002, 748, 49407]
    assert len(made) == 49408 and made.model_max_length == 77


@pytest.mark.parametrize("kind", sorted(path.name for path in checkpoint.CONFIG_FOLDER.iterdir() if path.is_dir()))
def test_the_shipped_configs_have_the_published_sizes(kind):
    import diffusers
    from transformers import CLIPTextConfig, CLIPTextModel, CLIPTextModelWithProjection

    def count(folder, cls, config=None):
        settings = json.loads((checkpoint.CONFIG_FOLDER / kind / folder / "config.json").read_text())
        with torch.device("meta"):
            module = cls(config(**{k: v for k, v in settings.items() if k not in ("architectures", "model_type")})) if config else cls.from_config(settings)
        return sum(p.numel() for p in module.parameters())

    base, extra = kind.partition("-")[0], {"inpaint": 5, "edit": 4, "": 0}[kind.partition("-")[2]]
    unet = {"sd1": 859_520_964, "sd2": 865_910_724, "sdxl": 2_567_463_684}[base] + extra * 320 * 9
    assert count("unet", diffusers.UNet2DConditionModel) == unet
    assert count("vae", diffusers.AutoencoderKL) == 83_653_863
    assert count("text_encoder", CLIPTextModel, CLIPTextConfig) == {"sd1": 123_060_480, "sd2": 340_387_840, "sdxl": 123_060_480}[base]
    if base == "sdxl":
        assert count("text_encoder_2", CLIPTextModelWithProjection, CLIPTextConfig) == 694_659_840


@pytest.mark.parametrize(
    ("tensors", "words"),
    [
        ({"lora_unet_down_blocks_0_attentions_0_proj_in.lora_down.weight": torch.zeros(4, 4)}, "is a LoRA"),
        ({"decoder.conv_in.weight": torch.zeros(4, 4)}, "is no whole Stable Diffusion checkpoint"),
        ({checkpoint.FIRST: torch.zeros(320, 4, 3, 3)}, "a text encoder flowmm does not know; put its configs"),
        ({checkpoint.FIRST: torch.zeros(320, 7, 3, 3), checkpoint.TEXT["sd1"]: torch.zeros(77, 768)}, "sd1 with 7 input channels"),
    ],
)
def test_other_files_say_what_they_are(tmp_path, tensors, words):
    save_file(tensors, tmp_path / "other.safetensors")
    with pytest.raises(SourceError, match=words):
        open_source(str(tmp_path / "other.safetensors"))


def test_a_half_downloaded_checkpoint_says_so(single, tmp_path):
    cut = tmp_path / "cut.safetensors"
    cut.write_bytes(single.read_bytes()[:-100])
    with pytest.raises(SourceError, match="cut short or damaged; download it again"):
        open_source(str(cut))


def test_another_weight_is_another_fingerprint(single, tmp_path):
    shutil.copytree(single.with_suffix(""), tmp_path / "tiny")
    changed = load_file(single)
    changed[checkpoint.FIRST] += 1
    save_file(changed, tmp_path / "tiny.safetensors")
    mine, theirs = (open_source(str(path)).component("unet").fingerprint for path in (single, tmp_path / "tiny.safetensors"))
    assert mine != theirs
