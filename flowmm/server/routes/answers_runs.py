"""What the routes answer of runs, sweeps, results and events; as in answers.py nothing here runs."""

from __future__ import annotations

from typing import Any, Literal

from typing_extensions import NotRequired, TypedDict

from .answers import ProblemShape, State


class NodeError(TypedDict):
    code: str
    message: str
    node: NotRequired[str]
    op: NotRequired[str]


class RunError(NodeError):
    """also: other nodes that failed; the outputs of the run are those that needed none of them."""

    fix: NotRequired[str]
    problems: NotRequired[list[ProblemShape]]
    also: NotRequired[list[NodeError]]


class RunOutput(TypedDict):
    """key: of its value. type: its socket's name. summary: a few plain facts, whatever its type has."""

    key: str
    type: str
    summary: dict[str, Any]


class Progress(TypedDict):
    step: int
    steps: int
    eta: float | None


class LiveRun(TypedDict):
    """What is known of a run that is being executed. progress, texts, broken (why it failed): by node."""

    total: int
    done: int
    cached: int
    seconds: float
    progress: dict[str, Progress]
    texts: dict[str, str]
    broken: dict[str, str]
    stopping: str


class RunShape(TypedDict):
    """A run. graph: the sha256 of its document. sweep: the id of the one it is a cell of. Times are Unix seconds; seconds: of work. inputs and what follows only if asked for one run."""

    id: str
    number: int
    name: str
    title: str
    state: State
    source: str
    submitted: float
    started: float | None
    finished: float | None
    seconds: float | None
    executed: int | None
    cached: int | None
    error: RunError | None
    attempt: int
    parent: str | None
    sweep: str | None
    device: str | None
    graph: str
    inputs: NotRequired[dict[str, Any]]
    targets: NotRequired[list[str] | None]
    outputs: NotRequired[dict[str, RunOutput]]
    place: NotRequired[int | None]
    live: NotRequired[LiveRun]


class Begin(TypedDict):
    epoch: str
    since: int


class SubmittedRun(RunShape):
    """events: what a socket asks for to have all of the run's events."""

    events: Begin


class SweepCell(TypedDict):
    """inputs: its own, as people read them. run: None once it was deleted."""

    inputs: dict[str, Any]
    run: str | None
    state: State | None
    error: RunError | None
    outputs: dict[str, RunOutput]


class SweepShape(TypedDict):
    """A sweep with its cells in order, the last axis turning fastest. rows, columns: labels of its sheet. across, down: what the columns and
    the rows are. axes: the values by input, as people read them. states: how many cells are in each."""

    id: str
    name: str
    title: str
    combine: Literal["product", "zip"]
    axes: dict[str, list[Any]]
    rows: list[str]
    columns: list[str]
    across: str
    down: str
    states: dict[State, int]
    ended: bool
    submitted: float
    cells: list[SweepCell]


class SubmittedSweep(SweepShape):
    """events: what a socket asks for to have all of its runs' events."""

    events: Begin


class Queue(TypedDict):
    running: list[RunShape]
    waiting: list[RunShape]
    count: int


class Deleted(TypedDict):
    deleted: str


class GalleryItem(RunOutput):
    """An output of a run. number: over all outputs, to turn the page by."""

    number: int
    run: str
    output: str
    name: str
    title: str
    finished: float | None


class UploadShape(TypedDict):
    """width, height: in pixels, upright as a graph sees it."""

    id: str
    width: int
    height: int
    bytes: int
    kind: Literal["png", "jpg", "webp"]


class Trace(TypedDict):
    traceEvents: list[dict[str, Any]]
    displayTimeUnit: str


class Frame(TypedDict):
    """A message of /api/events; which fields it has is told by its type (see flowmm.server.hub)."""

    type: Literal["hello", "lost", "run", "planned", "nodes", "running", "progress", "preview", "text", "broken", "note"]
    seq: NotRequired[int]
    epoch: NotRequired[str]
    caught_up: NotRequired[bool]
    id: NotRequired[str]
    state: NotRequired[State | Literal["deleted"]]
    place: NotRequired[int]
    name: NotRequired[str]
    title: NotRequired[str]
    source: NotRequired[str]
    sweep: NotRequired[str | None]
    device: NotRequired[str]
    error: NotRequired[RunError | None]
    outputs: NotRequired[dict[str, RunOutput]]
    seconds: NotRequired[float]
    executed: NotRequired[int]
    cached: NotRequired[int | list[str]]
    total: NotRequired[int]
    names: NotRequired[list[str]]
    took: NotRequired[dict[str, float]]
    node: NotRequired[str]
    step: NotRequired[int]
    steps: NotRequired[int]
    eta: NotRequired[float | None]
    at: NotRequired[int]
    text: NotRequired[str]
