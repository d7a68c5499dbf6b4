"""The hash algebra: what must differ differs, what must not does not, and nothing changes by accident."""

from __future__ import annotations

import pathlib
import struct

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from flowmm.sockets import Image, Latent, Seed, Text, Tokenizer
from flowmm.store.keys import digest, h, operation, record

scalars = st.one_of(
    st.none(), st.booleans(), st.integers(), st.floats(), st.text(), st.binary(max_size=20),
    st.sampled_from([0, 0.0, -0.0, "0", b"0", False, "", b"", 1, 1.0, "1", True, "None", "T", "N"]),
)  # fmt: skip
plain = st.recursive(
    scalars,
    lambda inner: st.one_of(
        st.lists(inner, max_size=3),
        st.lists(inner, max_size=3).map(tuple),
        st.dictionaries(st.one_of(st.text(max_size=2), st.integers(0, 3)), inner, max_size=3),
    ),
    max_leaves=8,
)


def same(a, b) -> bool:
    """Equality as a cache needs it, written without hashing: types matter, bits of floats matter, dict order does not."""
    if type(a) is not type(b):
        return False
    if isinstance(a, float):
        return struct.pack("<d", a) == struct.pack("<d", b)
    if isinstance(a, (list, tuple)):
        return len(a) == len(b) and all(map(same, a, b))
    if isinstance(a, dict):
        keys = {(type(k), k): v for k, v in b.items()}
        return len(a) == len(b) and all((type(k), k) in keys and same(v, keys[type(k), k]) for k, v in a.items())
    return a == b


@settings(max_examples=300)
@given(plain, plain)
def test_two_plain_values_have_one_digest_exactly_when_they_are_the_same(a, b):
    assert (digest(a) == digest(b)) == same(a, b)


@given(plain)
def test_a_part_never_has_the_digest_of_the_whole(value):
    assert len({digest(value), digest([value]), digest((value,)), digest({"a": value}), digest([[value]])}) == 5


@given(st.lists(st.tuples(st.binary(min_size=1, max_size=1), st.binary(max_size=4)), max_size=4),
       st.lists(st.tuples(st.binary(min_size=1, max_size=1), st.binary(max_size=4)), max_size=4))  # fmt: skip
def test_no_two_lists_of_records_have_the_same_bytes(a, b):
    joined = [b"".join(record(tag, payload) for tag, payload in pairs) for pairs in (a, b)]
    # A tag that is a digit could be read as part of a length, so tags are letters.
    if all(tag.isalpha() for tag, _ in a + b):
        assert (joined[0] == joined[1]) == (a == b)


A = np.arange(6, dtype="i4").reshape(2, 3)
IMAGE = np.arange(48, dtype="u1").reshape(1, 3, 4, 4)

COLLISIONS_OF_OTHERS = {
    "hamilton: two images of equal size": (Image(IMAGE), Image(IMAGE[:, :, ::-1])),
    "hamilton: arrays of other shape": (np.zeros((2, 3)), np.zeros((3, 2))),
    "hamilton: arrays of other dtype": (np.zeros(4, "f4"), np.zeros(4, "f8")),
    "hamilton: a number and its text": (1, "1"),
    "pydra: zeros of equal width": (np.zeros(4, "i4"), np.zeros(4, "f4")),
    "pydra: a vector and a column": (np.zeros(4), np.zeros((4, 1))),
    "marimo: a matrix and its transpose": (A, A.T),
    "marimo: a square matrix and its transpose": (A[:, :2], A[:, :2].T),
    "python: one is true": (1, True),
    "python: one is 1.0": (1, 1.0),
    "python: zero is minus zero": (0.0, -0.0),
    "python: hash(-1) is hash(-2)": (-1, -2),
    "signed and unsigned": (np.zeros(2, "i1"), np.zeros(2, "u1")),
    "numpy and torch": (np.zeros(2, "f4"), torch.zeros(2)),
    "float16 and bfloat16": (torch.zeros(2).half(), torch.zeros(2).bfloat16()),
    "a scalar and an array without dimensions": (np.float32(1), np.array(1, "f4")),
    "a numpy scalar and a float": (np.float64(1), 1.0),
    "empty arrays of other shape": (np.zeros((0, 3)), np.zeros((3, 0))),
    "texts cut elsewhere": (("ab", "c"), ("a", "bc")),
    "a tuple and a list": ((1, 2), [1, 2]),
    "nothing in several ways": (None, ()),
    "no text and no bytes": ("", b""),
    "a path and its text": (pathlib.Path("a"), "a"),
    "a key and a value swapped": ({"a": "b"}, {"b": "a"}),
    "sockets of equal fields": (Seed(1), Text((1,))),
    "nested and flat": (((1,), 2), (1, (2,))),
    "records of other field names": (np.zeros(2, [("a", "i4")]), np.zeros(2, [("b", "i4")])),
    "dates of other unit": (np.zeros(2, "M8[s]"), np.zeros(2, "M8[D]")),
}  # fmt: skip


@pytest.mark.parametrize("pair", COLLISIONS_OF_OTHERS.values(), ids=COLLISIONS_OF_OTHERS.keys())
def test_what_collides_elsewhere_does_not_here(pair):
    assert digest(pair[0]) != digest(pair[1])


@given(st.dictionaries(st.text(max_size=3), st.integers(), min_size=2), st.randoms(use_true_random=False))
def test_dict_order_never_matters(mapping, random_):
    items = list(mapping.items())
    random_.shuffle(items)
    assert digest(dict(items)) == digest(mapping)


@given(hnp.arrays(st.sampled_from(["u1", "i8", "f4", "c16", "U3"]), hnp.array_shapes(max_dims=3)))
def test_memory_layout_never_matters(array):
    spread = np.zeros([2 * n for n in array.shape], array.dtype)
    spread[tuple(slice(None, None, 2) for _ in array.shape)] = array
    strided = spread[tuple(slice(None, None, 2) for _ in array.shape)]
    swapped = array.astype(array.dtype.newbyteorder(">"))
    assert digest(np.arange(2)[::2]) == digest(np.array([0]))
    for other in (np.asfortranarray(array), strided, swapped, array[::-1].copy()[::-1]):
        assert digest(other) == digest(array)


def test_what_lies_between_the_fields_of_a_record_never_matters():
    dtype = np.dtype([("a", "i1"), ("b", "f8"), ("c", [("d", "i1"), ("e", "f4")], (2,))], align=True)
    noise = np.random.default_rng(0).integers(0, 255, dtype.itemsize * 3).astype("u1").view(dtype)
    clean = np.zeros(3, dtype)
    for name in ("a", "b"):
        noise[name] = clean[name] = 1
    for name in ("d", "e"):
        noise["c"][name] = clean["c"][name] = 2
    assert digest(noise) == digest(clean)


def test_a_tensors_layout_never_matters():
    tensor = torch.arange(24.0).reshape(2, 3, 2, 2)
    lazy = torch.view_as_complex(torch.arange(6.0).reshape(3, 2)).conj()
    assert digest(tensor.to(memory_format=torch.channels_last)) == digest(tensor)
    assert digest(tensor.transpose(0, 1).contiguous().transpose(0, 1)) == digest(tensor)
    assert digest(torch.arange(2)[::2]) == digest(torch.tensor([0])) == digest(torch.zeros(1, 1, dtype=torch.int64)[:, ::2][0])
    assert digest(tensor.requires_grad_()) == digest(tensor)
    assert digest(lazy) == digest(lazy.resolve_conj().clone())
    assert digest(lazy.imag) == digest(torch.tensor([-1.0, -3.0, -5.0]))


def test_nan_equals_nan_of_the_same_bits_only():
    quiet, other = struct.unpack("<2d", bytes.fromhex("000000000000f87f010000000000f87f"))
    assert digest(float("nan")) == digest(float("nan"))
    assert digest(quiet) != digest(other)


def test_where_a_handle_lies_is_no_part_of_it():
    common = {"component": "", "family": "clip", "fingerprint": "f"}
    here = Tokenizer(source="zoo:a", folder="/a", **common)
    assert digest(here) == digest(Tokenizer(source="b", folder="/b", **common))
    assert digest(here) != digest(Tokenizer(source="zoo:a", folder="/a", **(common | {"fingerprint": "g"})))
    assert digest(here) != digest(Tokenizer(source="zoo:a", folder="/a", **common, patches=("lora",)))


def test_a_sockets_version_is_part_of_its_digest(monkeypatch):
    before = digest(Seed(1))
    monkeypatch.setattr(Seed, "version", 2)
    assert digest(Seed(1)) != before


@pytest.mark.parametrize(
    "value",
    [object(), {1}, len, np.array([None]), np.zeros(2, "g"), np.ma.array([1], mask=[True]), torch.eye(2).to_sparse(), torch.empty(2, device="meta"),
     [object()], {"a": bytearray(1)}],
    ids=lambda value: type(value).__name__,
)  # fmt: skip
def test_what_cannot_be_told_apart_is_refused(value):
    with pytest.raises(TypeError):
        digest(value)


def test_an_integer_of_any_length_has_a_digest():
    assert digest(10**6000) != digest(10**6000 + 1) != digest(-(10**6000) - 1)


def test_an_operation_is_told_apart_by_each_of_its_parts():
    base = ("a.b", 1, b"code", "float32", {"torch": "2.6"})
    others = [
        ("a.c", *base[1:]), (base[0], 2, *base[2:]), (*base[:2], b"edoc", *base[3:]), (*base[:3], "bfloat16", base[4]),
        (*base[:4], {"torch": "2.7"}), (*base[:4], {}), (*base[:4], {"torch": "2.6", "numpy": "2"}),
    ]  # fmt: skip
    assert len({operation(*base), *(operation(*other) for other in others)}) == 8
    assert operation(*base[:4], {"a": "1", "b": "2"}) == operation(*base[:4], {"b": "2", "a": "1"})


# If one of these changes, every cached result on every machine is lost: change them knowingly, or not at all.
FROZEN = {
    "none": (None, "d1be4f73c1aa7653a45c1f0d86f9085fcf213703"),
    "true": (True, "ad9b992f7245d62400a4082826b875c56c4e4663"),
    "integer": (-12, "3119d9c9ccd72cf24534016109028a7dd955349e"),
    "float": (0.1, "10aed4f7b46617704c642d0c7ed732fcc78a639c"),
    "text": ("blå 蓝", "8c852e6caa3e67087baea790a967154c70a5c4a0"),
    "plain": ({"b": [1, (2.0, None)], "a": b"x"}, "3beb08c0cd2ecb1ad28a1aed081ad151ba6b641f"),
    "array": (A, "3d2b734be6e1d09f40f94517723882940fde0f9b"),
    "tensor": (torch.arange(3).bfloat16(), "fead0d7728b3c37130edc10ca3ce439701ec342a"),
    "image": (Image(IMAGE), "0fc7a0da4d3bfc9405edd336f291de78833c13dc"),
    "latent": (Latent(torch.zeros(1, 4, 2, 2)), "6d9c487eb32db34bfc7a90818a3a255290f921b3"),
    "seed": (Seed(7), "00df96ed239e81c01ab90f9f0995abb8d7e537bd"),
}


@pytest.mark.parametrize("name", FROZEN)
def test_the_algebra_did_not_change_by_accident(name):
    value, expected = FROZEN[name]
    assert digest(value).hex() == expected


def test_the_key_of_an_operation_did_not_change_by_accident():
    assert operation("a.b", 1, b"code", "float32", {"torch": "2.6"}).hex() == "400cfc1b216818a11b11525584180f462ce5a048"
    assert h(b"").hex() == "3345524abf6bbe1809449224b5972c41790b6cf2"
