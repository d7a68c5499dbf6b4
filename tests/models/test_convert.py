"""Pickled weights become safetensors: equal, complete, once, and whatever is no tensor is left out and said."""

import argparse
import json
import os
import pickle
import shutil

import numpy as np
import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file
from typer.testing import CliRunner

from flowmm.face.models_cli import app
from flowmm.models import convert as converting
from flowmm.models import shelf
from flowmm.models.convert import Layout, Taken, convert
from flowmm.models.source import open_source
from flowmm.models.unpickle import Forbidden, Inert, state_dict
from flowmm.models.weights import SourceError


def flowmm(*arguments):
    return CliRunner().invoke(app, list(map(str, arguments)))


def same(one, other):
    assert set(one) == set(other)
    for name in one:
        left, right = one[name].detach().contiguous(), other[name].detach().contiguous()
        assert (left.shape, left.dtype) == (right.shape, right.dtype), name
        assert left.reshape(-1).view(torch.uint8).tolist() == right.reshape(-1).view(torch.uint8).tolist() if left.numel() else True, name


def pickled(folder):
    """A model's folder as it was saved before safetensors: the same weights, as pickles."""
    for path in sorted(folder.rglob("*.safetensors")):
        name = "pytorch_model.bin" if path.name == "model.safetensors" else path.name.replace(".safetensors", ".bin")
        torch.save(load_file(path), path.with_name(name))
        path.unlink()
    return folder


@pytest.mark.parametrize("ending", ["bin", "pt", "pth", "ckpt", "pkl"])
def test_a_state_dict_becomes_one_file_with_equal_tensors(tmp_path, own_home, ending):
    torch.manual_seed(0)
    w = torch.randn(4, 5)
    tensors = {
        "w": w, "tied": w, "turned": w.T, "part": w[1:3], "nan": torch.tensor(float("nan")), "none": torch.empty(0, 3),
        "half": torch.randn(3).bfloat16(), "n": torch.arange(3),
    }  # fmt: skip
    torch.save(tensors, tmp_path / f"mine.{ending}")
    made = convert(tmp_path / f"mine.{ending}")
    assert made.written == (own_home / "models" / "converted" / "mine" / "mine.safetensors",) and made.source == str(made.written[0])
    same(load_file(made.written[0]), tensors)
    assert [one.name for one in made.folder.iterdir()] == ["mine.safetensors"] and made.dropped == ()


def test_numpy_arrays_are_tensors_too(tmp_path):
    arrays = {"a": np.arange(6, dtype=np.float32).reshape(2, 3), "b": np.asfortranarray(np.arange(4.0).reshape(2, 2))}
    (tmp_path / "x.pkl").write_bytes(pickle.dumps(arrays))
    same(load_file(convert(tmp_path / "x.pkl").written[0]), {name: torch.from_numpy(np.ascontiguousarray(array)) for name, array in arrays.items()})


def test_what_is_no_tensor_is_left_out_and_listed_and_plain_facts_are_kept(tmp_path):
    model = torch.nn.Linear(2, 3)
    model(torch.ones(1, 2)).sum().backward()
    optimizer = torch.optim.Adam(model.parameters())
    optimizer.step()
    torch.save({"epoch": 12, "state_dict": model.state_dict(), "optimizer": optimizer.state_dict(), "args": argparse.Namespace(lr=1)}, tmp_path / "last.ckpt")
    made = convert(tmp_path / "last.ckpt")
    same(load_file(made.written[0]), model.state_dict())
    assert made.dropped == ("last.ckpt: optimizer (dict of 2)", "last.ckpt: args (argparse.Namespace)")
    with safe_open(made.written[0], "pt") as file:
        assert file.metadata() == {"format": "pt", "epoch": "12"}


def test_the_averaged_weights_of_a_training_are_preferred(tmp_path):
    torch.save({"model": {"w": torch.zeros(2)}, "ema": {"w": torch.ones(2)}, "opt": {}}, tmp_path / "dit.pt")
    made = convert(tmp_path / "dit.pt")
    assert load_file(made.written[0])["w"].tolist() == [1, 1] and made.dropped == ("dit.pt: model (dict of 1)", "dit.pt: opt (dict of 0)")


def test_a_transformers_folder_is_converted_whole_and_opens(tmp_path, clip_folder, own_home):
    before = load_file(clip_folder / "model.safetensors")
    pickled(clip_folder)
    with pytest.raises(SourceError, match="pickled weights only"):
        open_source(str(clip_folder)).component("").weights
    torch.save({"lr": 1}, clip_folder / "training_args.bin")
    made = convert(clip_folder)
    assert made.folder == own_home / "models" / "converted" / "clip" and made.source == str(made.folder)
    same(load_file(made.folder / "model.safetensors"), before)
    others = {one.name for one in clip_folder.iterdir()} - {"pytorch_model.bin", "training_args.bin"}
    assert {one.name for one in made.folder.iterdir()} == others | {"model.safetensors"}
    assert made.dropped == ("training_args.bin (no weights of this model, or safetensors already)",)
    assert open_source(str(made.folder)).component("").weights.files == (made.folder / "model.safetensors",)
    from transformers import CLIPModel

    same(CLIPModel.from_pretrained(made.folder, local_files_only=True).state_dict(), CLIPModel.from_pretrained(clip_folder, local_files_only=True).state_dict())


def test_a_pipeline_folder_is_converted_component_by_component(diffusion_folder, tmp_path):
    shutil.copytree(diffusion_folder, tmp_path / "before")
    torch.save({"w": torch.ones(1)}, diffusion_folder / "v1-5-pruned.ckpt")
    for part in ("unet", "text_encoder"):
        pickled(diffusion_folder / part)
    made = convert(diffusion_folder, tmp_path / "out")
    written = sorted(one.relative_to(tmp_path / "out").as_posix() for one in made.written)
    assert written == ["text_encoder/model.safetensors", "unet/diffusion_pytorch_model.safetensors"]
    assert made.dropped == ("v1-5-pruned.ckpt (no weights of this model, or safetensors already)",)
    there = {one.relative_to(tmp_path / "before") for one in (tmp_path / "before").rglob("*")}
    assert {one.relative_to(tmp_path / "out") for one in (tmp_path / "out").rglob("*")} == there
    source, old = open_source(str(tmp_path / "out")), open_source(str(tmp_path / "before"))
    for part in ("unet", "vae", "text_encoder"):
        same(load_file(source.component(part).weights.files[0]), load_file(old.component(part).weights.files[0]))


def test_shards_keep_their_index(tmp_path):
    folder = tmp_path / "big"
    folder.mkdir()
    (folder / "config.json").write_text('{"architectures": ["CLIPModel"]}')
    shards = {"pytorch_model-00001-of-00002.bin": {"a": torch.ones(2), "b": torch.zeros(3)}, "pytorch_model-00002-of-00002.bin": {"c": torch.arange(4)}}
    for name, tensors in shards.items():
        torch.save(tensors, folder / name)
    places = {name: shard for shard, tensors in shards.items() for name in tensors}
    (folder / "pytorch_model.bin.index.json").write_text(json.dumps({"metadata": {"total_size": 52}, "weight_map": places}))
    made = convert(folder)
    index = json.loads((made.folder / "model.safetensors.index.json").read_text())
    assert index["metadata"] == {"total_size": 52}
    assert index["weight_map"] == {"a": "model-00001-of-00002.safetensors", "b": "model-00001-of-00002.safetensors", "c": "model-00002-of-00002.safetensors"}
    assert len(open_source(str(made.folder)).component("").weights.files) == 2
    assert not list(made.folder.glob("*.bin*"))
    (folder / "pytorch_model-00002-of-00002.bin").unlink()
    with pytest.raises(SourceError, match="lists c, which is in no shard here: the download is unfinished"):
        convert(folder, tmp_path / "again")
    assert not (tmp_path / "again").exists()


def test_variants_keep_their_name(tmp_path):
    (tmp_path / "m").mkdir()
    torch.save({"w": torch.ones(1)}, tmp_path / "m" / "pytorch_model.fp16.bin")
    torch.save({"w": torch.ones(1)}, tmp_path / "m" / "author.v2.pth")
    made = convert(tmp_path / "m", tmp_path / "out")
    assert [one.name for one in made.written] == ["model.fp16.safetensors"] and "author.v2.pth" in made.dropped[0]
    assert converting.renamed("author.v2.pth") == "author.v2.safetensors"
    assert converting.renamed("diffusion_pytorch_model-00001-of-00002.bin") == "diffusion_pytorch_model-00001-of-00002.safetensors"


def test_a_hostile_pickle_leaves_nothing_behind(tmp_path, own_home):
    class Trick:
        def __reduce__(self):
            return os.system, (f"touch {tmp_path / 'done'}",)

    folder = tmp_path / "evil"
    folder.mkdir()
    torch.save({"w": torch.ones(1), "x": Trick()}, folder / "pytorch_model.bin")
    with pytest.raises(Forbidden, match=r"`pytorch_model.bin` names `\w+.system`"):
        convert(folder)
    assert not (tmp_path / "done").exists() and list((own_home / "models").rglob("*.*")) == []
    done = flowmm("convert", folder)
    assert done.exit_code == 1 and "error: `pytorch_model.bin` names" in done.output and done.output.strip().count("\n") == 1  # and the line of progress


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ({"a": 1}, r"`x.pt` holds no state dict that flowmm knows \(a dict of a\)"),
        ([torch.ones(1)], r"holds no state dict that flowmm knows \(it \(list of 1\)\)"),
        (torch.ones(1), "holds no state dict that flowmm knows"),
        ({"w": torch.ones(1, dtype=torch.complex128)}, "`w` is complex128, which safetensors cannot hold"),
    ],
)
def test_what_is_no_state_dict_is_refused(tmp_path, content, words):
    torch.save(content, tmp_path / "x.pt")
    with pytest.raises(SourceError, match=words) as caught:
        convert(tmp_path / "x.pt", tmp_path / "out")
    assert "\n" not in str(caught.value) and not (tmp_path / "out").exists() and [one.name for one in tmp_path.iterdir()] == ["x.pt"]


def test_nothing_is_overwritten_and_absent_or_done_things_are_said(tmp_path):
    torch.save({"w": torch.ones(1)}, tmp_path / "x.pt")
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "mine").write_text("kept")
    with pytest.raises(SourceError, match="out` is there already; remove it"):
        convert(tmp_path / "x.pt", tmp_path / "out")
    assert (tmp_path / "out" / "mine").read_text() == "kept"
    with pytest.raises(SourceError, match="there is no file or folder"):
        convert(tmp_path / "nothing.pt")
    made = convert(tmp_path / "x.pt")
    with pytest.raises(SourceError, match="is safetensors already"):
        convert(made.written[0])
    with pytest.raises(SourceError, match="there is nothing to convert"):
        convert(made.folder)


def test_too_small_a_disk_is_said_first(tmp_path, monkeypatch):
    torch.save({"w": torch.ones(1)}, tmp_path / "x.pt")
    monkeypatch.setattr(shutil, "disk_usage", lambda path: shutil._ntuple_diskusage(10**9, 10**9, 10**6))
    with pytest.raises(SourceError, match="converting `x.pt` needs .* and the disk of .* has 1.0 MB free"):
        convert(tmp_path / "x.pt")


def test_a_result_that_reads_back_differently_is_thrown_away(tmp_path, monkeypatch):
    import safetensors.torch

    torch.save({"w": torch.ones(4)}, tmp_path / "x.pt")
    true = safetensors.torch.save_file
    monkeypatch.setattr(safetensors.torch, "save_file", lambda tensors, path, metadata: true({"w": tensors["w"] * 2}, path, metadata))
    with pytest.raises(SourceError, match="did not read back as it was written"):
        convert(tmp_path / "x.pt", tmp_path / "out")
    assert [one.name for one in tmp_path.iterdir()] == ["x.pt"]


def test_the_command_says_what_to_type_next_and_ls_and_rm_know_the_result(tmp_path, clip_folder, own_home):
    done = flowmm("convert", pickled(clip_folder))
    made = own_home / "models" / "converted" / "clip"
    assert done.exit_code == 0 and f"read back and equal; use it as --model {made}" in done.output
    rows = {row["name"]: row for row in json.loads(flowmm("ls", "--json").output)}
    assert (rows[str(made)]["kind"], rows[str(made)]["class"]) == ("converted", "CLIPModel")
    torch.save({"w": torch.ones(1)}, tmp_path / "x.pt")
    single = convert(tmp_path / "x.pt").written[0]
    assert str(single) in {entry.name for entry in shelf.entries()}
    assert flowmm("rm", made, "--yes").exit_code == 0 and flowmm("rm", single, "--yes").exit_code == 0
    assert not made.exists() and not single.parent.exists()


def test_a_pulled_model_of_pickles_is_converted_where_it_lies(tmp_path, own_home, monkeypatch, clip_folder):
    import stub_hub

    from flowmm.models import snapshots

    stub = stub_hub.StubHub()
    monkeypatch.setenv("HF_ENDPOINT", stub.url)
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", False)
    before = load_file(clip_folder / "model.safetensors")
    pickled(clip_folder)
    stub.add("org/old", {one.name: one.read_bytes() for one in clip_folder.iterdir()})
    pulled = flowmm("pull", "org/old", "--pickles", "--yes")
    stub.stop()
    assert pulled.exit_code == 0 and "now type: flowmm models convert hf:org/old" in pulled.output
    done = flowmm("convert", "hf:org/old")
    assert done.exit_code == 0 and "use it as --model hf:org/old" in done.output
    folder = snapshots.resolve("hf:org/old")
    same(load_file(folder / "model.safetensors"), before)
    assert open_source("hf:org/old").component("").weights.files == (folder / "model.safetensors",)
    assert (folder / "pytorch_model.bin").is_file()  # what was pulled stays as it was


def test_another_layout_is_a_line_in_layouts(tmp_path, monkeypatch):
    """As OpenAI's dVAE will be: a pickled module of a package that is not installed, with a config of our own beside it."""
    module = torch.nn.Sequential(torch.nn.Linear(2, 3))
    torch.save(module, tmp_path / "encoder.pkl")
    with pytest.raises(Forbidden, match="torch.nn.modules.linear.Linear"):
        convert(tmp_path / "encoder.pkl")

    def take(tree):
        if not isinstance(tree, Inert) or tree.cls != "torch.nn.modules.container.Sequential":
            return None
        return Taken(state_dict(tree), target="encoder/model.safetensors", files={"config.json": b'{"architectures": ["Encoder"]}'})

    classes = frozenset({"torch.nn.modules.container.Sequential", "torch.nn.modules.linear.Linear"})
    monkeypatch.setattr(converting, "LAYOUTS", [*converting.LAYOUTS, Layout("sequential", take, classes)])
    made = convert(tmp_path / "encoder.pkl")
    same(load_file(made.folder / "encoder" / "model.safetensors"), module.state_dict())
    assert (made.folder / "encoder" / "config.json").read_text() == '{"architectures": ["Encoder"]}'
