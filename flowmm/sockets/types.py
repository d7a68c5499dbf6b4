"""What may flow on an edge: types, read from annotations, and which fits into which.

A type is one of
    Plain(int)            a Python scalar, Path, or None
    Choice(("a", "b"))    a Literal
    Socket(Latent, (S,))  a value or handle class with its spaces
    ListOf(item)          covariant
    Union(members)        at least two, none of them a union
    Var                   a type variable, or a named unknown space
    Space                 a known space (only inside Socket.args)

Assignability is the transitive closure of: same, subtype, union member, int → float,
literal → its type, T → T | None, covariant list. Nothing else is implicit.
"""

from __future__ import annotations

import pathlib
import types
import typing
from dataclasses import dataclass
from typing import Any

from .spaces import Space

PLAIN = (int, float, bool, str, pathlib.Path, type(None))
MOST_CHOICES_SHOWN = 12
PLAIN_NAMES = {int: "int", float: "float", bool: "bool", str: "str", pathlib.Path: "Path", type(None): "None"}


class Var:
    """A type or space not known yet. Two Vars are the same only if they are one object.

    label is how a person reads it: "S", or "the latent space of `model`".
    """

    __slots__ = ("label",)

    def __init__(self, label: str):
        self.label = label

    def __str__(self) -> str:
        return self.label

    __repr__ = __str__


@dataclass(frozen=True, slots=True)
class Plain:
    cls: type

    def __str__(self) -> str:
        return PLAIN_NAMES[self.cls]


@dataclass(frozen=True, slots=True)
class Choice:
    values: tuple

    def __str__(self) -> str:
        shown = [repr(v) for v in self.values[:MOST_CHOICES_SHOWN]]
        if len(self.values) > MOST_CHOICES_SHOWN:
            shown.append(f"{len(self.values) - MOST_CHOICES_SHOWN:,} others")
        return " or ".join(shown)

    def __eq__(self, other) -> bool:  # 1 and True are different choices, though Python says 1 == True
        return isinstance(other, Choice) and _tagged(self.values) == _tagged(other.values)

    def __hash__(self) -> int:
        return hash(_tagged(self.values))


@dataclass(frozen=True, slots=True)
class Socket:
    cls: type
    args: tuple[Any, ...] = ()

    def __str__(self) -> str:
        return f"{self.cls.__name__}[{', '.join(map(str, self.args))}]" if self.args else self.cls.__name__


@dataclass(frozen=True, slots=True)
class ListOf:
    item: Any

    def __str__(self) -> str:
        return f"list[{self.item}]"


@dataclass(frozen=True, slots=True)
class Union:
    members: tuple[Any, ...]

    def __str__(self) -> str:
        return " | ".join(map(str, self.members))

    def __eq__(self, other) -> bool:
        return isinstance(other, Union) and set(self.members) == set(other.members)

    def __hash__(self) -> int:
        return hash(frozenset(self.members))


Type = Plain | Choice | Socket | ListOf | Union | Var | Space
NONE = Plain(type(None))


def _tagged(values: tuple) -> frozenset:
    return frozenset((type(v).__name__, v) for v in values)


def union(members: typing.Iterable[Type]) -> Type:
    """The union of types, flattened and without repeats; one member stands for itself.

    Raises TypeError for two generics of one class: Latent[S] | Latent[T] cannot be told apart by its value.
    """
    flat = flatten(members)
    classes = [part.cls for part in flat if isinstance(part, Socket)]
    for cls in classes:
        if classes.count(cls) > 1:
            raise TypeError(f"a union may not hold {cls.__name__} twice with different spaces")
    return one_of(flat)


def flatten(members: typing.Iterable[Type]) -> list[Type]:
    """The members of a union, those of inner unions among them, each once and in order."""
    parts = (part for member in members for part in (member.members if isinstance(member, Union) else (member,)))
    return list(dict.fromkeys(parts))


def one_of(members: list[Type]) -> Type:
    """The union of flattened members; a single one stands for itself."""
    return members[0] if len(members) == 1 else Union(tuple(members))


def read(annotation: Any, variables: dict[Any, Var] | None = None) -> Type:
    """The type an annotation means.

    variables collects the signature's TypeVars, so that one TypeVar is one Var; a bare generic socket
    gets fresh variables. Raises TypeError for what cannot flow on an edge.
    """
    variables = {} if variables is None else variables
    origin = typing.get_origin(annotation)
    if origin is typing.Annotated:
        return read(typing.get_args(annotation)[0], variables)
    if annotation is None:
        return NONE
    if isinstance(annotation, typing.TypeVar):
        return variables.setdefault(annotation, Var(annotation.__name__))
    if isinstance(annotation, (Space, Var)):
        return annotation
    if annotation in PLAIN:
        return Plain(annotation)
    if origin in (typing.Union, types.UnionType):
        return union(read(arg, variables) for arg in typing.get_args(annotation))
    if origin is typing.Literal:
        values = typing.get_args(annotation)
        if not all(isinstance(value, (str, int, bool, type(None))) for value in values):
            raise TypeError(f"{annotation!r} is no socket type: choices are strings, integers or booleans")
        choices = tuple(value for value in values if value is not None)  # None is a type of its own, so that it has one form
        return union([Choice(choices)] * bool(choices) + [NONE] * (len(choices) < len(values)))
    if origin is list:
        return ListOf(read(typing.get_args(annotation)[0], variables))
    cls = origin or annotation
    if isinstance(cls, type) and getattr(cls, "is_socket", False) is True:  # a Path has a method of that name
        parameters = getattr(cls, "__parameters__", ())
        args = typing.get_args(annotation)
        if not args:
            return Socket(cls, tuple(Var(p.__name__) for p in parameters))
        return Socket(cls, tuple(read(arg, variables) for arg in args))
    raise TypeError(f"{annotation!r} is no socket type: use a socket class, int, float, bool, str, Path, Literal, list or a union")


def instantiate(type_: Type, fresh: dict[Var, Var]) -> Type:
    """A copy of a signature's type whose variables belong to one node: fresh maps old to new, and grows."""
    if isinstance(type_, Var):
        if type_ not in fresh:
            fresh[type_] = Var(type_.label)
        return fresh[type_]
    if isinstance(type_, Socket) and type_.args:
        return Socket(type_.cls, tuple(instantiate(arg, fresh) for arg in type_.args))
    if isinstance(type_, ListOf):
        return ListOf(instantiate(type_.item, fresh))
    if isinstance(type_, Union):
        return Union(tuple(instantiate(member, fresh) for member in type_.members))
    return type_


def has_variables(type_: Type) -> bool:
    if isinstance(type_, Var):
        return True
    if isinstance(type_, Socket):
        return any(map(has_variables, type_.args))
    if isinstance(type_, ListOf):
        return has_variables(type_.item)
    return isinstance(type_, Union) and any(map(has_variables, type_.members))


def of_literal(value: Any) -> Type:
    """The type of a plain value or of a Value: the narrowest one, so that a literal fits a Choice."""
    if value is None:
        return NONE
    if isinstance(value, (bool, int, str)):
        return Choice((value,))
    if isinstance(value, float):
        return Plain(float)
    if isinstance(value, list):
        items = [of_literal(item) for item in value]
        # One Choice for all scalars: a list of many must not become a union of as many.
        scalars = {(type(v), v): v for item in items if isinstance(item, Choice) for v in item.values}
        others = flatten(item for item in items if not isinstance(item, Choice))
        members = [Choice(tuple(scalars.values()))] * bool(scalars) + others
        return ListOf(one_of(members)) if members else ListOf(Var("anything"))
    if getattr(type(value), "is_socket", False) is True:
        return read(type(value))
    raise TypeError(f"{type(value).__name__} is not a plain value")


def is_subclass(source: type, target: type) -> bool:
    """Subtyping between plain classes and sockets. bool is no int here: true for a step count is a mistake."""
    if source is target or (source is int and target is float):
        return True
    return source not in PLAIN and target not in PLAIN and issubclass(source, target)


def assignable(source: Type, target: Type) -> bool:
    """Whether a value of the (variable-free) type source may flow into a port of type target."""
    from .unify import Bindings

    return Bindings().fit(source, target) is None
