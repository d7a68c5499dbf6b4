"""The hash algebra: what makes two values, and two computations, the same.

A record is a one-byte type tag, a length, and the bytes; containers hold the digests or records of their parts.
So 1, 1.0, "1" and True never collide, nor do arrays of other shape or dtype, nor ("ab", "c") and ("a", "bc").
Memory layout and dict order never matter. NaN equals NaN of the same bits; −0.0 is not 0.0.
"""

from __future__ import annotations

import dataclasses
import pathlib
import struct
import sys
from hashlib import blake2b
from typing import Any

SIZE = 20  # bytes of a key: 160 bits, out of reach of accident


def record(tag: bytes, payload: bytes) -> bytes:
    """One self-delimiting piece: no two different lists of records have the same bytes."""
    return b"%b%d:%b" % (tag, len(payload), payload)


def h(*records: bytes) -> bytes:
    return blake2b(b"".join(records), digest_size=SIZE).digest()


def digest(value: Any) -> bytes:
    """The content of a value, in 20 bytes.

    Takes None, bool, int, float, str, bytes, Path, tuples, lists, dicts, numpy arrays, torch tensors and Values.
    Raises TypeError for anything else: what cannot be told apart must not be cached.
    """
    return h(canonical(value))


def canonical(value: Any) -> bytes:
    """The record of a value; raises as digest does. Depth is bounded by the document's own limit, so recursion is safe."""
    kind = type(value)
    if kind is str:
        return record(b"s", value.encode("utf-8", "surrogatepass"))
    if kind is bool:
        return b"T" if value else b"F"
    if kind is int:
        return record(b"i", b"%x" % value)  # decimal digits are bounded by Python, hexadecimal ones are not
    if kind is float:
        return b"f" + struct.pack("<d", value)
    if value is None:
        return b"N"
    if kind is tuple or kind is list:
        # A list read from JSON and the tuple a node returns are different values.
        return record(b"t" if kind is tuple else b"l", b"".join(map(canonical, value)))
    if kind is dict:
        items = sorted(canonical(k) + canonical(v) for k, v in value.items())
        return record(b"d", b"".join(items))
    if kind is bytes:
        return record(b"b", value)
    if isinstance(value, pathlib.PurePath):
        return record(b"p", str(value).encode("utf-8", "surrogatepass"))
    if getattr(kind, "is_socket", False) is True:  # a Path has a method of that name
        return _socket(value)
    module = kind.__module__.partition(".")[0]
    if module == "numpy":
        return _array(value)
    if module == "torch" and hasattr(value, "untyped_storage"):
        return _tensor(value)
    raise TypeError(f"a {kind.__module__}.{kind.__qualname__} has no content digest; make it a socket with plain fields")


def _socket(value: Any) -> bytes:
    local = getattr(value, "local", ())
    fields = [(field.name, canonical(getattr(value, field.name))) for field in dataclasses.fields(value) if field.name not in local]
    return socket_record(value.socket_name, value.version, fields)


def socket_record(socket_name: str, version: int, fields: list[tuple[str, bytes]]) -> bytes:
    """A socket's value, of the records of its fields."""
    head = record(b"c", socket_name.encode()) + record(b"i", b"%d" % version)
    return record(b"v", head + b"".join([record(b"a", name.encode()) + content for name, content in fields]))


def _array(value: Any) -> bytes:
    import numpy

    array = plain_array(value)
    # A scalar and an array without dimensions behave differently, so they are different values.
    tag = b"g" if isinstance(value, numpy.generic) else b"n"
    dtype = array.dtype
    name = str(dtype) if dtype.names is None else repr(numpy.lib.format.dtype_to_descr(dtype))
    return tensor_record(tag, name, array.shape, array_bytes(array))


def _tensor(value: Any) -> bytes:
    tensor = plain_tensor(value)
    return tensor_record(b"m", str(tensor.dtype).removeprefix("torch."), tuple(tensor.shape), tensor_bytes(tensor))


def plain_array(value: Any) -> Any:
    """A numpy array or scalar as a contiguous little-endian array. Raises TypeError where its bytes do not say all."""
    import numpy

    if type(value) not in (numpy.ndarray, numpy.memmap) and not isinstance(value, numpy.generic):
        raise TypeError(f"a numpy {type(value).__name__} has no content digest; give a plain array")
    array = numpy.asarray(value)
    if not _bytes_say_all(array.dtype):
        raise TypeError(f"an array of {array.dtype} has no content digest")
    # ascontiguousarray would give a scalar a dimension.
    array = numpy.asarray(array, dtype=array.dtype.newbyteorder("<"), order="C")
    return array if array.dtype.names is None else _without_padding(array)


def _bytes_say_all(dtype: Any) -> bool:
    """Not so for Python objects, strings of any length, and extended floats, whose padding is random."""
    if dtype.subdtype is not None:
        return _bytes_say_all(dtype.subdtype[0])
    if dtype.names is not None:
        return all(_bytes_say_all(dtype[name]) for name in dtype.names)
    return not dtype.hasobject and dtype.kind != "T" and dtype.char not in "gG"


def _without_padding(records: Any) -> Any:
    """The same records with zeros between their fields, where memory holds what happened to be there."""
    import numpy

    clean = numpy.zeros(records.shape, records.dtype)
    for name in records.dtype.names:
        part = records[name]
        clean[name] = part if part.dtype.names is None else _without_padding(part)
    return clean


def array_bytes(array: Any) -> Any:
    """The raw bytes of what plain_array gave; no copy."""
    return array.reshape(-1).view("uint8").data if array.nbytes else b""


def plain_tensor(value: Any) -> Any:
    """A torch tensor as a contiguous CPU tensor. Raises TypeError where its bytes do not say all."""
    import torch

    if value.layout is not torch.strided or value.is_quantized or value.is_nested or value.is_meta:
        raise TypeError("a sparse, quantized, nested or meta tensor has no content digest; give a dense one")
    # Lazily conjugated or negated memory does not hold the values it stands for.
    return value.detach().to("cpu").resolve_conj().resolve_neg().contiguous()


def tensor_bytes(tensor: Any) -> Any:
    """The raw bytes of what plain_tensor gave, whatever its dtype (numpy knows no bfloat16); no copy."""
    import torch

    if not tensor.numel():
        return b""
    # torch calls one item contiguous whatever its stride, but views it as bytes only with stride 1.
    return tensor.as_strided((tensor.numel(),), (1,)).view(torch.uint8).numpy().data


def tensor_record(tag: bytes, dtype: str, shape: tuple[int, ...], data: Any) -> bytes:
    head = record(b"a", dtype.encode()) + record(b"a", ",".join(map(str, shape)).encode())
    return record(tag, head + blake2b(data, digest_size=SIZE).digest())


if sys.byteorder != "little":
    raise ImportError("flowmm's keys and files assume a little-endian machine")


def operation(op: str, version: int, code: bytes, numeric: str, libraries: dict[str, str]) -> bytes:
    """The part of a node's key that all nodes of one operation share."""
    pairs = (record(b"a", f"{name}={libraries[name]}".encode()) for name in sorted(libraries))
    return h(b"node/1", record(b"s", op.encode()), record(b"i", b"%d" % version), record(b"b", code),
             record(b"s", numeric.encode()), *pairs)  # fmt: skip


def port(name: str) -> bytes:
    return record(b"a", name.encode())


# A node's key is h(operation, then for each port in the order of names: port(name), then one of the two below),
# written out in engine.plan where it runs once a node.
VALUE = b"="  # followed by a digest: a literal, a graph input, or a value that arrived late
UPSTREAM = b"<"  # followed by the producer's key and the output's record
