"""What nodes gave: encoded or not, known by its content, or an error in words."""

from __future__ import annotations

import os
from typing import Any

from ..graph.problems import sentence
from ..store.codec import Encoded, Undecodable
from ..store.keys import SIZE, digest
from .workers.base import WorkerLost


def decoded(value: Any) -> Any:
    """The value itself, if a worker process or the disk handed it over encoded."""
    if type(value) is Encoded:
        return value.decode()
    if type(value) is list:
        return [decoded(item) for item in value]
    return value


def explain(error: BaseException) -> str:
    """What a node raised, for people: its own sentence if it wrote one, else the kind of error as well."""
    if isinstance(error, (ValueError, LookupError, OSError, WorkerLost)) and str(error) and not isinstance(error, (KeyError, IndexError, UnicodeError)):
        return sentence(error)
    return f"{type(error).__name__}: {sentence(error)}" if str(error) else type(error).__name__


def content(value: Any) -> bytes:
    """A late value's digest; one that cannot be told apart from others is like no other, and never hits."""
    try:
        return value.digest() if type(value) is Encoded else digest(value)
    except (TypeError, Undecodable):
        return os.urandom(SIZE)
