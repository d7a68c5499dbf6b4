"""Values become bytes and come back as they were."""

from __future__ import annotations

import subprocess
import sys
import warnings
from pathlib import Path

import msgpack
import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from plain_values import TORCH_DTYPES, kinds, values

from flowmm.sockets import SOCKETS, Image, Latent, Seed, Text
from flowmm.sockets.value import Value, socket
from flowmm.store.codec import VERSION, Encoded, Undecodable, Unstorable, encode, nbytes
from flowmm.store.keys import digest
from flowmm.store.objects import pack, unpack


def through_bytes(value):
    """A round trip as another process would see it: nothing of the original's memory is left."""
    data = b"".join(bytes(piece) for piece in pack(b"key", [encode(value)]))
    return unpack(b"key", bytearray(data))[0].decode()


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(values)
def test_every_value_comes_back_with_its_digest_and_its_types(value):
    for back in (encode(value).decode(), through_bytes(value)):
        assert digest(back) == digest(value)
        assert kinds(back) == kinds(value)


@pytest.mark.parametrize("dtype", TORCH_DTYPES, ids=str)
@pytest.mark.parametrize("shape", [(), (0,), (5,), (2, 3)])
def test_every_torch_dtype_and_shape_comes_back(dtype, shape):
    tensor = torch.ones(shape).to(dtype)
    back = through_bytes(tensor)
    assert back.dtype == dtype and back.shape == tensor.shape and digest(back) == digest(tensor)


def test_decoding_is_silent_and_what_comes_back_can_be_written_to():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        tensor, array = through_bytes((torch.zeros(3), np.zeros(3)))
        torch.from_numpy(array)
    tensor += 1
    array += 1


def test_contiguous_memory_is_not_copied():
    array, tensor = np.arange(1000.0), torch.arange(1000.0)
    assert np.shares_memory(encode(array).decode(), array)
    assert encode(tensor).decode().data_ptr() == tensor.data_ptr()


def test_a_view_stores_what_it_shows_and_not_its_base():
    assert encode(torch.zeros(1000, 1000)[:1]).nbytes < 5000


@pytest.mark.parametrize(
    "value",
    [object(), {1}, lambda: None, np.array([None]), np.ma.array([1]), torch.eye(2).to_sparse(), torch.empty(2, device="meta"),
     (1, [object()]), Text((object(),))],
    ids=lambda value: type(value).__name__,
)  # fmt: skip
def test_what_no_codec_knows_is_unstorable(value):
    with pytest.raises(Unstorable):
        encode(value)


def test_what_is_too_deep_is_unstorable_and_not_a_crash():
    deep: list = []
    for _ in range(100_000):
        deep = [deep]
    with pytest.raises(Unstorable):
        encode(deep)


def test_a_socket_that_is_not_installed_here_is_a_miss(monkeypatch):
    encoded = encode(Seed(1))
    monkeypatch.delitem(SOCKETS, "Seed")
    with pytest.raises(Undecodable, match="Seed is not installed"):
        encoded.decode()
    with pytest.raises(Unstorable):
        encode(Seed(1))


def test_a_socket_of_another_version_or_with_other_fields_is_a_miss(monkeypatch):
    encoded = encode(Seed(1))
    monkeypatch.setattr(Seed, "version", 2)
    with pytest.raises(Undecodable, match="another version"):
        encoded.decode()
    monkeypatch.undo()

    @socket
    class Renamed(Value):
        number: int

    monkeypatch.setitem(SOCKETS, "Seed", Renamed)
    with pytest.raises(Undecodable):
        encoded.decode()
    del SOCKETS[Renamed.socket_name]


def test_another_codec_version_is_a_miss():
    with pytest.raises(Undecodable, match=f"codec {VERSION + 1}"):
        Encoded(msgpack.packb((VERSION + 1, 5))).decode()


@given(st.binary(max_size=60))
def test_any_bytes_decode_or_are_refused_in_one_way(data):
    try:
        Encoded(data).decode()
    except Undecodable:
        pass


@settings(deadline=None)
@given(values, st.integers(0), st.integers(0, 255))
def test_a_changed_header_decodes_or_is_refused_in_one_way(value, position, byte):
    encoded = encode(value)
    header = bytearray(encoded.header)
    header[position % len(header)] = byte
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            Encoded(bytes(header), encoded.buffers).decode()
    except Undecodable:
        pass


def test_validation_does_not_run_again_when_reading():
    picture = Image(np.zeros((1, 3, 2, 2), "float32"))
    assert through_bytes(picture).pixels.dtype == "float32"


@pytest.mark.parametrize(
    ("value", "least", "most"),
    [(5, 1, 100), (None, 0, 100), ("a" * 1000, 1000, 1200), (np.zeros(1000), 8000, 8200), (np.zeros((100, 100))[0], 80_000, 80_200),
     (torch.zeros(1000), 4000, 4200), (torch.zeros(100, 100)[0], 40_000, 40_200), (Latent(torch.zeros(1000)), 4000, 4400),
     ((1, [np.zeros(1000)], {"a": np.zeros(1000)}), 16_000, 17_000), (object(), 0, 100), (Path("a"), 0, 100), (torch.eye(2).to_sparse(), 0, 200)],
    ids=lambda value: type(value).__name__,
)  # fmt: skip
def test_the_estimate_of_memory_counts_what_a_value_keeps_alive(value, least, most):
    assert least <= nbytes(value) <= most


def test_reading_plain_values_imports_neither_numpy_nor_torch():
    code = (
        "import sys; from flowmm.store.codec import encode; import flowmm.store.disk, flowmm.store.memory\n"
        "from flowmm.sockets import Text\n"
        "assert encode((Text(('a',)), 1, {'a': b'x'})).decode()\n"
        "assert not {'numpy', 'torch', 'pydantic'} & set(sys.modules), sorted(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
