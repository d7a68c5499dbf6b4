"""Reading the instructions of a pickle without obeying them.

A pickle is a program, and loading one may run anything. Here a tensor becomes a record of where its bytes lie, a few containers and
numpy values are rebuilt by code of ours, an allowed class becomes an inert object, and any other name is refused as it is met.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Iterable
from pickletools import genops
from typing import Any

from .pickled import CALLS, PLAIN, Array, ArrayType, Damaged, Forbidden, Global, Inert, Storage, Stored, as_text, fill, hashable, storage_dtype
from .weights import SourceError

# Hyperparameters that training programs leave beside the weights; harmless, since they become inert.
HARMLESS = frozenset({
    "argparse.Namespace", "pathlib.Path", "pathlib.PosixPath", "pathlib.WindowsPath", "pathlib.PurePosixPath",
    "pytorch_lightning.callbacks.model_checkpoint.ModelCheckpoint", "pytorch_lightning.utilities.parsing.AttributeDict",
})  # fmt: skip
COPIES = 8  # elements and bytes copied for each byte of a pickle; an honest one needs three


class Machine:
    """Reads one pickle. file: its name in errors. stand_ins: classes that become inert. storage: (key, dtype, count) → Storage."""

    def __init__(self, file: str, stand_ins: Iterable[str], storage: Callable[[str, str, int], Storage], nested: Callable[[bytes], Any] | None = None):
        self.file = file
        self.stand_ins = HARMLESS | frozenset(stand_ins)
        self.storage, self.nested = storage, nested
        self.stack: list[Any] = []
        self.marks: list[int] = []
        self.memo: dict[int, Any] = {}

    def read(self, stream: Any, size: int) -> Any:
        """The value a pickle makes. stream: binary, left after the pickle's end. size: its bytes, which bound what may be copied.

        Raises Forbidden, or Damaged.
        """
        self.stack, self.marks, self.memo, self.budget = [], [], {}, COPIES * size
        try:
            for opcode, argument, _ in genops(stream):
                if opcode.name == "STOP":
                    return self.stack.pop()
                step = STEPS.get(opcode.name)
                if step is None:
                    raise Damaged(f"the instruction {opcode.name} belongs in no weights")
                step(self, argument)
        except SourceError:
            raise
        except (ValueError, IndexError, KeyError, TypeError, AttributeError, AssertionError, OverflowError, MemoryError, RecursionError) as error:
            raise Damaged("its pickle is cut short or damaged") from error
        raise Damaged("its pickle has no end")

    def spend(self, count: int) -> None:
        self.budget -= count
        if self.budget < 0:
            raise Damaged("its pickle would grow far beyond its size")

    def popped(self) -> list:
        start = self.marks.pop()
        items = self.stack[start:]
        del self.stack[start:]
        return items

    def name(self, full: str) -> None:
        full = full.replace("__builtin__.", "builtins.", 1) if full.startswith("__builtin__.") else full
        full = full.replace("numpy._core.", "numpy.core.", 1) if full.startswith("numpy._core.") else full
        if full not in CALLS and full not in self.stand_ins and full not in PLAIN and storage_dtype(full) is None:
            raise Forbidden(self.file, full)
        self.stack.append(Global(full))

    def call(self, function: Any, args: Any) -> Any:
        if type(function) is not Global or type(args) is not tuple:
            raise Damaged("its pickle calls what is no function")
        if function.name in self.stand_ins:
            return Inert(function.name, args)
        if function.name not in CALLS:
            raise Forbidden(self.file, f"{function.name}()")
        return CALLS[function.name](self, *args)

    def persistent(self, place: Any) -> Storage | Global:
        if _is_module(place):
            return place[1]
        kind, cls, key, _location, count, *view = place
        dtype = storage_dtype(cls.name)
        if as_text(kind) != "storage" or dtype is None or type(count) is not int or count < 0:
            raise Damaged("its pickle points at what is no storage")
        if view and view[0] is not None:
            raise Damaged("it was written by PyTorch before 0.4 with shared storages: load and save it with PyTorch first")
        return self.storage(as_text(key), dtype, count)

    def build(self, thing: Any, state: Any) -> None:
        """What an object's state does to it: much for a stand-in, nothing for a container or a tensor."""
        if type(thing) is Inert:
            for part in state if type(state) is tuple else (state,):
                if type(part) is dict or type(part) is OrderedDict:
                    self.spend(len(part))
                    thing.__dict__.update((name, value) for name, value in part.items() if type(name) is str)
                elif part is not None:
                    thing.items.append(part)
        elif type(thing) is Array:
            _version, shape, dtype, fortran, data = state
            fill(self, thing, dtype, shape, bool(fortran), data)
        elif type(thing) is ArrayType:
            thing.order = "=" if state[1] == "|" else str(state[1])
        elif type(thing) not in (OrderedDict, dict, set, Stored):
            raise Damaged("its pickle gives a state to what has none")


def _is_module(place: Any) -> bool:
    """Whether this is how the older stream writes a module's class: with its source code, which is not looked at."""
    return type(place) is tuple and len(place) == 4 and as_text(place[0]) == "module" and type(place[1]) is Global


def _put(container: Any, pairs: list) -> None:
    if type(container) is Inert:
        container.items += zip(pairs[::2], pairs[1::2])
    elif type(container) in (dict, OrderedDict):
        for key, value in zip(pairs[::2], pairs[1::2]):
            container[hashable(key)] = value
    else:
        raise Damaged("its pickle puts items into what holds none")


def _extend(container: Any, items: list) -> None:
    if type(container) not in (list, Inert):
        raise Damaged("its pickle appends to what is no list")
    (container if type(container) is list else container.items).extend(items)


def _push(machine: Machine, value: Any) -> None:
    machine.stack.append(value)


def _reduce(machine: Machine, _: Any) -> None:
    args, function = machine.stack.pop(), machine.stack.pop()
    machine.stack.append(machine.call(function, args))


def _newobj_ex(machine: Machine, _: Any) -> None:
    named, args, cls = machine.stack.pop(), machine.stack.pop(), machine.stack.pop()
    if named:
        raise Damaged("its pickle makes an object in an unknown way")
    machine.stack.append(machine.call(cls, args))


def _instance(machine: Machine, name: str) -> None:
    args = tuple(machine.popped())
    machine.name(name.replace(" ", ".", 1))
    machine.stack.append(machine.call(machine.stack.pop(), args))


def _object(machine: Machine, _: Any) -> None:
    cls, *args = machine.popped()
    machine.stack.append(machine.call(cls, tuple(args)))


def _stack_global(machine: Machine, _: Any) -> None:
    name, module = machine.stack.pop(), machine.stack.pop()
    if type(name) is not str or type(module) is not str:
        raise Damaged("its pickle names what is no name")
    machine.name(f"{module}.{name}")


def _build(machine: Machine, _: Any) -> None:
    state = machine.stack.pop()
    machine.build(machine.stack[-1], state)


def _set_items(machine: Machine, _: Any) -> None:
    pairs = machine.popped()
    _put(machine.stack[-1], pairs)


def _set_item(machine: Machine, _: Any) -> None:
    value, key = machine.stack.pop(), machine.stack.pop()
    _put(machine.stack[-1], [key, value])


def _new_dict(machine: Machine, _: Any) -> None:
    pairs = machine.popped()
    machine.stack.append({})
    _put(machine.stack[-1], pairs)


def _append(machine: Machine, _: Any) -> None:
    item = machine.stack.pop()
    _extend(machine.stack[-1], [item])


def _appends(machine: Machine, _: Any) -> None:
    items = machine.popped()
    _extend(machine.stack[-1], items)


def _add_items(machine: Machine, _: Any) -> None:
    items = machine.popped()
    if type(machine.stack[-1]) is not set:
        raise Damaged("its pickle adds to what is no set")
    machine.stack[-1].update(map(hashable, items))


def _pop(machine: Machine, _: Any) -> None:
    if machine.marks and machine.marks[-1] == len(machine.stack):
        machine.marks.pop()
    else:
        machine.stack.pop()


def _tuple(count: int) -> Callable[[Machine, Any], None]:
    def step(machine: Machine, _: Any) -> None:
        machine.stack[-count:] = [tuple(machine.stack[-count:])]

    return step


def _remember(machine: Machine, index: Any) -> None:
    machine.memo[len(machine.memo) if index is None else index] = machine.stack[-1]


LITERALS = ("INT BININT BININT1 BININT2 LONG LONG1 LONG4 STRING BINSTRING SHORT_BINSTRING BINBYTES SHORT_BINBYTES BINBYTES8 BYTEARRAY8 "
             "UNICODE SHORT_BINUNICODE BINUNICODE BINUNICODE8 FLOAT BINFLOAT")  # fmt: skip
STEPS: dict[str, Callable[[Machine, Any], None]] = {
    "PROTO": lambda machine, _: None, "FRAME": lambda machine, _: None,
    **dict.fromkeys(LITERALS.split(), _push),
    "NONE": lambda machine, _: machine.stack.append(None), "NEWTRUE": lambda machine, _: machine.stack.append(True),
    "NEWFALSE": lambda machine, _: machine.stack.append(False),
    "EMPTY_LIST": lambda machine, _: machine.stack.append([]), "EMPTY_TUPLE": lambda machine, _: machine.stack.append(()),
    "EMPTY_DICT": lambda machine, _: machine.stack.append({}), "EMPTY_SET": lambda machine, _: machine.stack.append(set()),
    "LIST": lambda machine, _: machine.stack.append(machine.popped()), "TUPLE": lambda machine, _: machine.stack.append(tuple(machine.popped())),
    "FROZENSET": lambda machine, _: machine.stack.append(set(map(hashable, machine.popped()))), "DICT": _new_dict,
    "TUPLE1": _tuple(1), "TUPLE2": _tuple(2), "TUPLE3": _tuple(3),
    "APPEND": _append, "APPENDS": _appends, "SETITEM": _set_item, "SETITEMS": _set_items, "ADDITEMS": _add_items,
    "MARK": lambda machine, _: machine.marks.append(len(machine.stack)), "POP": _pop, "POP_MARK": lambda machine, _: machine.popped() and None,
    "DUP": lambda machine, _: machine.stack.append(machine.stack[-1]),
    **dict.fromkeys(("PUT", "BINPUT", "LONG_BINPUT", "MEMOIZE"), _remember),
    **dict.fromkeys(("GET", "BINGET", "LONG_BINGET"), lambda machine, index: machine.stack.append(machine.memo[index])),
    "GLOBAL": lambda machine, name: machine.name(name.replace(" ", ".", 1)), "STACK_GLOBAL": _stack_global,
    "REDUCE": _reduce, "NEWOBJ": _reduce, "NEWOBJ_EX": _newobj_ex, "INST": _instance, "OBJ": _object, "BUILD": _build,
    "BINPERSID": lambda machine, _: machine.stack.append(machine.persistent(machine.stack.pop())),
}  # fmt: skip
