"""Axes of a sweep: the values an input is to take, given in Python or written on a command line."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Iterator
from decimal import Decimal, InvalidOperation, Overflow
from itertools import islice
from pathlib import Path
from typing import Any

from ..graph.problems import GraphError, Problem, brief
from ..graph.signature import Parameter
from ..sockets import Text
from ..sockets.types import NONE, Choice, ListOf, Plain, Socket, Type, Union
from .png import names_files

MOST_CELLS = 100_000
PICTURES = frozenset((".png", ".jpg", ".jpeg", ".webp", ".bmp", ".gif", ".tif", ".tiff"))


def axis(parameter: Parameter, given: Any) -> list[Any] | None:
    """The values of an input in a sweep, or None where one value is meant for all cells. Raises GraphError.

    given: a list, range or other iterable; a Path to a file of lines, or to a folder of pictures. For an input that itself takes a list
    only a list of lists is an axis.
    """
    return several(parameter.name, given, lists=takes_list(parameter), files=names_files(parameter.port))


def several(name: str, given: Any, *, lists: bool, files: bool) -> list[Any] | None:
    """As axis, of an input that is known by name. lists: whether it takes lists itself; files: whether it names files."""
    if isinstance(given, Path) and (given.is_dir() or not files):
        return from_path(name, given)
    if isinstance(given, (str, bytes, dict, Path)) or not isinstance(given, Iterable) or hasattr(given, "is_socket") or hasattr(given, "shape"):
        return None
    if not isinstance(given, (list, tuple, range, set, Iterator)):
        return None
    values = list(islice(given, MOST_CELLS + 1))
    if lists and len(values) <= MOST_CELLS and not all(isinstance(value, (list, tuple)) for value in values):
        return None
    return bounded(name, values)


def takes_list(parameter: Parameter) -> bool:
    """Whether one value of an input may be a list."""
    return any(isinstance(member, ListOf) for member in _members(parameter.type))


def written(parameter: Parameter, text: str, *, trusted: bool = True) -> list[Any]:
    """An axis as people write it: 0..7, 0..1..0.25 (both ends count), a,b,c, several lines, a JSON list, @FILE of lines, or a folder; of an input
    that takes nothing but lists one list a line, in the line its items as elsewhere.

    trusted: whether files may be named. Raises GraphError.
    """
    name = parameter.name
    if trusted and text.startswith("@"):
        return from_path(name, Path(text[1:]).expanduser())
    if trusted and names_files(parameter.port) and Path(text).expanduser().is_dir():
        return from_path(name, Path(text).expanduser())
    members = _members(parameter.type)
    return bounded(name, spelled(name, text, lists=all(isinstance(member, ListOf) for member in members), texts=all(map(_is_text, members))))


def spelled(name: str, text: str, *, lists: bool = False, texts: bool = False) -> list[Any]:
    """The values that words stand for: as `written`, but for files. name: of what is to take them. lists: each value is a list. texts: what looks
    like a number is a text as well. Raises GraphError."""
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    if lists:
        whole = _json(text)
        return whole if whole and all(isinstance(one, list) for one in whole) else _lists(name, lines, texts)
    if text.lstrip().startswith("["):
        found = _json(text)
        if found is None:
            raise _bad(name, f"{brief(text)} is no JSON list", 'Write ["a", "b"].')
        return found
    if len(lines) > 1:
        return [_plain(line, texts) for line in lines]
    if ".." in text and not texts and (numbers := _numbers(name, text)) is not None:
        return numbers
    parts = [part.strip() for part in text.split(",")]
    if not parts[-1] and not texts:  # a comma at the end: no number comes after it, but an empty text may
        parts.pop()
    return [_plain(part, texts) for part in parts if text.strip()]


def _lists(name: str, lines: list[str], texts: bool) -> list[list[Any]]:
    """A list a line; all together no longer than an axis, as a few letters may stand for many numbers."""
    found, count = [], 0
    for line in lines:
        found.append(spelled(name, line, texts=texts))
        count += len(found[-1])
        _few(name, count)
    return found


def bounded(name: str, values: list[Any]) -> list[Any]:
    """Values that are an axis whatever they are: at least one, and not too many. Raises GraphError."""
    _few(name, len(values))
    if not values:
        raise _bad(name, "there is no value", "Give at least one.")
    return values


def _few(name: str, count: int) -> None:
    if count > MOST_CELLS:
        raise _bad(name, f"there are more than {MOST_CELLS:,} values", "Give fewer.")


def from_path(name: str, path: Path) -> list[Any]:
    """The lines of a file that hold something, or the pictures of a folder, in the order of their names. Raises GraphError."""
    try:
        if path.is_dir():
            values: list[Any] = [str(one) for one in sorted(path.iterdir()) if one.suffix.lower() in PICTURES and not one.name.startswith(".")]
            what = "there is no picture in the folder"
        else:
            values = [line for line in path.read_text("utf-8-sig").splitlines() if line.strip()]
            what = "there is no line in the file"
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or "it is no text in UTF-8"
        raise _bad(name, f"`{path}` cannot be read: {reason.lower()}", "Check the name.") from None
    if not values:
        raise _bad(name, f"{what} `{path}`", "Give another.")
    if len(values) > MOST_CELLS:
        raise _bad(name, f"`{path}` holds more than {MOST_CELLS:,} values", "Give fewer.")
    return values


def _numbers(name: str, text: str) -> list[int] | list[float] | None:
    """Of 0..7 or 0..1..0.25; both ends count. None where these are no numbers."""
    try:
        return _between(name, text)
    except (Overflow, OverflowError):
        raise _bad(name, f"{brief(text)} has numbers that are too large", "Write smaller ones.") from None


def _between(name: str, text: str) -> list[int] | list[float] | None:
    parts = text.split("..")
    try:
        first, last, step = (Decimal(part) for part in (*parts, "1")[:3]) if len(parts) in (2, 3) else (None, None, None)
    except InvalidOperation:
        return None
    if first is None:
        return None
    if not step or not all(map(Decimal.is_finite, (first, last, step))) or (last - first) * step < 0:
        raise _bad(name, f"{brief(text)} never gets from its first number to its last", "Write FIRST..LAST or FIRST..LAST..STEP.")
    count = (last - first) / step
    if count >= MOST_CELLS:
        raise _bad(name, f"{brief(text)} is more than {MOST_CELLS:,} values", "Take a larger step.")
    values = [first + i * step for i in range(math.floor(count) + 1)]
    whole = all("." not in part and "e" not in part.lower() for part in parts)
    found = [int(value) for value in values] if whole else [float(value) for value in values]
    if not all(map(math.isfinite, found)):
        raise OverflowError
    return found


def _members(type_: Type) -> list[Type]:
    """The members of a type without None."""
    return [member for member in (type_.members if isinstance(type_, Union) else (type_,)) if member != NONE]


def _is_text(type_: Type) -> bool:
    """Whether all that may come here, alone or in a list, are texts."""
    if isinstance(type_, ListOf):
        return all(map(_is_text, _members(type_.item)))
    if isinstance(type_, Choice):
        return all(isinstance(value, str) for value in type_.values)
    return isinstance(type_, (Plain, Socket)) and issubclass(type_.cls, (str, Path, Text))


def _plain(text: str, texts: bool) -> Any:
    try:
        value = _parsed(text)
    except (ValueError, RecursionError):
        return text
    return text if isinstance(value, (list, dict)) or texts and not isinstance(value, str) else value


def _json(text: str) -> list[Any] | None:
    """The list that a text is as JSON; None where it is none."""
    try:
        value = _parsed(text)
    except (ValueError, RecursionError):
        return None
    return value if isinstance(value, list) else None


def _parsed(text: str) -> Any:
    """JSON as it is defined: Python's own reading takes NaN and infinities too. Raises ValueError."""
    return json.loads(text, parse_float=_finite, parse_constant=_finite)


def _finite(text: str) -> float:
    if not math.isfinite(value := float(text)):
        raise ValueError(f"{text} is no number of JSON")
    return value


def _bad(name: str, message: str, fix: str) -> GraphError:
    return GraphError([Problem("bad-axis", f"the input `{name}` cannot be swept over: {message}", fix=fix)])
