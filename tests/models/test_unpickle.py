"""Pickles of weights are read, and what else a pickle may do is refused without being done."""

import io
import os
import pickle
import struct
import subprocess
import sys
import types
import zipfile
from collections import OrderedDict

import numpy as np
import pytest
import torch

from flowmm.models.pickled import Array, Forbidden, Inert, Stored
from flowmm.models.unpickle import read, state_dict
from flowmm.models.weights import SourceError

DALL_E = {"dall_e.encoder.Encoder", "dall_e.utils.Conv2d", "torch.nn.modules.container.Sequential", "torch.nn.modules.activation.ReLU"}


def tree():
    torch.manual_seed(0)
    w = torch.randn(4, 5)
    return {
        "whole": w, "transposed": w.T, "slice": w[1:3], "half": torch.randn(3).half(), "brain": torch.randn(3).bfloat16(), "scalar": torch.tensor(3.0),
        "long": torch.arange(3), "flags": torch.tensor([True, False]), "empty": torch.empty(0, 3), "parameter": torch.nn.Parameter(torch.ones(2)),
        "complex": torch.randn(2, dtype=torch.complex64), "unsigned": torch.arange(3).to(torch.uint16), "eight": torch.randn(4).to(torch.float8_e4m3fn),
    }  # fmt: skip


def facts():
    return {
        "array": np.arange(6.0).reshape(2, 3), "fortran": np.asfortranarray(np.arange(6.0).reshape(2, 3)), "big": np.arange(3, dtype=">i4"),
        "number": np.float64(2.5), "epoch": 3,
        "nested": (1, [2, {3: 4}], None), "state": torch.nn.Linear(2, 3).state_dict(), "size": torch.Size([1, 2]), "device": torch.device("cpu"),
        "dtype": torch.float16,
    }  # fmt: skip


def check(got, tensors):
    for name, tensor in tensors.items():
        back = got[name].tensor()
        assert (back.shape, back.dtype, back.stride()) == (tensor.shape, tensor.dtype, tensor.stride()), name
        assert back.contiguous().reshape(-1).view(torch.uint8).tolist() == tensor.detach().contiguous().reshape(-1).view(torch.uint8).tolist(), name


@pytest.mark.parametrize("protocol", [2, 3, 4, 5])
@pytest.mark.parametrize("zipped", [True, False])
def test_both_formats_of_torch_save_are_read(tmp_path, zipped, protocol):
    tensors = tree()
    torch.save(tensors | facts(), tmp_path / "a.pt", _use_new_zipfile_serialization=zipped, pickle_protocol=protocol)
    got = read(tmp_path / "a.pt")
    check(got, tensors)
    assert torch.equal(got["array"].tensor(), torch.arange(6.0, dtype=torch.float64).reshape(2, 3))
    assert torch.equal(got["fortran"].tensor(), got["array"].tensor()) and got["big"].tensor().tolist() == [0, 1, 2]
    assert (got["number"], got["epoch"], got["nested"], got["size"], got["device"]) == (2.5, 3, (1, [2, {3: 4}], None), (1, 2), "cpu")
    assert type(got["state"]) is OrderedDict and list(got["state"]) == ["weight", "bias"]
    assert got["whole"].storage is got["slice"].storage


@pytest.mark.parametrize("protocol", range(6))
def test_plain_pickles_are_read(tmp_path, protocol):
    tensors = tree()
    (tmp_path / "a.pkl").write_bytes(pickle.dumps(tensors | {"array": np.arange(4)}, protocol=protocol))
    got = read(tmp_path / "a.pkl")
    check(got, tensors)
    assert got["array"].tensor().tolist() == [0, 1, 2, 3]


def test_tensors_are_read_where_torch_reads_them(tmp_path):
    torch.save(tree(), tmp_path / "a.pt")
    theirs = torch.load(tmp_path / "a.pt", weights_only=True)
    check(read(tmp_path / "a.pt"), theirs)


def test_settings_beside_the_weights_become_inert(tmp_path):
    import argparse

    torch.save({"args": argparse.Namespace(lr=0.1, model="DiT"), "w": torch.ones(1)}, tmp_path / "a.pt")
    got = read(tmp_path / "a.pt")
    assert type(got["args"]) is Inert and got["args"].cls == "argparse.Namespace" and got["args"].lr == 0.1


@pytest.fixture
def dall_e(monkeypatch):
    """A package that is there when the pickle is written, and gone when it is read."""
    names = ("dall_e", "dall_e.encoder", "dall_e.utils")
    modules = {name: types.ModuleType(name) for name in names}
    ran = []

    class Conv2d(torch.nn.Module):
        def __init__(self, n_in, n_out):
            super().__init__()
            self.n_in = n_in
            self.w = torch.nn.Parameter(torch.randn(n_out, n_in, 3, 3))
            self.b = torch.nn.Parameter(torch.zeros(n_out))

        def __setstate__(self, state):
            ran.append("Conv2d")
            self.__dict__.update(state)

    class Encoder(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.blocks = torch.nn.Sequential(OrderedDict(input=Conv2d(3, 4), relu=torch.nn.ReLU(), output=Conv2d(4, 8)))
            self.register_buffer("kept", torch.arange(3))
            self.register_buffer("passing", torch.arange(3), persistent=False)

    for cls, module in ((Conv2d, "dall_e.utils"), (Encoder, "dall_e.encoder")):
        cls.__module__, cls.__qualname__ = module, cls.__name__
        setattr(modules[module], cls.__name__, cls)
    for name, module in modules.items():
        monkeypatch.setitem(sys.modules, name, module)
    yield Encoder, ran
    for name in names:
        sys.modules.pop(name, None)


@pytest.mark.parametrize("zipped", [True, False])
def test_a_pickled_module_is_walked_without_its_package(tmp_path, dall_e, zipped):
    make, ran = dall_e
    module = make()
    torch.save(module, tmp_path / "encoder.pkl", _use_new_zipfile_serialization=zipped)
    with pytest.raises(Forbidden, match="`encoder.pkl` names `dall_e.encoder.Encoder`, which no weights need"):
        read(tmp_path / "encoder.pkl")
    for name in ("dall_e", "dall_e.encoder", "dall_e.utils"):
        del sys.modules[name]
    got = read(tmp_path / "encoder.pkl", DALL_E)
    assert type(got) is Inert and got.cls == "dall_e.encoder.Encoder" and got.training is True
    assert got._modules["blocks"]._modules["input"].n_in == 3
    found = state_dict(got)
    assert list(found) == list(module.state_dict()) == ["kept", "blocks.input.w", "blocks.input.b", "blocks.output.w", "blocks.output.b"]
    check(found, module.state_dict())
    assert ran == [] and "dall_e" not in sys.modules


def test_a_stand_in_is_never_called_and_never_imported(tmp_path):
    """Even the most harmful name, allowed by mistake, stays an object that does nothing."""
    (tmp_path / "a.pkl").write_bytes(b"cposix\nsystem\n(S'touch " + str(tmp_path / "done").encode() + b"'\ntR.")
    got = read(tmp_path / "a.pkl", {"posix.system"})
    assert type(got) is Inert and not callable(got) and not (tmp_path / "done").exists()


def reduced(function, *arguments):
    class Trick:
        def __reduce__(self):
            return function, arguments

    return Trick()


def hostile(path):
    """Every way we know to have a pickle run something, and the name it needs."""
    import builtins
    import importlib

    run = f"touch {path}"
    dump = {f"protocol {p}": pickle.dumps({"w": reduced(os.system, run)}, p) for p in range(6)}
    dump |= {
        "eval": pickle.dumps(reduced(eval, f"open({str(path)!r}, 'w')")), "exec": pickle.dumps(reduced(exec, f"open({str(path)!r}, 'w')")),
        "getattr": pickle.dumps(reduced(getattr, OrderedDict, "fromkeys")), "import": pickle.dumps(reduced(importlib.import_module, "os")),
        "__import__": pickle.dumps(reduced(builtins.__import__, "os")), "popen": pickle.dumps(reduced(subprocess.Popen, run)),
        "nested name": b"\x80\x04\x8c\x13torch.serialization\x8c\tos.system\x93\x8c\x01x\x85R.",
        "nested in an allowed module": b"\x80\x04\x8c\x0ctorch._utils\x8c\x09os.system\x93.",
        "name with a space": b"cos system\nx\n.", "os by its other name": b"cposix\nsystem\n(S'x'\ntR.",
        "instance": b"(S'x'\nios\nsystem\n.", "object": b"(cos\nsystem\nS'x'\no.", "newobj": b"\x80\x02cos\nsystem\n\x8c\x01x\x85\x81.",
        "never called": b"\x80\x02cos\nsystem\n0}.", "in a key": b"\x80\x02}cos\nsystem\nK\x01s.",
        "torch.load": b"\x80\x02ctorch.serialization\nload\n\x8c\x01x\x85R.", "hub": b"\x80\x02ctorch.hub\nload\n\x8c\x01x\x85R.",
        "allowed class as function": b"\x80\x02ctorch\nTensor\n\x8c\x01x\x85R.", "storage as function": b"\x80\x02ctorch\nFloatStorage\nK\x05\x85R.",
        "numpy loader": b"\x80\x02cnumpy\nload\n\x8c\x01x\x85R.", "numpy runner": b"\x80\x02cnumpy.testing._private.utils\nrunstring\n\x8c\x01x}\x86R.",
        "_typed": b"\x80\x02ctorch._tensor\n_rebuild_from_type_v2\n(cos\nsystem\nctorch\nTensor\n\x8c\x01x\x85NtR.",
        "control characters": b"cos\x1b[31m\nsystem\n.",
    }  # fmt: skip
    return dump


CASES = sorted(hostile("x"))


@pytest.mark.parametrize("wrapped", ["plain", "zip", "stream"])
@pytest.mark.parametrize("case", CASES)
def test_what_would_run_something_is_refused_and_not_run(tmp_path, case, wrapped, monkeypatch):
    body = hostile(tmp_path / "done")[case]
    path = tmp_path / "a.pt"
    if wrapped == "zip":
        with zipfile.ZipFile(path, "w") as archive:
            archive.writestr("a/data.pkl", body)
    elif wrapped == "stream":
        magic = [pickle.dumps(one, 2) for one in (0x1950A86A20F9469CFC6C, 1001, {"little_endian": True})]
        path.write_bytes(b"".join([*magic, body, pickle.dumps([], 2)]))
    else:
        path.write_bytes(body)
    imported = set(sys.modules)
    monkeypatch.setattr(os, "system", lambda command: pytest.fail(f"ran {command}"))
    with pytest.raises(Forbidden, match="`a.pt` names `.*`, which no weights need: nothing of it was run") as caught:
        read(path)
    assert not (tmp_path / "done").exists() and set(sys.modules) - imported <= {"encodings.cp437"}  # zipfile's own
    assert "\n" not in str(caught.value) and "\x1b" not in str(caught.value)


def test_the_message_gives_the_name(tmp_path):
    (tmp_path / "a.bin").write_bytes(pickle.dumps(reduced(os.system, "x")))
    with pytest.raises(Forbidden) as caught:
        read(tmp_path / "a.bin")
    assert caught.value.name == f"{os.system.__module__}.system" and f"`{os.name}.system`" in str(caught.value)


def expanded(shape, stride, count=1, offset=0):
    """The pickle of a tensor with any shape over a storage of `count` floats that is really there."""
    out = io.BytesIO()
    torch.save(torch.zeros(count), out)
    source = zipfile.ZipFile(out)
    body = source.read("archive/data.pkl")
    start = body.index(b"QK\x00K")  # after the storage: its offset, then shape and stride
    numbers = b"".join(pickle.dumps(one, 2)[2:-1] for one in (offset, tuple(shape), tuple(stride)))
    end = body.index(b"\x89", start)
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w") as archive:
        archive.writestr("archive/data.pkl", body[: start + 1] + numbers + body[end:])
        archive.writestr("archive/data/0", source.read("archive/data/0"))
    return made.getvalue()


def bomb(size):
    """An archive whose storage unpacks to far more than it weighs."""
    made = io.BytesIO()
    out = io.BytesIO()
    torch.save(torch.zeros(1), out)
    with zipfile.ZipFile(made, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("archive/data.pkl", zipfile.ZipFile(out).read("archive/data.pkl"), zipfile.ZIP_STORED)
        archive.writestr("archive/data/0", bytes(size))
    return made.getvalue()


LIST = b"\x80\x02](" + b"K\x01" * 1000 + b"eq\x00"  # a remembered list of a thousand
GREEDY = {
    "a text of 2^62 bytes": b"\x80\x04\x8d" + struct.pack("<Q", 2**62) + b"x.",
    "a number of 2^31 bytes": b"\x80\x02\x8b" + struct.pack("<i", 2**31 - 1) + b"x.",
    "bytes of 2^60": b"\x80\x04\x8e" + struct.pack("<Q", 2**60) + b"x.",
    "a byte array of 2^40": b"\x80\x02cbuiltins\nbytearray\n\x8a\x06" + struct.pack("<Q", 2**40)[:6] + b"\x85R.",
    "a tensor of 2^40 elements": expanded((2**20, 2**20), (0, 0)),
    "a tensor beyond its storage": expanded((100,), (1,)), "an offset beyond": expanded((1,), (1,), 1, 10**9),
    "a negative stride": expanded((2,), (-1,), 4, 3), "a negative size": expanded((-1,), (1,)), "an overflowing size": expanded((2**63, 2**63), (0, 0)),
    "an archive that unpacks": bomb(10**6),
    "one list copied a thousand times": LIST + b"".join(b"cbuiltins\nset\nh\x00\x85R0" for _ in range(1000)) + b".",
    "one list in a thousand dicts": b"\x80\x02](" + b"K\x01K\x01\x86" * 1000 + b"eq\x00" + b"ccollections\nOrderedDict\nh\x00\x85R0" * 1000 + b".",
    "an array of 2^40": b"\x80\x02cnumpy.core.numeric\n_frombuffer\n(\x8c\x01xcnumpy\ndtype\n\x8c\x02f8\x85R\x8a\x06"
    + struct.pack("<Q", 2**40)[:6] + b"\x85\x8c\x01CtR.",
    "a deep key": b"\x80\x02})" + b"\x85" * 200_000 + b"K\x01s.",
    "an array of objects": b"\x80\x02cnumpy.core.numeric\n_frombuffer\n(\x8c\x08xxxxxxxxcnumpy\ndtype\n\x8c\x02O8\x85RK\x01\x85\x8c\x01CtR.",
}  # fmt: skip


@pytest.mark.parametrize("case", sorted(GREEDY))
def test_what_would_fill_the_memory_is_refused(tmp_path, case):
    import tracemalloc

    (tmp_path / "a.pt").write_bytes(GREEDY[case])
    tracemalloc.start()
    try:
        with pytest.raises(SourceError, match="`a.pt` holds no weights that can be read: ") as caught:
            read(tmp_path / "a.pt")
        assert tracemalloc.get_traced_memory()[1] < 50 << 20 and "\n" not in str(caught.value)
    finally:
        tracemalloc.stop()


def test_a_deep_pickle_is_read_without_recursion(tmp_path):
    (tmp_path / "a.pkl").write_bytes(b"\x80\x02)" + b"\x85" * 200_000 + b".")
    assert isinstance(read(tmp_path / "a.pkl"), tuple)


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "it is empty"),
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:1\n", "is a Git LFS pointer"),
        (b"<!DOCTYPE html><html>", "is a web page, not weights"),
        (b"\x89PNG\r\n", "neither an archive of torch.save nor a pickle"),
        (b"PK\x03\x04 and then nothing", "its archive is cut short"),
        (b"\x80\x02}q\x00(", "cut short or damaged"),
        (b"\x80\x02.", "cut short or damaged"),
        (bytes(257) + b"ustar" + bytes(300), "tar format of PyTorch before 0.2"),
        (b"\x80\x02\x82\x01.", "the instruction EXT1 belongs in no weights"),
        (b"\x80\x02PX\n.", "the instruction PERSID belongs in no weights"),
    ],
)
def test_other_files_are_named_for_what_they_are(tmp_path, content, words):
    (tmp_path / "a.bin").write_bytes(content)
    with pytest.raises(SourceError, match=words):
        read(tmp_path / "a.bin")


@pytest.mark.parametrize("zipped", [True, False])
def test_a_file_cut_anywhere_is_refused(tmp_path, zipped):
    torch.save(tree(), tmp_path / "a.pt", _use_new_zipfile_serialization=zipped)
    whole = (tmp_path / "a.pt").read_bytes()
    for length in range(0, len(whole), max(len(whole) // 60, 1)):
        (tmp_path / "b.pt").write_bytes(whole[:length])
        with pytest.raises(SourceError):
            read(tmp_path / "b.pt")


@pytest.mark.parametrize("seed", range(3))
def test_a_file_with_changed_bytes_is_read_or_refused_and_never_crashes(tmp_path, seed):
    import random

    torch.save({"w": torch.randn(3), "n": np.arange(3)}, tmp_path / "a.pt", _use_new_zipfile_serialization=seed == 0)
    whole = (tmp_path / "a.pt").read_bytes()
    chance = random.Random(seed)
    for _ in range(150):
        damaged = bytearray(whole)
        for _ in range(chance.randint(1, 4)):
            damaged[chance.randrange(len(whole))] = chance.randrange(256)
        (tmp_path / "b.pt").write_bytes(damaged)
        try:
            got = read(tmp_path / "b.pt")
            for value in got.values() if isinstance(got, dict) else ():
                if isinstance(value, (Stored, Array)):
                    value.tensor().clone()
        except SourceError:
            pass


def test_a_torchscript_program_is_refused(tmp_path):
    class Twice(torch.nn.Module):
        def forward(self, x):
            return x * 2

    torch.jit.trace(Twice(), torch.ones(1)).save(str(tmp_path / "a.pt"))
    with pytest.raises(SourceError, match="is a TorchScript program, not weights"):
        read(tmp_path / "a.pt")


def test_reading_needs_no_torch(tmp_path):
    torch.save({"w": torch.ones(2)}, tmp_path / "a.pt")
    code = "import sys; from pathlib import Path; from flowmm.models.unpickle import read; "
    code += f"print(read(Path({str(tmp_path / 'a.pt')!r}))['w'].shape, 'torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.strip() == "(2,) False"
