"""What the journal takes in and gives out."""

from __future__ import annotations

import hashlib
import json
import secrets
import sqlite3
import time
import zlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from .journal_file import TABLES

SOURCES = ("api", "app", "mcp", "python")
RUN = ", ".join((
    *(f"run.{name}" for name in TABLES["run"]), "(SELECT sweep.id FROM cell JOIN sweep ON sweep.number = cell.sweep WHERE cell.number = run.number)"
))  # fmt: skip
OUTPUT = "output.number, output.name, output.key, output.type, output.summary"


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
    submitted, started, finished: Unix seconds, for people. seconds: of work. executed, cached: nodes. sweep: the id of the one it is a cell of."""

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
    sweep: str | None

    @classmethod
    def of(cls, row: Sequence[Any]) -> Run:
        fields = dict(zip((*TABLES["run"], "sweep"), row))
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


@dataclass(frozen=True, slots=True)
class Swept:
    """A sweep as the journal has it. axes: the values by input. runs, outputs: of each cell that was not forgotten, by its place from 0 on."""

    id: str
    axes: dict[str, list[Any]]
    combine: str
    runs: dict[int, Run]
    outputs: dict[int, list[Output]]


def row_of(new: New) -> tuple[Any, ...]:
    """What is written of a run. Raises ValueError for a text that is no Unicode, or a source that is none."""
    if new.source not in SOURCES:
        raise ValueError(f"a run comes from one of {', '.join(SOURCES)}, not {new.source!r}")
    for text in (new.key, new.name, new.parent):
        (text or "").encode()
    title = new.title.encode(errors="replace").decode()
    return new.key, new.name, title, json.dumps(new.inputs), None if new.targets is None else json.dumps(new.targets), new.source, new.parent


def packed(document: bytes) -> tuple[str, bytes]:
    """A document as its table has it: sha256 and body."""
    return hashlib.sha256(document).hexdigest(), zlib.compress(document)


def inserted(db: sqlite3.Connection, document: tuple[str, bytes], row: tuple[Any, ...]) -> Run:
    """A run, last in the queue."""
    db.execute("INSERT INTO document (sha, body) VALUES (?, ?) ON CONFLICT (sha) DO NOTHING", document)
    (made,) = db.execute(
        "INSERT INTO run (id, key, name, title, inputs, targets, source, parent, graph, submitted, state, attempt, crashes, place) VALUES "
        "(?, ?, ?, ?, ?, ?, ?, ?, ?, ?, 'queued', 0, 0, (SELECT coalesce(max(place), 0) + 1 FROM run WHERE state = 'queued')) "
        f"RETURNING {RUN}",
        (secrets.token_hex(8), *row, document[0], time.time()),
    ).fetchall()
    return Run.of(made)


def parsed(text: str | None) -> Any:
    """What a damaged row says is nothing."""
    try:
        return None if text is None else json.loads(text)
    except ValueError:
        return None
