"""What a pickle of weights may hold: records of tensors, inert objects, and the few names that are rebuilt, each by code of ours.

Nothing here imports or calls what a file names; `machine` is the reader, which counts what is copied.
"""

from __future__ import annotations

import re
from collections import OrderedDict
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from .weights import SourceError

if TYPE_CHECKING:
    from .pickle_machine import Machine

SPREAD = 1 << 24  # elements that a tensor may have beyond those stored (an expanded view)

STORAGES = {
    "Float": "float32", "Double": "float64", "Half": "float16", "BFloat16": "bfloat16", "Long": "int64", "Int": "int32", "Short": "int16",
    "Char": "int8", "Byte": "uint8", "Bool": "bool", "ComplexFloat": "complex64", "ComplexDouble": "complex128", "Untyped": "uint8",
}  # fmt: skip
SIZES = {
    "float64": 8, "float32": 4, "float16": 2, "bfloat16": 2, "int64": 8, "int32": 4, "int16": 2, "int8": 1, "uint8": 1, "bool": 1,
    "uint16": 2, "uint32": 4, "uint64": 8, "complex64": 8, "complex128": 16, "float8_e4m3fn": 1, "float8_e5m2": 1,
    "float8_e4m3fnuz": 1, "float8_e5m2fnuz": 1,
}  # fmt: skip
_ARRAYS = re.compile(r"[<>=|]?(b1|[iu][1248]|f[248]|c8|c16)\Z")


class Forbidden(SourceError):
    """A pickle names something that no weights need. name: what, as `os.system`."""

    def __init__(self, file: str, name: str):
        self.name = name
        super().__init__(f"`{file}` names `{shown(name)}`, which no weights need: nothing of it was run, and it is not read; "
                         "look for a safetensors version of the model, or another source")  # fmt: skip


class Damaged(Exception):
    """The instructions make no sense; the reader says it as a SourceError."""


@dataclass(frozen=True, slots=True)
class Global:
    """An allowed name, as a value: a dtype, a class that is passed along."""

    name: str


class Inert:
    """Stands for an object of an allowed class: cls its name, args what made it, items what was put into it; its state is its __dict__."""

    __slots__ = ("cls", "args", "items", "__dict__")

    def __init__(self, cls: str, args: tuple = ()):
        self.cls, self.args, self.items = cls, args, []


@dataclass(eq=False, slots=True)
class Storage:
    """A run of elements in the file. data: gives its bytes as a torch.UntypedStorage, once their place is known."""

    key: str
    dtype: str
    count: int
    data: Callable[[], Any] | None = None

    @property
    def bytes(self) -> int:
        return self.count * SIZES[self.dtype]


@dataclass(frozen=True, eq=False, slots=True)
class Stored:
    """A tensor: a view of a storage."""

    storage: Storage
    dtype: str
    offset: int
    shape: tuple[int, ...]
    stride: tuple[int, ...]

    @property
    def bytes(self) -> int:
        return _product(self.shape) * SIZES[self.dtype]

    def tensor(self) -> Any:
        """The torch.Tensor, on the file's own memory."""
        import torch

        if self.storage.data is None:
            raise SourceError("a tensor was pickled without its bytes")
        if not self.storage.bytes:
            return torch.empty(self.shape, dtype=getattr(torch, self.dtype))
        return torch.empty(0, dtype=getattr(torch, self.dtype)).set_(self.storage.data(), self.offset, self.shape, self.stride)


@dataclass(eq=False, slots=True)
class Array:
    """A numpy array, rebuilt from bytes that lie in the pickle."""

    dtype: str = ""
    shape: tuple[int, ...] = ()
    fortran: bool = False
    data: bytes = field(default=b"", repr=False)

    @property
    def bytes(self) -> int:
        return len(self.data)

    def tensor(self) -> Any:
        import numpy as np
        import torch

        array = np.frombuffer(bytearray(self.data), _array_dtype(self.dtype)).reshape(self.shape, order="F" if self.fortran else "C")
        return torch.from_numpy(np.ascontiguousarray(array.astype(array.dtype.newbyteorder("="))).reshape(self.shape))


@dataclass(eq=False, slots=True)
class ArrayType:
    code: str
    order: str = "="


def hashable(key: Any) -> Any:
    """A key of a dict or set; hashing a deep tuple would overflow the stack."""
    if type(key) is tuple and all(type(part) in _SCALARS for part in key) or type(key) in (*_SCALARS, Stored, Global):
        return key
    raise Damaged("its pickle has a key that is no plain value")


_SCALARS = (str, int, float, bool, bytes, complex, type(None))


def as_text(value: Any) -> str:
    return value.decode("ascii") if type(value) is bytes else str(value) if type(value) in (str, int) else ""


def _whole(values: Any) -> tuple[int, ...]:
    values = tuple(values) if type(values) in (tuple, list) else (values,)
    if any(type(value) is not int or not 0 <= value < 2**62 for value in values) or len(values) > 64:
        raise Damaged("a tensor has an impossible shape")
    return values


def _product(shape: tuple[int, ...]) -> int:
    count = 1
    for size in shape:
        count *= size
    return count


def _tensor(machine: Machine, storage: Any, offset: Any, shape: Any, stride: Any, *_: Any, dtype: str | None = None) -> Stored:
    if type(storage) is not Storage:
        raise Damaged("a tensor has no storage")
    (offset,), shape, stride = _whole(offset), _whole(shape), _whole(stride)
    dtype = dtype or storage.dtype
    here = storage.bytes // SIZES[dtype]
    last = offset + sum((size - 1) * step for size, step in zip(shape, stride))
    if len(shape) != len(stride) or (0 not in shape and last >= here) or _product(shape) > here + SPREAD:
        raise Damaged("a tensor reaches beyond its storage")
    return Stored(storage, dtype, offset, shape, stride)


def _tensor_v3(machine: Machine, storage: Any, offset: Any, shape: Any, stride: Any, grad: Any, hooks: Any, dtype: Any, *_: Any) -> Stored:
    if type(dtype) is not Global or dtype.name.removeprefix("torch.") not in SIZES:
        raise Damaged("a tensor has no known dtype")
    return _tensor(machine, storage, offset, shape, stride, dtype=dtype.name.removeprefix("torch."))


def _typed(machine: Machine, function: Any, cls: Any, args: Any, *_: Any) -> Any:
    if not getattr(function, "name", "").startswith("torch._utils._rebuild_"):
        raise Damaged("a tensor is rebuilt by what rebuilds none")
    return machine.call(function, args)


def _first(machine: Machine, value: Any, *_: Any) -> Any:
    return value


def _mapping(machine: Machine, *args: Any) -> OrderedDict:
    made: OrderedDict = OrderedDict()
    for pair in _items(machine, args):
        if type(pair) not in (tuple, list) or len(pair) != 2:
            raise Damaged("its pickle makes a dict of what are no pairs")
        made[hashable(pair[0])] = pair[1]
    return made


def _items(machine: Machine, args: tuple) -> Iterable:
    """The elements a container is made of, counted, since one list could be copied a million times."""
    if not args:
        return ()
    items = args[0].items() if type(args[0]) in (dict, OrderedDict) else args[0]
    if type(args[0]) not in (dict, OrderedDict, list, tuple, set, frozenset):
        raise Damaged("its pickle makes a container of what is none")
    machine.spend(len(args[0]))
    return items


def _set(machine: Machine, *args: Any) -> set:
    return {hashable(item) for item in _items(machine, args)}


def _encode(machine: Machine, text: Any, encoding: Any = "latin1") -> bytes:
    """How protocol 2 writes bytes: as text, to be encoded."""
    if type(text) is bytes:
        return text
    if type(text) is not str or encoding not in ("latin1", "latin-1"):
        raise Damaged("its pickle has bytes in an unknown form")
    machine.spend(len(text))
    return text.encode("latin1")


def _bytes(machine: Machine, *args: Any) -> bytes:
    return _encode(machine, *args) if args else b""


def _complex(machine: Machine, real: Any, imaginary: Any) -> complex:
    return complex(real, imaginary)


def _dtype(machine: Machine, code: Any, *_: Any) -> ArrayType:
    return ArrayType(as_text(code)[:32])


def _array_dtype(code: str) -> Any:
    import numpy as np

    if not _ARRAYS.match(code):
        raise Damaged(f"it has a numpy array of {shown(code)}, which is no number")
    return np.dtype(code)


def fill(machine: Machine, array: Array, dtype: Any, shape: Any, fortran: bool, data: Any) -> None:
    if type(dtype) is not ArrayType:
        raise Damaged("a numpy array has no dtype")
    code = dtype.code if dtype.code[:1] in "<>=|" else ("" if dtype.order == "=" else dtype.order) + dtype.code
    raw = data.encode("latin1") if type(data) is str else bytes(data) if type(data) in (bytes, bytearray) else None
    shape = _whole(shape)
    if raw is None or _product(shape) * _array_dtype(code).itemsize != len(raw):
        raise Damaged("a numpy array is not of its stated size, or holds objects")
    machine.spend(len(raw))
    array.dtype, array.shape, array.fortran, array.data = code, shape, fortran, raw


def _empty_array(machine: Machine, *_: Any) -> Array:
    return Array()


def _buffer_array(machine: Machine, data: Any, dtype: Any, shape: Any, order: Any = "C") -> Array:
    array = Array()
    fill(machine, array, dtype, shape, order == "F", data)
    return array


def _numpy_scalar(machine: Machine, dtype: Any, data: Any) -> Any:
    array = Array()
    fill(machine, array, dtype, (), False, data)
    return array.tensor().item()


def _nested_storage(machine: Machine, data: Any) -> Storage:
    storage = machine.nested(data) if machine.nested is not None and type(data) in (bytes, bytearray) else None
    if type(storage) is not Storage:
        raise Damaged("a tensor has no storage")
    machine.spend(len(data))
    return storage


CALLS: dict[str, Callable[..., Any]] = {
    "collections.OrderedDict": _mapping, "builtins.dict": _mapping, "collections.Counter": _mapping,
    "collections.defaultdict": lambda machine, *args: OrderedDict(),
    "builtins.set": _set, "builtins.frozenset": _set, "builtins.list": lambda machine, *args: list(_items(machine, args)),
    "builtins.tuple": lambda machine, *args: tuple(_items(machine, args)),
    "builtins.bytes": _bytes, "builtins.bytearray": _bytes, "_codecs.encode": _encode, "builtins.complex": _complex,
    "torch._utils._rebuild_tensor": _tensor, "torch._utils._rebuild_tensor_v2": _tensor, "torch._utils._rebuild_tensor_v3": _tensor_v3,
    "torch._utils._rebuild_parameter": _first, "torch._utils._rebuild_parameter_with_state": _first, "torch._tensor._rebuild_from_type_v2": _typed,
    "torch._utils._rebuild_device_tensor_from_numpy": _first, "torch.storage._load_from_bytes": _nested_storage,
    "torch.Size": lambda machine, *args: tuple(_items(machine, args)), "torch.device": _first,
    "numpy.dtype": _dtype, "numpy.core.multiarray._reconstruct": _empty_array, "numpy.core.multiarray.scalar": _numpy_scalar,
    "numpy.core.numeric._frombuffer": _buffer_array,
}  # fmt: skip
PLAIN = {
    "builtins.int", "builtins.float", "builtins.str", "builtins.bool", "numpy.ndarray", "torch.Tensor",
    "torch.nn.parameter.Parameter", "torch.nn.parameter.Buffer", *(f"torch.{name}" for name in SIZES),
}  # fmt: skip


def storage_dtype(name: str) -> str | None:
    owner, _, cls = name.rpartition(".")
    return STORAGES.get(cls.removesuffix("Storage")) if owner in ("torch", "torch.cuda", "torch.storage") and cls.endswith("Storage") else None


def shown(name: str) -> str:
    """A name from a file, fit to be printed."""
    return ascii(name[:80])[1:-1]


