"""Problems: what is wrong with a graph, where, and what to do about it."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import asdict, dataclass
from difflib import get_close_matches
from itertools import islice
from typing import Any

LISTED, COMPARED = 20, 1_000  # names that a sentence tells, and names that are looked through for the one that was meant


@dataclass(frozen=True, slots=True)
class Problem:
    """code: for programs, stable. node, port: where ("" for the document itself; node "input" for its inputs, which messages name). got, expected: in words.
    fix: what to do. level: "error", "warning", or "unknown" (cannot be told before a model is here)."""

    code: str
    message: str
    node: str = ""
    port: str = ""
    got: str = ""
    expected: str = ""
    fix: str = ""
    level: str = "error"

    def __str__(self) -> str:
        where = "" if self.node == "input" else f"{self.node}.{self.port}" if self.port else self.node
        text = f"{where}: {self.message}" if where else self.message
        return f"{text}. {self.fix}" if self.fix else text

    def as_json(self) -> dict[str, str]:
        return asdict(self)


class GraphError(ValueError):
    """A graph that cannot be read, typed or run; `problems` holds every reason found."""

    def __init__(self, problems: Iterable[Problem]):
        self.problems = list(problems)
        super().__init__(self.problems)

    def __str__(self) -> str:
        return "\n".join(map(str, self.problems))


class Unreadable(GraphError):
    """A file that is no graph at all: not there, not JSON, or not of this format."""


def brief(value: Any) -> str:
    """A plain value in at most 60 characters; anything else by its class."""
    if not isinstance(value, (str, int, float, bool, type(None))):
        return f"a {type(value).__name__}"
    try:
        text = repr(value)
    except ValueError:  # Python prints no integer of more than 4,300 digits
        return f"an integer of {value.bit_length():,} bits"
    return shorten(text)


def shorten(text: str) -> str:
    """A text in 60 characters at most: its beginning, and its end, which tells one path from another."""
    return text if len(text) <= 60 else f"{text[:29]}…{text[-30:]}"


def listed(names: Collection[str]) -> str:
    """Names as a sentence tells them: the first, and how many more there are."""
    shown = ", ".join(map(shorten, islice(names, LISTED)))
    return f"{shown} and {len(names) - LISTED:,} more" if len(names) > LISTED else shown or "none"


def closest(name: str, names: Iterable[str]) -> str:
    """The name that was probably meant, or ""."""
    found = get_close_matches(name, islice(names, COMPARED), 1) if len(name) <= 200 else []
    return found[0] if found else ""


def meant(name: str, names: Iterable[str], otherwise: str, before: str = "", after: str = "") -> str:
    """What to do about a name that is not there: take the one that was probably meant, written between before and after; else otherwise."""
    close = closest(name, names)
    return f"Did you mean `{before}{close}{after}`?" if close else otherwise


def a(thing: Any) -> str:
    """With its article: a Text, an Image."""
    return f"{'an' if str(thing)[:1] in 'AEIOaeio' else 'a'} {thing}"


def sentence(error: Exception) -> str:
    """An exception as one line for people."""
    text = " ".join(str(error).split())
    return text or type(error).__name__
