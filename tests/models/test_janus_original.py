"""Janus as deepseek publishes it: the same network as transformers' layout, and what is not whole is said."""

import json
import shutil
import subprocess
import sys

import pytest
import tiny_janus
import torch
from safetensors.torch import load_file, save_file

import flowmm
from flowmm.models.convert import convert
from flowmm.models.residency import Residency
from flowmm.models.source import SourceError, open_source
from flowmm.nodes import autoregressive, codes, tokens, vlm
from flowmm.nodes._families import family_of
from flowmm.sockets import Text


@pytest.fixture(scope="session")
def transformed(tmp_path_factory):
    """The model in transformers' layout."""
    return tiny_janus.save(tmp_path_factory.mktemp("transformers"))


@pytest.fixture(scope="session", params=[1, 3], ids=["single", "sharded"])
def original(tmp_path_factory, request):
    return tiny_janus.save_original(tmp_path_factory.mktemp("deepseek") / "janus", shards=request.param)


@pytest.fixture(scope="session")
def whole(tmp_path_factory):
    return tiny_janus.save_original(tmp_path_factory.mktemp("whole") / "janus")


@pytest.fixture
def copy(whole, tmp_path):
    """One that a test may damage."""
    return shutil.copytree(whole, tmp_path / "janus")


@pytest.fixture(scope="module")
def runtime():
    made = flowmm.Runtime("cpu", cache=None, threads=1)
    yield made
    made.close()


def edit(path, **changes):
    content = json.loads(path.read_text()) | changes
    path.write_text(json.dumps({name: value for name, value in content.items() if value is not ...}))


def change(folder, work):
    """Its tensors, changed by a function."""
    held = load_file(folder / "model.safetensors")
    work(held)
    save_file(held, folder / "model.safetensors", {"format": "pt"})


def load(folder, dtype="float32"):
    return Residency("cpu", dtype=dtype).load(vlm.load(str(folder)).model)


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_every_weight_is_that_of_transformers_layout(original, transformed, dtype):
    mine, theirs = load(original, dtype), load(transformed, dtype)
    assert type(mine) is type(theirs) and mine.dtype == theirs.dtype == getattr(torch, dtype)
    mine, theirs = mine.state_dict(), theirs.state_dict()
    assert mine.keys() == theirs.keys() and all(torch.equal(mine[name], theirs[name]) for name in theirs)


def test_the_config_is_the_one_transformers_has(original, transformed):
    mine, theirs = load(original).config.to_dict(), load(transformed).config.to_dict()
    for part in ("text_config", "vision_config", "vq_config"):
        names = (set(mine[part]) & set(theirs[part])) - {"dtype", "architectures", "transformers_version", "_name_or_path"}
        assert len(names) > 15 and {name: mine[part][name] for name in names} == {name: theirs[part][name] for name in names}
    assert mine["image_token_id"] == theirs["image_token_id"] and mine["tie_word_embeddings"] is False


def test_logits_are_equal_for_words_and_for_codes(original, transformed):
    from transformers import JanusForConditionalGeneration

    mine, theirs = load(original), JanusForConditionalGeneration.from_pretrained(transformed, dtype=torch.float32).eval()
    text = f"<|User|>: {tiny_janus.PICTURE}\nwhat?\n\n<|Assistant|>:"
    read = tiny_janus.processor()(text=text, images=torch.rand(3, 40, 30), return_tensors="pt", do_rescale=False)
    with torch.no_grad():
        assert torch.equal(mine(**read).logits, theirs(**read).logits)
        embeds = [model.prepare_embeddings_for_image_generation(torch.arange(9)[None]) for model in (mine, theirs)]
        heads = [model.model.generation_head(one) for model, one in zip((mine, theirs), embeds)]
        assert torch.equal(*heads) and torch.equal(*(model.decode_image_tokens(torch.arange(16)[None]) for model in (mine, theirs)))


def test_the_saved_graphs_do_the_same_with_either(original, transformed, runtime):
    asked = {"image": torch.randint(0, 256, (40, 57, 3), dtype=torch.uint8, generator=torch.Generator().manual_seed(0)).numpy(), "question": "what?", "most": 8}
    drawn = {"prompt": "a red circle", "seed": 5}
    for name, inputs, output in (("ask", asked, "answer"), ("text-to-image-codes", drawn, "image")):
        mine, theirs = (getattr(flowmm.load(name).run(inputs | {"model": str(folder)}, runtime=runtime), output) for folder in (original, transformed))
        assert mine == theirs


def test_the_tokenizer_reads_as_transformers_does(whole, transformed):
    texts = Text(("hello", f"<|User|>: {tiny_janus.BEGIN} x {tiny_janus.END}\n\n<|Assistant|>:", "你好", ""))
    mine, theirs = (tokens.encode(vlm.load(str(folder)).tokenizer, texts) for folder in (whole, transformed))
    assert torch.equal(mine.ids, theirs.ids) and torch.equal(mine.mask, theirs.mask)
    first = tiny_janus.tokenizer().bos_token_id
    assert all(row[mask.bool()][0] == first for row, mask in zip(mine.ids, mine.mask))
    assert tokens.decode(vlm.load(str(whole)).tokenizer, mine).lines == ("hello", ":  x \n\n:", "你好", "")


def test_a_tokenizer_without_tokens_for_the_speakers_names_them_as_the_first_janus_did(tmp_path):
    parts = autoregressive.load(str(tiny_janus.save_original(tmp_path, roles=False)))
    prompt = autoregressive.picture_prompt(parts.tokenizer, Text(("a cat",)))
    words = tiny_janus.tokenizer(roles=False)
    assert words.decode(prompt.ids[0]) == f"{tiny_janus.BOS}User: a cat\n\nAssistant:{tiny_janus.BEGIN}"


def test_sizes_a_config_leaves_out_are_llamas(copy):
    """As in that of Janus-Pro-7B."""
    config = json.loads((copy / "config.json").read_text())
    edit(copy / "config.json", language_config={name: config["language_config"][name] for name in ("model_type", "vocab_size", "max_position_embeddings")})
    spaces = vlm.load.spec.spaces({"source": str(copy)})
    assert dict(spaces["E"].facts)["width"] == 4096 and dict(spaces["K"].facts) == {"size": 64, "width": 8, "factor": 8}
    with pytest.raises(SourceError, match="where the config wants .*: config and weights are not of one model"):
        load(copy)


def test_pickles_are_refused_and_open_once_they_are_converted(whole, copy, transformed, tmp_path):
    held = load_file(copy / "model.safetensors")
    (copy / "model.safetensors").unlink()
    torch.save(held, copy / "pytorch_model.bin")
    for node in (vlm.load, autoregressive.load, codes.load):
        with pytest.raises(SourceError, match="pickled weights only.*`flowmm models convert .*janus`") as caught:
            node(str(copy))
        assert "\n" not in str(caught.value)
    made = convert(copy, tmp_path / "made")
    assert [path.name for path in made.written] == ["model.safetensors"]
    mine, theirs = load(made.source).state_dict(), load(transformed).state_dict()
    assert all(torch.equal(mine[name], theirs[name]) for name in theirs)


@pytest.mark.parametrize(
    ("work", "words"),
    [
        (lambda held: held.pop("language_model.model.norm.weight"), r"lacks 1 tensors \(model.language_model.norm.weight\): it is no whole Janus checkpoint"),
        (lambda held: held.pop("gen_head.vision_head.bias"), "lacks 1 tensors .model.generation_head.vision_head.bias"),
        (lambda held: held.pop("vision_model.vision_tower.blocks.1.attn.qkv.weight"), r"lacks 3 tensors \(.*k_proj.weight, .*q_proj.weight, .*v_proj.weight\)"),
        (lambda held: held.update({"language_model.model.layers.7.mlp.up_proj.weight": torch.zeros(2)}), "has, beside what Janus is made of, 1 tensors"),
        (lambda held: held.update({"extra.weight": torch.zeros(2)}), r"has, beside what Janus is made of, 1 tensors \(extra.weight\)"),
        (lambda held: held.update({"gen_embed.weight": torch.zeros(64, 9)}), "gen_embed.weight makes a 64×9 .* where the config wants 64×8"),
    ],
)
def test_tensors_that_do_not_match_are_named(copy, work, words):
    change(copy, work)
    with pytest.raises(SourceError, match=words) as caught:
        load(copy)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("name", ["gen_vision_model.quantize.embedding.weight", "aligner.layers.0.weight", "vision_model.vision_tower.patch_embed.proj.weight"])
def test_what_sizes_are_read_off_must_be_there_before_anything_loads(copy, name):
    change(copy, lambda held: held.pop(name))
    with pytest.raises(SourceError, match=f"has no {name}: it is no whole Janus checkpoint"):
        vlm.load(str(copy))


def test_a_shard_that_is_cut_short_or_missing_is_said(tmp_path):
    folder = tiny_janus.save_original(tmp_path / "janus", shards=2)
    shard = folder / "model-00002-of-00002.safetensors"
    content = shard.read_bytes()
    shard.write_bytes(content[:-10])
    with pytest.raises(SourceError, match="model-00002-of-00002.safetensors is cut short or damaged; download it again"):
        vlm.load(str(folder))
    shard.unlink()
    with pytest.raises(SourceError, match="lacks 1 of its 2 weight files .*the download is unfinished"):
        vlm.load(str(folder))


def test_other_models_in_this_layout_are_not_taken_for_janus(copy):
    """DeepSeek-VL has no drawing parts, JanusFlow others."""
    edit(copy / "config.json", gen_vision_config=...)
    with pytest.raises(SourceError, match="a MultiModalityCausalLM without gen_vision_config, so neither Janus nor Janus-Pro"):
        vlm.load(str(copy))
    assert vlm.load.spec.spaces({"source": str(copy)}) == {}


@pytest.mark.parametrize(
    ("file", "node", "words"),
    [
        ("tokenizer.json", vlm.load, "the tokenizer of .* has no vocabulary file: the folder is incomplete"),
        ("tokenizer.json", codes.load, "has no tokenizer.json: the folder is incomplete"),
        ("preprocessor_config.json", vlm.load, "has no preprocessor_config.json: the folder is incomplete"),
        ("model.safetensors", codes.load, "has no weights"),
    ],
)
def test_missing_files_are_said(copy, file, node, words):
    (copy / file).unlink()
    with pytest.raises(SourceError, match=words):
        node(str(copy))


def test_a_tokenizer_of_another_model_is_said(copy):
    told = json.loads((copy / "tokenizer.json").read_text())
    told["added_tokens"] = [token for token in told["added_tokens"] if token["content"] != tiny_janus.PICTURE]
    (copy / "tokenizer.json").write_text(json.dumps(told))
    with pytest.raises(SourceError, match="has no <image_placeholder>: it is not the tokenizer of a Janus model"):
        load(copy)


def test_another_weight_or_vocabulary_is_another_fingerprint(copy):
    def print_of():
        return vlm.load(str(copy)).model.fingerprint

    first = print_of()
    change(copy, lambda held: held["gen_embed.weight"].add_(1))
    second = print_of()
    edit(copy / "tokenizer.json", truncation=None, padding=None, version="1.1")
    assert len({first, second, print_of()}) == 3


def test_the_memory_predicted_is_that_of_the_network(whole):
    held = sum(p.numel() * 4 for p in load(whole).parameters())
    left_out = (32 + 64 * 32 + 65536) * 4  # SigLIP's pooling and a counter, which are in the file only
    assert open_source(str(whole)).component("").weights.loaded_bytes == held + left_out


def test_reading_it_imports_no_library(whole):
    code = (
        f"import sys; from flowmm.nodes import vlm, autoregressive; source = {str(whole)!r}; "
        "assert set(vlm.load.spec.spaces({'source': source})) == set('VEK'); autoregressive.load(source); "
        "print([m for m in ('torch', 'transformers', 'diffusers', 'safetensors', 'numpy') if m in sys.modules])"
    )
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.strip() == "[]"


def test_both_layouts_are_one_family(whole, transformed):
    assert family_of(vlm.load(str(whole)).model) is family_of(vlm.load(str(transformed)).model)
    mine, theirs = (vlm.load.spec.spaces({"source": str(folder)}) for folder in (whole, transformed))
    assert all(not mine[name].differences(theirs[name]) for name in "VEK")
