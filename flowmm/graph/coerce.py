"""Plain values at the graph's boundary: what a person or a file gives becomes what a port wants."""

from __future__ import annotations

import math
import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ..catalog import Port
from ..sockets import Image, NotAccepted, Value
from ..sockets.images import open_picture
from ..sockets.types import Choice, ListOf, Plain, Socket, Type, Union, Var, read
from .problems import brief

MOST_PIXELS = 2**28  # of all pictures that a graph names itself: they are in memory at once, and a short text can name one a million times
LEAST_PIXELS = 2**14  # that any picture counts for: a tiny one takes its time as well


@dataclass(slots=True)
class Folder:
    """Where relative paths of a graph file resolve: in base, else where there is such a file in one of the roots. Nothing outside these is reached.

    opened: the pixels of the pictures that were opened here, counted together with the folders of graphs that are used as nodes.
    """

    base: Path
    roots: tuple[Path, ...] = ()
    opened: list[int] = field(default_factory=lambda: [0])

    @property
    def pixels(self) -> int:
        return self.opened[0]

    def resolve(self, text: str) -> Path:
        if "\x00" in text:
            raise NotAccepted("a path cannot hold a null byte")
        try:
            found = self._find(text)
        except (OSError, ValueError, RuntimeError) as error:  # too long, with a lone surrogate, a ring of links
            reason = getattr(error, "strerror", None) or getattr(error, "reason", None) or "its links lead round in a ring"
            raise NotAccepted(f"{brief(text)} is no path: {reason.lower()}") from None
        if found is None:
            raise NotAccepted(f"`{text}` lies outside the graph's folder and those it may read besides (on a server, what --root names); "
                              "on a command line or in Python give the path as an input of the run")  # fmt: skip
        return found

    def picture(self, text: str) -> Any:
        """The PIL picture at a path. Raises NotAccepted, also once all that were opened here have too many pixels together."""
        path = self.resolve(text)
        if self.opened[0] >= MOST_PIXELS:
            raise NotAccepted(f"the pictures of one graph may have {MOST_PIXELS:,} pixels together; image.folder and image.load open more, one by one")
        opened = open_picture(path)
        self.opened[0] += max(opened.width * opened.height, LEAST_PIXELS)
        return opened

    def _find(self, text: str) -> Path | None:
        """The first such file that is there, else where it would be; None: outside."""
        places = [place.resolve() for place in (self.base, *self.roots)]
        inside = []
        for place in places:
            path = place / os.path.expanduser(text)
            found = path.resolve()
            if any(found.is_relative_to(one) for one in places):
                inside.append(found)
                if found.exists():
                    return found
            elif os.path.lexists(path):  # a link that leads out is not passed over in silence
                return None
        return inside[0] if inside else None


def coerce(value: Any, port: Port, folder: Folder | None = None) -> Any:
    """The value as the port wants it. Raises NotAccepted with what came and what was wanted.

    A model's name may be the model itself, an object of this process.
    """
    if port.source and not isinstance(value, (str, type(None))):
        value = _model(value)
    made = _convert(value, port.type, folder)
    if port.between is not None:
        for number in made if isinstance(made, list) else (made,):
            if type(number) in (int, float) and not port.between.holds(number):
                raise NotAccepted(f"{brief(number)} is out of range: {port.between}")
    if port.source and folder is not None and type(made) is str and not made.startswith(("zoo:", "hf:")):
        made = str(folder.resolve(made))
    return made


def accept(value: Any, hint: Any) -> Any:
    """A plain value as a socket, or a list or union of them, takes it: accept("star.png", Image). Raises NotAccepted."""
    return _convert(value, read(hint), None)


def _model(value: Any) -> Any:
    if isinstance(value, os.PathLike):
        return os.fspath(value)
    if isinstance(value, (bool, int, float, list, tuple)):
        return value  # the port's type says what is wrong with it
    from ..models import live

    try:
        return live.name(value)
    except ValueError as error:
        raise NotAccepted(str(error)) from None


def _convert(value: Any, type_: Type, folder: Folder | None) -> Any:
    if isinstance(type_, Plain):
        return _plain(value, type_.cls, folder)
    if isinstance(type_, Choice):
        if any(type(value) is type(choice) and value == choice for choice in type_.values):
            return value
        raise NotAccepted(f"{brief(value)} is none of {', '.join(map(repr, type_.values))}")
    if isinstance(type_, Socket):
        if isinstance(value, Value):
            if isinstance(value, type_.cls):
                return value
            raise NotAccepted(f"a {type(value).__name__} is no {type_.cls.__name__}")
        if issubclass(type_.cls, Image):
            value = _pictures(value, folder)
        return type_.cls.accept(value)
    if isinstance(type_, ListOf):
        if not isinstance(value, (list, tuple)):
            raise NotAccepted(f"a {type_} is wanted, not {brief(value)}")
        return [_convert(item, type_.item, folder) for item in value]
    if isinstance(type_, Union):
        return _member(value, type_, folder)
    if isinstance(type_, Var) and isinstance(value, (str, int, float, bool, type(None), Value, list)):
        return value
    raise NotAccepted(f"{brief(value)} is no {type_}")


def _member(value: Any, type_: Union, folder: Folder | None) -> Any:
    """The first member that takes the value as it is, else the first that can convert it."""
    exact = [m for m in type_.members if isinstance(m, Plain) and m.cls is type(value)]
    reasons = []
    for member in exact + [m for m in type_.members if m not in exact]:
        try:
            return _convert(value, member, folder)
        except NotAccepted as error:
            if not (isinstance(member, Plain) and member.cls is type(None)):
                reasons.append(str(error))
    raise NotAccepted(reasons[0] if len(reasons) == 1 else f"{brief(value)} is no {type_}")


def _plain(value: Any, cls: type, folder: Folder | None) -> Any:
    if type(value) is cls and cls is not float:
        return value
    if cls is float and type(value) in (int, float):
        try:
            made = float(value)
        except OverflowError:
            made = math.inf
        if not math.isfinite(made):
            raise NotAccepted(f"a finite number is wanted, not {brief(value)}")
        return made
    if cls is Path and isinstance(value, (str, os.PathLike)):
        text = os.fspath(value)
        if "\x00" in text:
            raise NotAccepted("a path cannot hold a null byte")
        return folder.resolve(text) if folder else Path(text).expanduser().absolute()
    names = {int: "a whole number", float: "a number", str: "a string", bool: "true or false", Path: "a path", type(None): "nothing"}
    raise NotAccepted(f"{names[cls]} is wanted, not {brief(value)}")


def _pictures(value: Any, folder: Folder | None) -> Any:
    """Strings given for pictures are paths."""
    if isinstance(value, (list, tuple)):
        return [_pictures(item, folder) for item in value]
    if not isinstance(value, (str, os.PathLike)):
        return value
    text = os.fspath(value)
    if "\x00" in text:
        raise NotAccepted("a path cannot hold a null byte")
    return folder.picture(text) if folder else Path(text).expanduser()
