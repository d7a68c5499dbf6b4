"""Values of every kind the codec knows, for property tests."""

from __future__ import annotations

import math
import pathlib

import numpy as np
import torch
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from flowmm.sockets import Conditioning, Image, Labels, Latent, Score, Seed, Text, Tokenizer

TORCH_DTYPES = [
    torch.uint8, torch.int8, torch.int16, torch.int32, torch.int64, torch.bool, torch.float16, torch.bfloat16,
    torch.float32, torch.float64, torch.complex64, torch.complex128, torch.float8_e4m3fn, torch.float8_e5m2,
    torch.uint16, torch.uint32, torch.uint64,
]  # fmt: skip

surrogates = st.text(st.characters(codec=None, exclude_categories=()), max_size=5)
scalars = st.one_of(
    st.none(), st.booleans(), st.integers(), st.integers(-(2**63), 2**64), st.floats(), surrogates,
    st.binary(max_size=30), st.integers(1000, 2000).map(bytes), surrogates.filter(lambda s: "\0" not in s).map(pathlib.Path),
)  # fmt: skip
dtypes = st.one_of(
    hnp.scalar_dtypes(), hnp.unicode_string_dtypes(), hnp.byte_string_dtypes(),
    st.sampled_from([np.dtype([("a", "<i2"), ("b", ">f8", (2,))]), np.dtype({"names": ["x", "y"], "formats": ["i1", "f4"], "offsets": [0, 4]})]),
)  # fmt: skip


def _views(array: np.ndarray) -> st.SearchStrategy:
    """The array in several memory layouts."""
    layouts = [array, array.T, np.asfortranarray(array), array[..., ::-1] if array.ndim else array, array[:0] if array.ndim else array]
    return st.sampled_from(layouts)


arrays = hnp.arrays(dtypes, hnp.array_shapes(min_dims=0, max_dims=3, min_side=0, max_side=4)).flatmap(_views)
numpy_scalars = hnp.arrays(st.sampled_from(["f2", "f4", "i8", "u1", "?", "c8", "M8[s]"]), ()).map(lambda array: array[()])


@st.composite
def tensors(draw) -> torch.Tensor:
    dtype = draw(st.sampled_from(TORCH_DTYPES))
    shape = draw(hnp.array_shapes(min_dims=0, max_dims=3, min_side=0, max_side=4))
    count = math.prod(shape)
    raw = torch.tensor(list(draw(st.binary(min_size=count * dtype.itemsize, max_size=count * dtype.itemsize))), dtype=torch.uint8)
    tensor = (raw % 2 == 1 if dtype is torch.bool else raw.view(dtype)).reshape(shape)
    layout = draw(st.sampled_from(["as is", "transposed", "every other", "empty"]))
    if not shape or layout == "as is":
        return tensor
    if layout == "transposed":
        return tensor.transpose(0, -1)
    return tensor[::2] if layout == "every other" else tensor[:0]


tensor_values = tensors()
sockets = st.one_of(
    st.lists(st.text(max_size=3), min_size=1, max_size=3).map(lambda lines: Text(tuple(lines))),
    st.integers(0, 2**53 - 1).map(Seed),
    hnp.arrays("u1", st.tuples(st.integers(1, 2), st.just(3), st.integers(0, 3), st.integers(0, 3))).map(Image),
    tensor_values.map(Latent),
    st.tuples(tensor_values, st.one_of(st.none(), tensor_values)).map(lambda pair: Conditioning(*pair)),
    hnp.arrays("f4", (2, 2)).map(lambda values: Score(values, rows=("a", "b"))),
    hnp.arrays("f4", (1, 2)).map(lambda p: Labels((("a", "b"),), p)),
    st.just(Tokenizer("zoo:a", "/somewhere", "", "clip", "f0", settings=(("steps", 4),), patches=(("lora", 0.5),))),
)
leaves = st.one_of(scalars, arrays, numpy_scalars, tensor_values, sockets)
keys = st.one_of(surrogates, st.integers(), st.booleans(), st.floats(allow_nan=False), st.tuples(st.text(max_size=2), st.integers()))
values = st.recursive(
    leaves,
    lambda inner: st.one_of(
        st.lists(inner, max_size=3), st.lists(inner, max_size=3).map(tuple), st.dictionaries(keys, inner, max_size=3)
    ),
    max_leaves=5,
)


def kinds(value):
    """The types of a value and of all its parts, which a round trip must keep."""
    if isinstance(value, (list, tuple)):
        return type(value), [kinds(item) for item in value]
    if isinstance(value, dict):
        return dict, [(kinds(k), kinds(v)) for k, v in value.items()]
    if getattr(value, "is_socket", False) is True:
        return type(value), kinds(vars(value))
    if isinstance(value, np.ndarray):
        return np.ndarray, value.dtype.newbyteorder("=").descr, value.shape
    if isinstance(value, torch.Tensor):
        return torch.Tensor, value.dtype, value.shape
    return type(value)
