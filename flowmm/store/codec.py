"""The codec: a value as bytes, and back. No pickle: reading a cache can never run code.

A value becomes a small msgpack tree and a list of raw buffers. Plain scalars and strings stand for themselves in the
tree; everything else is a list whose first item is a tag. Arrays and tensors stay in their own memory until written.
"""

from __future__ import annotations

import dataclasses
import functools
import pathlib
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import msgpack

from . import keys

VERSION = 1  # raise it by hand when the meaning of the tree changes; entries of another version are misses

INLINE = 1024  # bytes objects up to this size live in the tree, longer ones in a buffer of their own

TUPLE, LIST, DICT, INT, BYTES, PATH, ARRAY, SCALAR, TENSOR, SOCKET = range(10)


class Unstorable(TypeError):
    """A value that no codec knows; it lives in memory only."""


class Undecodable(ValueError):
    """Bytes of another codec version, or of a socket this installation does not have: a miss."""


@dataclass(frozen=True, slots=True)
class Encoded:
    """header: the msgpack tree. buffers: raw little-endian contiguous memory, one for each array, tensor or long bytes."""

    header: bytes
    buffers: list[Any] = field(default_factory=list)

    @property
    def nbytes(self) -> int:
        """Bytes of header and buffers together."""
        return len(self.header) + sum(memoryview(buffer).nbytes for buffer in self.buffers)

    def tree(self) -> Any:
        """The header as it was written: what the value is made of, without its buffers. Raises Undecodable."""
        try:
            version, tree = msgpack.unpackb(self.header, unicode_errors="surrogatepass")
        except (ValueError, TypeError, msgpack.UnpackException) as error:
            raise Undecodable(f"no value of this codec: {error}") from None
        if version != VERSION:
            raise Undecodable(f"written by codec {version}; this is codec {VERSION}")
        return tree

    def digest(self) -> bytes:
        """keys.digest of the value, without making its tensors: no torch is needed. Raises Undecodable."""
        return keys.h(_content(self.tree(), self.buffers))

    def items(self) -> list[Encoded]:
        """Those of a list or tuple, without making them. Raises Undecodable."""
        tree = self.tree()
        if type(tree) is not list or tree[0] not in (LIST, TUPLE):
            raise Undecodable("it is no list")
        found = []
        for item in tree[1:]:
            buffers: list[Any] = []
            item = _moved(item, lambda index, buffers=buffers: _add(self.buffers[index], buffers))
            found.append(Encoded(_packed(item), buffers))
        return found

    def decode(self) -> Any:
        """The value; its arrays and tensors are views onto the buffers. Raises Undecodable."""
        tree = self.tree()
        try:
            return _value(tree, self.buffers)
        except Undecodable:
            raise
        except (TypeError, ValueError, IndexError, KeyError, AttributeError, RuntimeError) as error:
            raise Undecodable(f"no value of this codec: {error}") from error


def encode(value: Any) -> Encoded:
    """The value as bytes; contiguous arrays and CPU tensors are not copied. Raises Unstorable."""
    buffers: list[Any] = []
    try:
        header = _packed(_tree(value, buffers))
    except (RecursionError, ValueError, OverflowError) as error:  # msgpack's own bounds on depth and length
        raise Unstorable(f"too deep or too large to store: {error}") from None
    return Encoded(header, buffers)


def joined(items: list[Encoded]) -> Encoded:
    """The list of these values, without making them."""
    buffers: list[Any] = []
    trees = [_moved(item.tree(), lambda index, item=item: _add(item.buffers[index], buffers)) for item in items]
    return Encoded(_packed((LIST, *trees)), buffers)


def _packed(tree: Any) -> bytes:
    return msgpack.packb((VERSION, tree), unicode_errors="surrogatepass")


def _moved(tree: Any, place: Callable[[int], int]) -> Any:
    """A tree whose buffers lie elsewhere."""
    if type(tree) is not list:
        return tree
    tag = tree[0]
    if tag in (BYTES, ARRAY, SCALAR, TENSOR):
        return [*tree[:-1], place(tree[-1])]
    if tag == SOCKET:
        return [*tree[:3], *(part if i % 2 == 0 else _moved(part, place) for i, part in enumerate(tree[3:]))]
    return [tag, *(_moved(part, place) for part in tree[1:])] if tag in (TUPLE, LIST, DICT) else tree


def known(encoded: Encoded) -> bool:
    """Whether every socket in it is installed here in the version it was written with; no buffer is read."""
    stack = [msgpack.unpackb(encoded.header, unicode_errors="surrogatepass")[1]]
    while stack:
        tree = stack.pop()
        if type(tree) is not list:
            continue
        if tree[0] == SOCKET:
            _, name, version, *parts = tree
            cls = _sockets().get(name)
            if cls is None or cls.version != version or tuple(parts[::2]) != _fields(cls):
                return False
            stack += parts[1::2]
        elif tree[0] in (TUPLE, LIST, DICT):
            stack += tree[1:]
    return True


_AS_IS = frozenset((str, bool, float, type(None)))


def _tree(value: Any, buffers: list[Any]) -> Any:
    kind = type(value)
    if kind in _AS_IS:
        return value
    if kind is int:
        return value if -(2**63) <= value < 2**64 else (INT, f"{value:x}")
    if kind is tuple or kind is list:
        return (TUPLE if kind is tuple else LIST, *[_tree(item, buffers) for item in value])
    if kind is dict:
        return (DICT, *[_tree(part, buffers) for item in value.items() for part in item])
    if kind is bytes:
        return value if len(value) <= INLINE else (BYTES, _add(value, buffers))
    if isinstance(value, pathlib.Path):
        return (PATH, str(value))
    if getattr(kind, "is_socket", False) is True:  # a Path has a method of that name
        return _socket_tree(value, buffers)
    top = kind.__module__.partition(".")[0]
    if top == "numpy":
        return _array_tree(value, buffers)
    if top == "torch" and hasattr(value, "untyped_storage"):
        return _tensor_tree(value, buffers)
    raise Unstorable(f"a {kind.__module__}.{kind.__qualname__} has no codec; its values live in memory only")


def _add(buffer: Any, buffers: list[Any]) -> int:
    buffers.append(buffer)
    return len(buffers) - 1


def _socket_tree(value: Any, buffers: list[Any]) -> tuple:
    cls = type(value)
    if _sockets().get(cls.socket_name) is not cls:
        raise Unstorable(f"{cls.__qualname__} is no registered socket; its values live in memory only")
    fields = [part for name in _fields(cls) for part in (name, _tree(getattr(value, name), buffers))]
    return (SOCKET, cls.socket_name, cls.version, *fields)


def _array_tree(value: Any, buffers: list[Any]) -> tuple:
    import numpy

    try:
        array = keys.plain_array(value)
        descr = numpy.lib.format.dtype_to_descr(array.dtype)
    except (TypeError, ValueError) as error:
        raise Unstorable(str(error)) from None
    # A record dtype is a nested list of tuples, which only the tree keeps apart.
    dtype = descr if isinstance(descr, str) else _tree(descr, buffers)
    tag = SCALAR if isinstance(value, numpy.generic) else ARRAY
    return (tag, dtype, array.shape, _add(keys.array_bytes(array), buffers))


def _tensor_tree(value: Any, buffers: list[Any]) -> tuple:
    try:
        tensor = keys.plain_tensor(value)
        data = keys.tensor_bytes(tensor)
    except (TypeError, RuntimeError) as error:
        raise Unstorable(str(error)) from None
    return (TENSOR, str(tensor.dtype).removeprefix("torch."), tuple(tensor.shape), _add(data, buffers))


def _value(tree: Any, buffers: list[Any]) -> Any:
    if type(tree) is not list:
        return tree
    return _READERS[tree[0]](tree, buffers)


def _read_dict(tree: list, buffers: list[Any]) -> dict:
    parts = [_value(part, buffers) for part in tree[1:]]
    return dict(zip(parts[::2], parts[1::2], strict=True))


def _read_array(tree: list, buffers: list[Any]) -> Any:
    import numpy

    _, descr, shape, index = tree
    dtype = numpy.lib.format.descr_to_dtype(_value(descr, buffers))
    buffer = memoryview(buffers[index])
    if 0 in shape or dtype.itemsize == 0:
        return numpy.empty(shape, dtype)
    return numpy.ndarray(tuple(shape), dtype, buffer)


def _read_scalar(tree: list, buffers: list[Any]) -> Any:
    return _read_array(tree, buffers)[()]


def _read_tensor(tree: list, buffers: list[Any]) -> Any:
    import torch

    _, name, shape, index = tree
    dtype = getattr(torch, name, None)
    if not isinstance(dtype, torch.dtype):
        raise Undecodable(f"this torch has no dtype {name}")
    if 0 in shape:
        return torch.empty(shape, dtype=dtype)
    buffer = memoryview(buffers[index])
    if buffer.readonly:  # torch knows no read-only memory
        buffer = bytearray(buffer)
    return torch.frombuffer(buffer, dtype=torch.uint8).view(dtype).reshape(shape)


def _read_socket(tree: list, buffers: list[Any]) -> Any:
    _, name, version, *fields = tree
    cls = _sockets().get(name)
    if cls is None:
        raise Undecodable(f"the socket {name} is not installed here")
    if cls.version != version or tuple(fields[::2]) != _fields(cls):
        raise Undecodable(f"the socket {name} has another version: {version}, here {cls.version}")
    # Past __init__: what was checked when it was made must come back exactly as it was.
    value = object.__new__(cls)
    for field_name, part in zip(fields[::2], fields[1::2]):
        object.__setattr__(value, field_name, _value(part, buffers))
    return value


_READERS: dict[int, Callable[[list, list[Any]], Any]] = {
    TUPLE: lambda tree, buffers: tuple([_value(item, buffers) for item in tree[1:]]),
    LIST: lambda tree, buffers: [_value(item, buffers) for item in tree[1:]],
    DICT: _read_dict,
    INT: lambda tree, buffers: int(tree[1], 16),
    BYTES: lambda tree, buffers: bytes(buffers[tree[1]]),
    PATH: lambda tree, buffers: pathlib.Path(tree[1]),
    ARRAY: _read_array,
    SCALAR: _read_scalar,
    TENSOR: _read_tensor,
    SOCKET: _read_socket,
}


@functools.cache
def _sockets() -> dict[str, type]:
    from ..sockets import SOCKETS

    return SOCKETS


@functools.cache
def _fields(cls: type) -> tuple[str, ...]:
    return tuple(field.name for field in dataclasses.fields(cls))


def _content(tree: Any, buffers: list[Any]) -> bytes:
    """keys.canonical of the value a tree stands for."""
    tag = tree[0] if type(tree) is list else None
    if tag == TENSOR:
        _, dtype, shape, index = tree
        return keys.tensor_record(b"m", dtype, tuple(shape), buffers[index])
    if tag in (TUPLE, LIST):
        return keys.record(b"t" if tag == TUPLE else b"l", b"".join([_content(item, buffers) for item in tree[1:]]))
    if tag == DICT:
        parts = [_content(part, buffers) for part in tree[1:]]
        return keys.record(b"d", b"".join(sorted(k + v for k, v in zip(parts[::2], parts[1::2]))))
    if tag != SOCKET:
        return keys.canonical(_value(tree, buffers))
    _, name, version, *fields = tree
    local = getattr(_sockets().get(name), "local", ())
    return keys.socket_record(name, version, [(field, _content(part, buffers)) for field, part in zip(fields[::2], fields[1::2]) if field not in local])


FIXED_SIZES = {int: 32, float: 24, bool: 0, type(None): 0}


def nbytes(value: Any) -> int:
    """About how many bytes of host memory a value keeps alive. Never raises; what it cannot see counts as 64."""
    size = FIXED_SIZES.get(type(value))
    if size is not None:
        return size
    kind = type(value)
    if kind is str or kind is bytes:
        return 56 + len(value)
    if kind is tuple or kind is list:
        return 56 + 8 * len(value) + sum(map(nbytes, value))
    if kind is dict:
        return 64 + sum(100 + nbytes(k) + nbytes(v) for k, v in value.items())
    if getattr(kind, "is_socket", False) is True:  # a Path has a method of that name
        return 64 + sum(map(nbytes, vars(value).values()))
    if hasattr(value, "untyped_storage"):
        return 64 + _storage_bytes(value)
    base = getattr(value, "base", None)  # a view keeps the whole array alive
    size = getattr(value if getattr(base, "nbytes", None) is None else base, "nbytes", 0)
    return 64 + (size if isinstance(size, int) else 0)


def _storage_bytes(tensor: Any) -> int:
    try:
        return tensor.untyped_storage().nbytes()
    except (RuntimeError, NotImplementedError):  # sparse tensors and the like have no one storage
        return 0
