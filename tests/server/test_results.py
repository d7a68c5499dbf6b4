"""Results by content: what was put comes back, once, whole, and never leaves a half."""

from __future__ import annotations

import json
import math
import os
import subprocess
import sys
import tempfile
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import msgpack
import numpy as np
import pytest
from hypothesis import given, settings

from flowmm.server.results import Damaged, Results
from flowmm.sockets import HeatMap, Image, Labels, Mask, Score, Seed, Text
from flowmm.store import objects
from flowmm.store.codec import encode
from flowmm.store.keys import digest

sys.path.insert(0, str(Path(__file__).parent.parent / "store"))  # values of every kind
import plain_values  # noqa: E402


def picture(seed: int = 0) -> Image:
    return Image(np.random.default_rng(seed).integers(0, 256, (2, 3, 16, 24), "u1"))


def files(folder: Path) -> list[Path]:
    return [path for path in folder.rglob("*") if path.is_file()]


@pytest.fixture
def results(tmp_path) -> Results:
    return Results(tmp_path / "results")


@settings(max_examples=200, deadline=None)
@given(plain_values.values)
def test_every_kind_of_value_comes_back_as_it_was_under_the_digest_of_its_content(value):
    with tempfile.TemporaryDirectory() as folder:
        results = Results(Path(folder))
        stored = results.put(value)
        assert stored.key == digest(value).hex()
        back = results.get(stored.key)
        assert plain_values.kinds(back) == plain_values.kinds(value) and digest(back) == digest(value)
        assert results.put(encode(value)) == stored, "what a worker hands over encoded is the same value"
        assert results.size() == (1, stored.bytes) and [path.stat().st_size for path in files(Path(folder))] == [stored.bytes]
        json.loads(json.dumps(stored.summary, allow_nan=False))
        assert len(msgpack.packb(stored.summary)) < 20_000 and isinstance(stored.type, str)


@pytest.mark.parametrize("value, kind, summary", [
    (picture(), "Image", {"count": 2, "width": 24, "height": 16}),
    (Mask(np.zeros((1, 1, 4, 5), "f4")), "Mask", {"count": 1, "width": 5, "height": 4}),
    (Text(("x" * 150, "y" * 150)), "Text", {"count": 2, "length": 300, "text": "x" * 150 + "\n" + "y" * 49}),
    (Text(("half \ud800",)), "Text", {"count": 1, "length": 6, "text": "half ?"}),
    (Seed(2**53 - 1), "Seed", {"value": 2**53 - 1}),
    (Score(np.array([[1, np.nan]]), rows=("a",), columns=("b", "c")), "Score", {"shape": [1, 2], "rows": ["a"], "columns": ["b", "c"], "values": [[1.0, None]]}),
    (Score(np.zeros((11, 10))), "Score", {"shape": [11, 10], "rows": [], "columns": []}),
    (Labels((tuple("abcdefg"),), np.full((1, 7), 0.25)), "Labels", {"count": 1, "best": [[{"label": name, "probability": 0.25} for name in "abcde"]]}),
    (HeatMap(np.zeros((1, 2, 3), "f4")), "HeatMap", {"fields": {"values": {"shape": [1, 2, 3], "dtype": "float32"}}}),
    ([picture(), picture(1)], "list[Image]", {"count": 2, "items": [{"count": 2, "width": 24, "height": 16}] * 2}),
    ([1, "a"], "list", {"count": 2, "items": [{"value": 1}, {"value": "a", "length": 1}]}),
    ([], "list", {"count": 0, "items": []}),
    (True, "bool", {"value": True}),
    (7, "int", {"value": 7}),
    (10**5000, "int", {"value": "an integer of 16,610 bits"}),
    (0.5, "float", {"value": 0.5}),
    (math.inf, "float", {"value": "inf"}),
    ("word", "str", {"value": "word", "length": 4}),
    (None, "None", {"value": None}),
    ({"a": 1, 2: 3}, "dict", {"count": 2, "keys": ["a"]}),
    (Path("a/b"), "Path", {"value": "a/b"}),
], ids=lambda part: part if isinstance(part, str) and part.isalpha() else "")  # fmt: skip
def test_a_list_and_the_gallery_can_say_what_a_value_is(results, value, kind, summary):
    stored = results.put(value)
    assert (stored.type, stored.summary) == (kind, summary)


def test_the_same_value_put_by_many_at_once_is_one_file(results):
    with ThreadPoolExecutor(8) as pool:
        stored = list(pool.map(lambda _: results.put(picture()), range(24)))
    assert len(set(one.key for one in stored)) == 1
    assert results.size() == (1, stored[0].bytes) and len(files(results.folder)) == 1


def test_the_python_client_gets_the_file_as_it_is(results):
    stored = results.put(picture())
    data = results.encoded(stored.key)
    assert len(data) == stored.bytes
    (encoded,) = objects.unpack(bytes.fromhex(stored.key), data)
    assert encoded.decode() == picture()


@pytest.mark.parametrize("key", ["", "0" * 40, "../" + "0" * 37, "0" * 39 + "G", "A" * 40, "0" * 39 + "\n", "é" * 40, None, 5])
def test_what_is_not_here_or_no_key_is_a_key_error(results, key):
    results.put(picture())
    for ask in (results.get, results.encoded):
        with pytest.raises(KeyError):
            ask(key)


@pytest.mark.parametrize("harm", [lambda data: data[:-1], lambda data: b"", lambda data: data[:100] + bytes([data[100] ^ 1]) + data[101:]])
def test_a_damaged_file_is_told_and_replaced_when_the_value_comes_again(results, harm):
    stored = results.put(picture())
    (path,) = files(results.folder)
    path.write_bytes(harm(path.read_bytes()))
    for ask in (results.get, results.encoded):
        with pytest.raises(Damaged, match="was damaged on disk .* run its graph again"):
            ask(stored.key)
    assert results.put(picture()) == stored and results.get(stored.key) == picture()


def test_another_values_file_under_this_name_is_damage(results):
    one, two = results.put(picture(1)), results.put(picture(2))
    path = objects.name_of(results.folder, bytes.fromhex(one.key))
    path.write_bytes(objects.name_of(results.folder, bytes.fromhex(two.key)).read_bytes())
    with pytest.raises(Damaged, match="another key"):
        results.get(one.key)


@pytest.mark.parametrize("value", [object(), [lambda: 0], {"a": {1, 2}}])
def test_a_value_without_a_codec_is_refused_in_a_sentence(results, value):
    with pytest.raises(TypeError, match="this output cannot be kept: a .* has no codec"):
        results.put(value)
    assert not results.folder.exists()


@pytest.mark.parametrize("call", ["fsync", "replace", "open"])
def test_a_write_that_fails_leaves_no_file_and_holds_nothing(results, monkeypatch, call):
    def full(*arguments, **options):
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr("builtins.open" if call == "open" else f"os.{call}", full)
        with pytest.raises(OSError, match="No space left"):
            results.put(picture())
    assert not files(results.folder)
    stored = results.put(picture())
    assert results.get(stored.key) == picture()
    results.release([stored.key])
    assert results.remove(stored.key, lambda key: False), "only the put that succeeded held it"


def test_content_and_name_are_on_the_disk_before_put_returns(results, monkeypatch):
    steps = []
    fsync, replace = os.fsync, os.replace

    def noted_fsync(descriptor):
        steps.append(os.readlink(f"/proc/self/fd/{descriptor}").removeprefix(str(results.folder.parent)))
        fsync(descriptor)

    monkeypatch.setattr(os, "fsync", noted_fsync)
    monkeypatch.setattr(os, "replace", lambda *paths: (steps.append("rename"), replace(*paths)))
    key = results.put(picture()).key
    assert steps[0].startswith(f"/results/{key[:2]}/{key}.") and steps[0].endswith(".tmp")
    assert steps[1:] == ["rename", "/results", "", f"/results/{key[:2]}"]
    steps.clear()
    results.put(picture())
    assert steps == [f"/results/{key[:2]}"], "the same value again: its name may not have been on the disk yet"


def test_a_value_goes_only_when_nobody_holds_it_or_refers_to_it(results):
    stored = results.put(picture())
    assert results.put(picture()) == stored
    nobody = lambda key: False  # noqa: E731
    assert not results.remove(stored.key, nobody)
    results.release([stored.key])
    assert not results.remove(stored.key, nobody), "it was put twice"
    results.release([stored.key])
    assert not results.remove(stored.key, lambda key: key == stored.key)
    assert results.remove(stored.key, nobody) and results.remove(stored.key, nobody)
    with pytest.raises(KeyError):
        results.get(stored.key)
    assert not results.remove("../../etc/passwd", nobody)


def test_removing_and_putting_at_once_never_loses_what_is_held(results):
    stop = threading.Event()

    def remover():
        while not stop.is_set():
            results.remove(digest(picture()).hex(), lambda key: False)

    thread = threading.Thread(target=remover)
    thread.start()
    try:
        for _ in range(50):
            stored = results.put(picture())
            assert results.get(stored.key) == picture()
            results.release([stored.key])
    finally:
        stop.set()
        thread.join()


def test_the_sweep_removes_what_no_run_refers_to_and_half_written_files_alone(results):
    kept, lost = results.put(picture(1)), results.put(picture(2))
    half = objects.name_of(results.folder, bytes.fromhex(kept.key)).with_suffix(".1-1.tmp")
    half.write_bytes(b"half")
    foreign = half.with_name("notes.txt")
    foreign.write_text("not ours")
    again = Results(results.folder)
    assert again.sweep(lambda key: key == kept.key) == 2
    assert again.get(kept.key) == picture(1) and foreign.exists() and not half.exists()
    with pytest.raises(KeyError):
        again.get(lost.key)


def test_the_server_keeps_tensors_it_is_handed_without_importing_torch(results):
    import torch

    from flowmm.sockets import Latent

    latent = Latent(torch.arange(24, dtype=torch.bfloat16).reshape(1, 2, 3, 4))
    encoded = encode([latent])
    (results.folder.parent / "header").write_bytes(encoded.header)
    (results.folder.parent / "buffer").write_bytes(bytes(encoded.buffers[0]))
    script = """
import sys
from pathlib import Path
from flowmm.server.journal import Journal
from flowmm.server.results import Results
from flowmm.store.codec import Encoded
folder = Path(sys.argv[1])
stored = Results(folder / "results").put(Encoded((folder / "header").read_bytes(), [(folder / "buffer").read_bytes()]))
Results(folder / "results").encoded(stored.key)
Journal(folder / "journal.sqlite").close()
print(stored.key, stored.type, stored.summary["items"])
assert not {"torch", "transformers", "diffusers", "gradio", "mcp"} & set(sys.modules)
"""
    done = subprocess.run([sys.executable, "-c", script, str(results.folder.parent)], capture_output=True, text=True)
    assert done.stdout == f"{digest([latent]).hex()} list[Latent] [{{'fields': {{'values': {{'shape': [1, 2, 3, 4], 'dtype': 'bfloat16'}}}}}}]\n", done.stderr
    assert results.get(digest([latent]).hex()) == [latent]
