"""UniToken's own layout: every key in its place, and a sentence for what is missing, strange, cut short or pickled."""

import json
import shutil

import pytest
import tiny_unitoken
import torch
from safetensors.torch import load_file, save_file

from flowmm.models import convert, unitoken
from flowmm.models.residency import Residency
from flowmm.models.source import SourceError, open_source
from flowmm.nodes import autoregressive, codes, vlm

SHARD = "model-00002-of-00002.safetensors"


@pytest.fixture(scope="session")
def saved(tmp_path_factory):
    return tiny_unitoken.save(tmp_path_factory.mktemp("unitoken") / "saved")


@pytest.fixture
def folder(saved, tmp_path):
    """A copy that a test may damage."""
    return shutil.copytree(saved, tmp_path / "unitoken")


def edit(path, **changes):
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))


def change(path, **changes):
    """Tensors of a file added or replaced; None takes one out. Dots are written as double underscores."""
    held = load_file(path) | {name.replace("__", "."): value for name, value in changes.items()}
    save_file({name: value for name, value in held.items() if value is not None}, path)


def load(folder, dtype="float32"):
    return Residency("cpu", dtype=dtype).load(vlm.load(str(folder)).model)


@pytest.fixture(scope="module")
def reference():
    with torch.no_grad():
        yield tiny_unitoken.Reference()


def test_every_tensor_is_where_the_libraries_have_it(saved, reference):
    made = load(saved)
    ids = torch.randint(0, tiny_unitoken.VOCABULARY, (2, 9), generator=torch.Generator().manual_seed(0))
    pixels = torch.rand(2, 3, 28, 28, generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        logits = made(input_ids=ids).logits
        expected = reference.lm.lm_head(reference.lm.model(input_ids=ids).last_hidden_state)
        features = made.adapter(made.vit(pixels, interpolate_pos_encoding=True).last_hidden_state)
    assert logits.shape == (2, 9, tiny_unitoken.VOCABULARY) and torch.equal(logits, expected)
    assert torch.equal(features, reference.features(pixels)) and features.std() > 0.1
    assert not made.training


def test_norms_of_one_device_serve_the_heads_that_were_on_it(saved):
    layer, tensors = load(saved).model.layers[1].self_attn, tiny_unitoken.network()
    for head in range(4):
        assert torch.equal(layer.q_norm.weight[head], tensors["model.layers.1.self_attn.q_norm.weight"][head // 2])
    assert torch.equal(layer.k_norm.bias, tensors["model.layers.1.self_attn.k_norm.bias"])


def test_in_bfloat16_the_vqgan_stays_float32(saved):
    made = load(saved, "bfloat16")
    assert {parameter.dtype for name, parameter in made.named_parameters() if not name.startswith("vq.")} == {torch.bfloat16}
    assert {parameter.dtype for parameter in made.vq.parameters()} == {torch.float32}
    assert made.model.rotary_emb.inv_freq.dtype == torch.float32


def test_the_vqgan_is_remapped_whole(saved):
    config = open_source(str(saved)).component("vq").config
    assert (config["block_out_channels"], config["layers_per_block"], config["sample_size"]) == ([32, 64], 1, 16)
    keys = [target for name, tensor in tiny_unitoken.vqgan().items() for target, _ in unitoken.vqgan_keys(name, tensor, 2)]
    from diffusers import VQModel

    assert sorted(keys) == sorted(VQModel(**config).state_dict())


def test_what_the_network_does_not_use_may_be_there_or_not(folder):
    before = load(folder).lm_head.weight
    unused = {"model__vqmodel__quant_conv__weight": torch.zeros(2), "model__layers__0__self_attn__rotary_emb__inv_freq": torch.zeros(4)}
    change(folder / SHARD, **unused, vit__head__probe=None)
    change(folder / "vqgan.safetensors", loss__logvar=torch.zeros(()))
    assert torch.equal(load(folder).lm_head.weight, before)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"lm_head__weight": None}, "lacks 1 tensors \\(lm_head.weight\\)"),
        ({"lm_head__bias": torch.zeros(2)}, "has, beside what UniToken is made of, 1 tensors \\(lm_head.bias\\)"),
        ({"lm_head__weight": torch.zeros(3, 32)}, "lm_head.weight makes a 3×32 of lm_head.weight, where the config wants 16896×32"),
    ],
)
def test_missing_strange_and_misshapen_tensors_are_named(folder, changes, words):
    shard = next(path for path in folder.glob("model-*.safetensors") if "lm_head.weight" in load_file(path))
    change(shard, **changes)
    with pytest.raises(SourceError, match=words):
        load(folder)


def test_a_vqgan_without_a_tensor_names_it(folder):
    change(folder / "vqgan.safetensors", decoder__mid__attn_1__q__weight=None)
    with pytest.raises(SourceError, match="lacks 1 tensors \\(decoder.mid_block.attentions.0.to_q.weight\\)"):
        load(folder)
    change(folder / "vqgan.safetensors", encoder__down__0__block__0__conv2__weight=None)
    with pytest.raises(SourceError, match="its VQGAN lacks tensors that Chameleon's has"):
        vlm.load(str(folder))


def test_a_vqgan_of_another_kind_is_refused(folder):
    change(folder / "vqgan.safetensors", encoder__down__1__attn__0__q__weight=torch.zeros(1))
    with pytest.raises(SourceError, match="attention between its levels, so it is not Chameleon's"):
        codes.load(str(folder))


def test_a_cut_or_missing_shard_is_found_before_anything_loads(folder):
    with open(folder / SHARD, "r+b") as file:
        file.truncate(2000)
    with pytest.raises(SourceError, match=f"{SHARD} is cut short or damaged"):
        vlm.load(str(folder))
    (folder / SHARD).unlink()
    with pytest.raises(SourceError, match=f"lacks 1 of its 2 weight files \\({SHARD}\\): the download is unfinished"):
        autoregressive.load(str(folder))


def test_a_pickled_vqgan_is_converted_once_and_then_found(folder, own_home):
    held = load_file(folder / "vqgan.safetensors")
    torch.save({"state_dict": held, "epoch": 3}, folder / "vqgan.ckpt")
    before = codes.load(str(folder))
    (folder / "vqgan.safetensors").unlink()
    with pytest.raises(SourceError, match="VQGAN as a pickle, which can run code and is not loaded; `flowmm models convert .*vqgan.ckpt` makes it safe"):
        codes.load(str(folder))
    converted = convert.convert(folder / "vqgan.ckpt")
    after = codes.load(str(folder))  # beside the other models, where `convert` puts it
    assert after.settings == before.settings
    whole = convert.convert(folder, own_home / "whole")
    assert (whole.folder / "vqgan.safetensors").is_file() and vlm.load(str(whole.folder)).model.family == "unitoken"
    assert load_file(converted.written[0]).keys() == held.keys()
    made = Residency("cpu").load(after)
    assert torch.equal(made.quantize.embedding.weight, held["quantize.embedding.weight"])


def test_without_a_vqgan_it_is_said_where_one_comes_from(folder):
    (folder / "vqgan.safetensors").unlink()
    for opened in (vlm.load, autoregressive.load, codes.load):
        with pytest.raises(SourceError, match="has no vqgan.safetensors: UniToken's codes are those of Chameleon's VQGAN, which comes apart; download Meta's"):
            opened(str(folder))
    assert vlm.load.spec.spaces({"source": str(folder)}) == {}


def test_metas_own_folder_of_tokenizer_and_vqgan_serves(folder):
    before = autoregressive.load(str(folder))
    (folder / "tokenizer").mkdir()
    (folder / "vqgan.safetensors").rename(folder / "tokenizer" / "vqgan.safetensors")
    (folder / "tokenizer.json").rename(folder / "tokenizer" / "text_tokenizer.json")
    after = autoregressive.load(str(folder))
    assert after.codebook.fingerprint == before.codebook.fingerprint and after.tokenizer.fingerprint == before.tokenizer.fingerprint
    (folder / "tokenizer" / "text_tokenizer.json").unlink()
    with pytest.raises(SourceError, match="has no tokenizer.json \\(nor Chameleon's text_tokenizer.json\\)"):
        autoregressive.load(str(folder))


def test_a_tokenizer_without_codes_is_of_another_model(folder):
    tiny_unitoken.tokenizer_file(folder / "tokenizer.json", codes=range(60))
    with pytest.raises(SourceError, match="has no token for code 60 of the VQGAN's 64: tokenizer and VQGAN are not of one model"):
        load(folder)


def test_control_tokens_are_no_text(saved):
    words = Residency("cpu").load(vlm.load(str(saved)).tokenizer)
    assert words("a<reserved08706>", add_special_tokens=False).input_ids[1:] == [8710]
    assert words.decode([0, 8197, 8196, 8198, 8803, 8710, 1], skip_special_tokens=True) == ""
    assert (words.bos_token_id, words.pad_token_id) == (0, 1)


def test_nonsense_in_the_configs_is_a_sentence_and_leaves_spaces_unknown(folder):
    config, siglip = folder / "config.json", folder / "SigLIP" / "config.json"
    for path, changes, words in (
        (config, {"vq_config": {"resolution": "large"}}, "no sensible `vq_config.resolution`"), (config, {"hidden_size": -2}, "no sensible `hidden_size`"),
        (siglip, {"vision_config": {"hidden_size": 3}}, "SigLIP/config.json does not describe a SigLIP vision tower"),
    ):  # fmt: skip
        before = path.read_text()
        edit(path, **changes)
        assert vlm.load.spec.spaces({"source": str(folder)}) == {}
        if "hidden_size" not in changes:
            with pytest.raises(SourceError, match=words):
                vlm.load(str(folder))
        path.write_text(before)
    assert set(vlm.load.spec.spaces({"source": str(folder)})) == {"V", "E", "K"}


def test_without_a_config_the_vision_tower_is_the_published_one(folder):
    (folder / "SigLIP" / "config.json").unlink()
    part = open_source(str(folder)).component("")
    published = {"hidden_size": 1152, "intermediate_size": 4304, "num_hidden_layers": 27, "num_attention_heads": 16, "image_size": 384, "patch_size": 14}
    assert part.siglip == published
    assert vlm.load.spec.describe(type("Known", (), {"values": {"source": str(folder)}}))["encoder"].shape == (None, 729, 32)


def test_a_lumina_without_vision_is_no_unitoken(folder):
    edit(folder / "config.json", architectures=["ChameleonXLLMXForConditionalGeneration"])
    with pytest.raises(SourceError, match="wants a vision-language model .*UniToken.*is a ChameleonXLLMXForConditionalGeneration"):
        vlm.load(str(folder))


def test_handles_are_told_apart_by_all_that_makes_them(folder):
    before = vlm.load(str(folder))
    assert before.model.fingerprint == before.encoder.fingerprint != before.tokenizer.fingerprint
    edit(folder / "config.json", architectures=[tiny_unitoken.ANYRES])
    after = vlm.load(str(folder))
    assert after.processor.fingerprint != before.processor.fingerprint and after.encoder.fingerprint != before.encoder.fingerprint
    assert autoregressive.load(str(folder)).codebook.fingerprint == codes.load(str(folder)).fingerprint
