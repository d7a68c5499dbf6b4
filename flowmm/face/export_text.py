"""Python text: names that clash with nothing, values as they are written, lines that fit."""

from __future__ import annotations

import os
from collections.abc import Collection
from pathlib import Path
from typing import Any

from ..catalog import Port
from ..graph.coerce import Folder, coerce
from ..graph.signature import Parameter
from ..sockets import NotAccepted
from ..sockets.types import NONE, Choice, ListOf, Plain, Socket, Type, Union, Var
from .png import names_files

WIDTH = 120
LONGEST = 88  # of a string in one piece


class Names:
    """Names that are free. A scope within sees those around it."""

    def __init__(self, taken: Collection[str]):
        self.taken = set(taken)

    def take(self, name: str) -> None:
        self.taken.add(name)

    def new(self, wanted: str) -> str:
        """The wanted name, or one like it that is free."""
        name, number = wanted, 1
        while name in self.taken:
            number += 1
            name = f"{wanted}_" if number == 2 else f"{wanted}_{number}"
        self.taken.add(name)
        return name

    def within(self) -> Names:
        return Names(self.taken)


class Values:
    """Values as Python writes them, and what has to be imported for them. out: where the script will lie."""

    def __init__(self, out: Path | None):
        self.folder = None if out is None else out.resolve().parent
        self.classes: dict[type, None] = {}
        self.accept = self.shipped = self.here = self.literal = self.itertools = False

    def hint(self, type_: Type) -> str:
        """A type as an annotation."""
        if isinstance(type_, Union):
            return " | ".join(map(self.hint, type_.members))
        if isinstance(type_, ListOf):
            return f"list[{self.hint(type_.item)}]"
        if isinstance(type_, Choice):
            self.literal = True
            return f"Literal[{', '.join(map(quoted, type_.values))}]"
        if isinstance(type_, Socket):
            self.classes[type_.cls] = None
            return type_.cls.__name__
        return "None" if type_ == NONE else type_.cls.__name__ if isinstance(type_, Plain) else "object"

    def taken(self, expression: str, type_: Type) -> str:
        """An expression, as a port of this type takes what it gives."""
        self.accept = True
        return f"accept({expression}, {self.hint(type_)})"

    def literal_of(self, value: Any, port: Port, folder: Folder | None) -> str:
        """A value of the graph, as a port of it takes it."""
        if value is None:
            return "None"
        if port.source and isinstance(value, str):
            return self.source(value, folder)
        if names_files(port):
            return self.taken(self.paths(value, folder), without_none(port.type))
        made = coerce(value, port, folder)
        return quoted(made) if is_plain(made) else self.taken(quoted(value), without_none(port.type))

    def default(self, parameter: Parameter, folder: Folder | None) -> str:
        """An input's default, as a person would give it."""
        value, port = parameter.default, parameter.port
        if value is None:
            return "None"
        if port.source and isinstance(value, str):
            return self.source(value, folder)
        if names_files(port):
            return self.paths(value, folder)
        try:
            made = coerce(value, port, folder)
        except NotAccepted:  # of an input that feeds nothing: nobody minds
            made = value
        return quoted(made) if is_plain(made) else quoted(value)

    def source(self, text: str, folder: Folder | None) -> str:
        return quoted(text) if text.startswith(("zoo:", "hf:")) else f"str({self.path(text, folder)})"

    def paths(self, value: Any, folder: Folder | None) -> str:
        if isinstance(value, list):
            return f"[{', '.join(self.paths(item, folder) for item in value)}]"
        return self.path(value, folder) if isinstance(value, str) else quoted(value)

    def path(self, text: str, folder: Folder | None) -> str:
        """A path of the graph: among what comes with flowmm, from where the script lies, or as it is."""
        from .find import shipped

        found = folder.resolve(text) if folder is not None else Path(os.path.expanduser(text)).absolute()
        if found.is_relative_to(shipped().resolve()):
            self.shipped = True
            return f"shipped() / {quoted(found.relative_to(shipped().resolve()).as_posix())}"
        if self.folder is None:
            return f"Path({quoted(str(found))})"
        self.here = True
        return f"HERE / {quoted(Path(os.path.relpath(found, self.folder)).as_posix())}"


def is_plain(value: Any) -> bool:
    return all(map(is_plain, value)) if isinstance(value, (list, tuple)) else isinstance(value, (str, int, float, bool, type(None)))


def without_none(type_: Type) -> Type:
    members = [member for member in type_.members if member != NONE] if isinstance(type_, Union) else [type_]
    return members[0] if len(members) == 1 else Union(tuple(members))


def is_raw(type_: Type) -> bool:
    """Whether a plain value goes into a port of this type as it is."""
    if isinstance(type_, Union):
        return all(map(is_raw, type_.members))
    if isinstance(type_, ListOf):
        return is_raw(type_.item)
    return isinstance(type_, (Choice, Var)) or isinstance(type_, Plain) and type_.cls is not Path


def quoted(value: Any) -> str:
    """A plain value as Python writes it, strings in double quotes where that reads well."""
    if isinstance(value, list):
        return f"[{', '.join(map(quoted, value))}]"
    if isinstance(value, dict):
        return f"{{{', '.join(f'{quoted(key)}: {quoted(one)}' for key, one in value.items())}}}"
    if not isinstance(value, str):
        return repr(value)
    if len(value) > LONGEST:
        cuts = range(0, len(value), LONGEST)
        return "(" + " ".join(quoted(value[i : i + LONGEST]) for i in cuts) + ")"
    text = repr(value)
    return f'"{text[1:-1]}"' if text.startswith("'") and '"' not in text and "\\'" not in text else text


def call(head: str, arguments: list[str], indent: str, tail: str = "", apart: bool = False) -> str:
    """A call in one line, or over several; apart: each argument in one of its own."""
    line = f"{indent}{head}({', '.join(arguments)}){tail}"
    if len(line) <= WIDTH or not arguments:
        return line
    return f"{indent}{head}(\n{filled(arguments, indent + '    ', apart)}\n{indent}){tail}"


def filled(items: list[str], indent: str, apart: bool = False) -> str:
    """Items with commas, as many in a line as fit; one that is too long over several."""
    lines: list[str] = []
    for item in items:
        if not apart and lines and len(lines[-1]) + len(item) + 2 <= WIDTH:
            lines[-1] += f" {item},"
        elif len(indent) + len(item) + 1 <= WIDTH:
            lines.append(f"{indent}{item},")
        else:
            lines += broken(item, indent)
            lines[-1] += ","
    return "\n".join(lines)


def broken(item: str, indent: str) -> list[str]:
    """An item that is too long over several lines: what stands in its last brackets, part by part."""
    start = _opening(item)
    parts = _split(item[start + 1 : -1]) if start >= 0 else []
    if not parts:
        return [f"{indent}{item}"]
    lines = [f"{indent}{item[: start + 1]}"]
    for text, comma in parts:
        lines += [f"{indent}    {text}"] if len(indent) + 5 + len(text) <= WIDTH else broken(text, f"{indent}    ")
        lines[-1] += comma
    return [*lines, f"{indent}{item[-1]}"]


def _opening(item: str) -> int:
    """Where the brackets that end an item begin; -1 if it does not end in any."""
    stack, quote, i = [], "", 0
    while i < len(item):
        char = item[i]
        if quote:
            i += char == "\\"
            quote = "" if char == quote else quote
        elif char in "'\"":
            quote = char
        elif char in "([{":
            stack.append(i)
        elif char in ")]}":
            start = stack.pop() if stack else -1
            if i == len(item) - 1:
                return start
        i += 1
    return -1


def _split(body: str) -> list[tuple[str, str]]:
    """The parts of what stands in brackets, each with the comma after it: at commas and between strings, outside of strings and inner brackets."""
    parts, start, depth, quote, i = [], 0, 0, "", 0
    while i < len(body):
        char = body[i]
        if quote:
            i += char == "\\"
            if char == quote:
                quote = ""
                if not depth and body[i + 1 : i + 3] in (" '", ' "'):
                    parts.append((body[start : i + 1].strip(), ""))
                    start = i + 1
        elif char in "'\"":
            quote = char
        elif char in "([{)]}":
            depth += 1 if char in "([{" else -1
        elif char == "," and not depth:
            parts.append((body[start:i].strip(), ","))
            start = i + 1
        i += 1
    rest = body[start:].strip()
    return [*parts, *([(rest, "," if any(comma for _, comma in parts) else "")] if rest else [])]
