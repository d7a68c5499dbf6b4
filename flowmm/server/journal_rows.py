"""What the journal takes in and gives out."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from .journal_file import TABLES


@dataclass(frozen=True, slots=True)
class New:
    """A run to submit. document: the graph's bytes. key: chosen by the client; a second submission under it is the first.

    targets: the outputs or nodes wanted, None for all outputs. source: one of SOURCES. parent: the run that this one retries.
    """

    document: bytes
    inputs: dict[str, Any] = field(default_factory=dict)
    name: str = ""
    title: str = ""
    targets: list[str] | None = None
    source: str = "api"
    key: str | None = None
    parent: str | None = None


@dataclass(frozen=True, slots=True)
class Run:
    """One run as the journal has it. number: the order of submission. graph: the sha256 of its document. place: the order among
    the queued, or among the running. attempt: how often it was started. crashes: how often the server died while it ran.
    submitted, started, finished: Unix seconds, for people. seconds: of work. executed, cached: nodes."""

    number: int
    id: str
    key: str | None
    name: str
    title: str
    graph: str
    inputs: dict[str, Any]
    targets: list[str] | None
    source: str
    parent: str | None
    state: str
    place: float
    attempt: int
    crashes: int
    submitted: float
    started: float | None
    finished: float | None
    device: str | None
    seconds: float | None
    executed: int | None
    cached: int | None
    error: dict[str, Any] | None
    timings: Any

    @classmethod
    def of(cls, row: Sequence[Any]) -> Run:
        fields = dict(zip(TABLES["run"], row))
        fields.update({name: parsed(fields[name]) for name in ("inputs", "targets", "error", "timings")})
        return cls(**fields)


@dataclass(frozen=True, slots=True)
class Output:
    """One output of a run. number: the order of outputs over all runs. key: of its value in Results. type: its socket's name."""

    number: int
    name: str
    key: str
    type: str
    summary: dict[str, Any]

    @classmethod
    def of(cls, row: Sequence[Any]) -> Output:
        return cls(*row[:4], parsed(row[4]) or {})


def parsed(text: str | None) -> Any:
    """What a damaged row says is nothing."""
    try:
        return None if text is None else json.loads(text)
    except ValueError:
        return None
