"""Sources: what is read, what is refused, and in which words."""

import json
import os
import shutil
import subprocess
import sys
import time

import pytest

from flowmm.models import fingerprints
from flowmm.models.source import SourceError, open_source


def edit(path, **changes):
    content = json.loads(path.read_text()) | changes
    path.write_text(json.dumps({name: value for name, value in content.items() if value is not ...}))


def age(folder):
    """As if everything had been written long ago."""
    for path in folder.rglob("*"):
        os.utime(path, (time.time() - 100, time.time() - 100))


def test_a_transformers_folder_has_model_tokenizer_and_processor(clip_folder):
    source = open_source(str(clip_folder))
    assert source.cls == "CLIPModel" and set(source.components) == {"", "tokenizer", "image_processor"}
    assert source.component("").config["projection_dim"] == 24
    assert [part.role for part in source.components.values()] == ["weights", "tokenizer", "processor"]


def test_a_pipeline_folder_has_the_components_of_its_index(diffusion_folder):
    source = open_source(str(diffusion_folder))
    assert source.cls == "StableDiffusionPipeline"
    assert set(source.components) == {"scheduler", "text_encoder", "tokenizer", "unet", "vae"}
    assert source.component("unet").weights.loaded_bytes > 1000
    with pytest.raises(SourceError, match="has no text_encoder_2; it has scheduler, text_encoder, tokenizer, unet, vae"):
        source.component("text_encoder_2")


def test_recommended_settings_lie_beside_the_model(diffusion_folder):
    assert open_source(str(diffusion_folder)).settings == {}
    (diffusion_folder / "flowmm.json").write_text('{"about": "x", "steps": 20, "guidance": 2.0, "scheduler": "euler", "more": [1]}')
    assert open_source(str(diffusion_folder)).settings == {"steps": 20, "guidance": 2.0, "scheduler": "euler"}


def test_reading_a_source_imports_no_library(clip_folder):
    code = (
        "import sys; from flowmm.models.source import open_source; from flowmm.models import spaces; "
        f"source = open_source({str(clip_folder)!r}); source.component('').fingerprint; "
        "print([m for m in ('torch', 'transformers', 'diffusers', 'safetensors', 'numpy') if m in sys.modules])"
    )
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.strip() == "[]"


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("zoo:nothing", "no embedded model `zoo:nothing`; there are"),
        ("zoo:../weights", "no embedded model"),
        ("hf:openai/clip-vit-base-patch32", "is not here.*`flowmm models pull openai/clip-vit-base-patch32` does"),
        ("/nowhere/at/all", "there is no folder `/nowhere/at/all`"),
        ("", "empty or no path"),
        ("a\x00b", "empty or no path"),
        ("x" * 5000, "there is no folder `xxx.*…`"),
        (None, "not a NoneType"),
    ],
)
def test_a_name_that_is_no_source_is_refused_with_what_to_do(name, words):
    with pytest.raises(SourceError, match=words) as caught:
        open_source(name)
    assert "\n" not in str(caught.value) and len(str(caught.value)) < 400


def test_other_files_and_folders_are_no_models(tmp_path):
    for name, words in (
        ("empty.safetensors", "empty.safetensors is cut short or damaged; download it again"),
        ("weights.gguf", "`weights.gguf` is a single file of a kind flowmm does not know"),
        ("model.ckpt", "`model.ckpt` is a pickle, which can run code and is not loaded; `flowmm models convert"),
    ):
        (tmp_path / name).write_bytes(b"")
        with pytest.raises(SourceError, match=words):
            open_source(str(tmp_path / name))
    with pytest.raises(SourceError, match="is no model: the folder has neither"):
        open_source(str(tmp_path))


@pytest.mark.parametrize(("cls", "words"), [("StableDiffusion3Pipeline", "Stable Diffusion 3"), ("FluxPipeline", "Flux"), ("UnCLIPPipeline", "Karlo")])
def test_a_family_still_to_come_says_so(tmp_path, cls, words):
    from flowmm.nodes import diffusion

    (tmp_path / "model_index.json").write_text(json.dumps({"_class_name": cls}))
    with pytest.raises(SourceError, match=f"is an? {cls}: {words} is not supported yet"):
        diffusion.load(str(tmp_path))


@pytest.mark.parametrize("content", ["", "{", "[]", "null", "[" * 100_000, "\udcff"])
def test_a_damaged_config_is_named(clip_folder, content):
    (clip_folder / "config.json").write_bytes(content.encode("utf-8", "surrogateescape"))
    with pytest.raises(SourceError, match="config.json is damaged; download it again"):
        open_source(str(clip_folder))


def test_another_family_is_said_by_name(clip_folder):
    edit(clip_folder / "config.json", architectures=["BertModel"])
    with pytest.raises(SourceError, match="`clip.load` wants a CLIP model; `.*clip` is a BertModel"):
        open_source(str(clip_folder)).want("clip.load", "a CLIP model", ("CLIPModel",))


def test_pickles_are_not_loaded(clip_folder):
    (clip_folder / "model.safetensors").rename(clip_folder / "pytorch_model.bin")
    with pytest.raises(SourceError, match="pickled weights only; pickles can run code and are not loaded"):
        _ = open_source(str(clip_folder)).component("").weights


def test_missing_weights_parts_and_vocabularies_are_said(clip_folder, diffusion_folder):
    (clip_folder / "model.safetensors").unlink()
    with pytest.raises(SourceError, match="has no weights"):
        _ = open_source(str(clip_folder)).component("").fingerprint
    (clip_folder / "tokenizer.json").unlink()
    with pytest.raises(SourceError, match="has no vocabulary file"):
        _ = open_source(str(clip_folder)).component("tokenizer").fingerprint
    (diffusion_folder / "unet" / "config.json").unlink()
    with pytest.raises(SourceError, match="the unet of `.*` has no config.json"):
        _ = open_source(str(diffusion_folder)).component("unet").config
    shutil.rmtree(diffusion_folder / "vae")
    with pytest.raises(SourceError, match="lists a vae, but has no folder of that name"):
        open_source(str(diffusion_folder)).component("vae")
    assert open_source(str(diffusion_folder)).component("unet")  # a part that nobody asks for may be absent


def test_a_file_cut_short_is_noticed_before_it_is_loaded(clip_folder):
    path = clip_folder / "model.safetensors"
    whole = path.read_bytes()
    for damaged in (whole[:-1], whole[:100], whole[:4], b"", b"\xff" * 50, whole + b"x"):
        path.write_bytes(damaged)
        with pytest.raises(SourceError, match="model.safetensors is cut short or damaged; download it again"):
            _ = open_source(str(clip_folder)).component("").weights


def test_a_half_downloaded_model_names_the_missing_shards(tmp_path):
    import tiny

    folder = tiny.save_clip(tmp_path, max_shard_size="60KB")
    shards = sorted(folder.glob("*.safetensors"))
    assert len(shards) > 2
    model = open_source(str(folder)).component("")
    assert model.weights.files == tuple(shards)
    for shard in shards[1:]:
        shard.unlink()
    with pytest.raises(SourceError, match=rf"lacks {len(shards) - 1} of its {len(shards)} weight files \(model-00002.*unfinished"):
        _ = open_source(str(folder)).component("").weights
    edit(folder / "model.safetensors.index.json", weight_map={"a": "../outside.safetensors"})
    with pytest.raises(SourceError, match="index.json is damaged"):
        _ = open_source(str(folder)).component("").weights


def test_a_fingerprint_changes_with_every_byte_that_matters_and_no_other(clip_folder):
    def prints():
        return {name: part.fingerprint for name, part in open_source(str(clip_folder)).components.items()}

    before = prints()
    edit(clip_folder / "config.json", transformers_version="9.9", _name_or_path="elsewhere")
    (clip_folder / "README.md").write_text("hello")
    assert prints() == before

    path = clip_folder / "model.safetensors"
    data = bytearray(path.read_bytes())
    data[-1] ^= 1
    path.write_bytes(data)
    changed = prints()
    assert changed[""] != before[""] and changed["tokenizer"] == before["tokenizer"]

    edit(clip_folder / "config.json", projection_dim=25)
    assert prints()[""] != changed[""]
    edit(clip_folder / "tokenizer.json", truncation={"max_length": 3})
    edit(clip_folder / "preprocessor_config.json", do_center_crop=False)
    last = prints()
    assert last["tokenizer"] != before["tokenizer"] and last["image_processor"] != before["image_processor"]


def test_a_copy_elsewhere_has_the_same_fingerprint(clip_folder, tmp_path):
    copy = shutil.copytree(clip_folder, tmp_path / "copy")
    mine, theirs = (open_source(str(folder)).component("").fingerprint for folder in (clip_folder, copy))
    assert mine == theirs


def test_large_files_are_hashed_once_even_by_another_process(clip_folder, own_home, monkeypatch):
    hashed = []
    real = fingerprints._hash
    monkeypatch.setattr(fingerprints, "_hash", lambda path: (hashed.append(path.name), real(path))[1])
    monkeypatch.setattr(fingerprints, "SMALL", 50_000)
    age(clip_folder)

    def again(forget=True):
        hashed.clear()
        if forget:  # as a new process would
            fingerprints._known.clear()
        return open_source(str(clip_folder)).component("").fingerprint

    first = again()
    assert hashed == ["model.safetensors"] and (own_home / "fingerprints.sqlite").is_file()
    assert again() == first and again(forget=False) == first and hashed == []

    path = clip_folder / "model.safetensors"
    data = bytearray(path.read_bytes())
    data[-1] ^= 1
    path.write_bytes(data)
    age(clip_folder)
    os.utime(path, (1, 1))
    assert again() != first and hashed == ["model.safetensors"]

    (own_home / "fingerprints.sqlite").write_bytes(b"damaged" * 1000)
    assert again() and hashed == ["model.safetensors"]


def test_a_file_just_written_is_not_remembered(clip_folder, own_home, monkeypatch):
    monkeypatch.setattr(fingerprints, "SMALL", 50_000)
    monkeypatch.setattr(fingerprints, "RACE", 1000.0)
    _ = open_source(str(clip_folder)).component("").fingerprint
    assert not (own_home / "fingerprints.sqlite").exists()


def test_a_home_that_cannot_be_written_only_costs_time(clip_folder, monkeypatch, tmp_path):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("FLOWMM_HOME", str(tmp_path / "file" / "home"))
    monkeypatch.setattr(fingerprints, "SMALL", 0)
    age(clip_folder)
    assert open_source(str(clip_folder)).component("").fingerprint


def test_a_variant_is_found_where_the_plain_names_are_missing(clip_folder):
    (clip_folder / "model.safetensors").rename(clip_folder / "model.fp16.safetensors")
    assert open_source(str(clip_folder)).component("").weights.variant == "fp16"
    from flowmm.nodes import clip

    assert clip.logit_scale(clip.load(str(clip_folder)).model).value > 1


def test_weights_that_a_file_lacks_are_not_drawn_at_random(clip_folder, diffusion_folder):
    from safetensors.torch import load_file, save_file

    from flowmm.models.residency import Residency
    from flowmm.nodes import clip, diffusion

    for path, key, node, part in (
        (clip_folder / "model.safetensors", "text_projection.weight", clip, "model"),
        (diffusion_folder / "unet" / "diffusion_pytorch_model.safetensors", "conv_out.weight", diffusion, "denoiser"),
    ):
        held = load_file(path)
        del held[key]
        save_file(held, path, metadata={"format": "pt"})
        source = clip_folder if node is clip else diffusion_folder
        with pytest.raises((SourceError, ValueError), match=key):
            Residency("cpu").load(getattr(node.load(str(source)), part))


def test_a_variant_in_several_shards_is_found_too(clip_folder):
    from transformers import CLIPModel

    model = CLIPModel.from_pretrained(clip_folder)
    (clip_folder / "model.safetensors").unlink()
    model.save_pretrained(clip_folder, variant="fp16", max_shard_size="60KB")
    weights = open_source(str(clip_folder)).component("").weights
    assert weights.variant == "fp16" and len(weights.files) > 1
    from flowmm.nodes import clip

    assert clip.logit_scale(clip.load(str(clip_folder)).model).value == model.logit_scale.exp()


def test_a_vit_that_lacks_weights_says_which(tmp_path):
    import tiny_vit
    from safetensors.torch import load_file, save_file

    from flowmm.models.residency import Residency
    from flowmm.nodes import vit

    folder = tiny_vit.save_plain(tmp_path / "vit")
    path = folder / "model.safetensors"
    held = load_file(path)
    gone = sorted(name for name in held if name.endswith("layernorm.weight"))[0]
    del held[gone]
    save_file(held, path, metadata={"format": "pt"})
    with pytest.raises(SourceError, match="lacks 1 weights of a ViTModel"):
        Residency("cpu").load(vit.load(str(folder)).encoder)
