"""What the routes answer, for the API's document, from which the editor's types are made. Nothing here runs: routes write plain JSON."""

from __future__ import annotations

from typing import Any, Literal

from typing_extensions import NotRequired, TypedDict  # typing's own is enough from Python 3.12 on

Words = str | dict[str, str]
State = Literal["queued", "running", "done", "failed", "interrupted", "cancelled"]  # of a run

# ── types, nodes, graphs ────────────────────────────────────────────────────────────────────────


class TypeShape(TypedDict):
    """A type as data. name: of a plain type, socket or variable. args: a socket's spaces. handle: it is a recipe for a part of a model.
    facts: of a space that is known."""

    kind: Literal["plain", "choice", "socket", "list", "union", "variable", "space"]
    name: NotRequired[str]
    values: NotRequired[list[str | int | float | bool | None]]
    args: NotRequired[list[TypeShape]]
    colour: NotRequired[str]
    handle: NotRequired[bool]
    item: NotRequired[TypeShape]
    members: NotRequired[list[TypeShape]]
    space: NotRequired[str]
    facts: NotRequired[dict[str, Any]]


class Bounds(TypedDict, total=False):
    low: float
    high: float
    step: float


class InputPort(TypedDict):
    """shown: the type in words. Without a default it must be wired or given."""

    type: TypeShape
    shown: str
    help: Words
    default: NotRequired[Any]
    between: NotRequired[Bounds]
    multiline: NotRequired[bool]
    source: NotRequired[bool]
    lazy: NotRequired[bool]
    title: NotRequired[Words]


class OutputPort(TypedDict):
    type: TypeShape
    shown: str
    help: Words


class NodeType(TypedDict):
    op: str
    version: int
    title: Words
    help: Words
    tags: list[str]
    reference: str
    module: str
    pure: bool
    lane: str
    inputs: dict[str, InputPort]
    outputs: dict[str, OutputPort]


class Pack(TypedDict):
    name: str
    package: str
    distribution: str | None
    version: str | None
    errors: dict[str, str]


class Nodes(TypedDict):
    nodes: dict[str, NodeType]
    packs: list[Pack]


class ListedGraph(TypedDict):
    """modified: Unix seconds. problem: why it cannot be opened, else "". etag: "" if it cannot be read."""

    name: str
    own: bool
    etag: str
    modified: float
    title: Words
    about: Words
    tags: list[str]
    inputs: list[str]
    outputs: list[str]
    problem: str


class SavedGraph(TypedDict):
    name: str
    etag: str


class Version(TypedDict):
    etag: str
    saved: float
    bytes: int


class Trashed(TypedDict):
    id: str
    name: str
    deleted: float
    bytes: int


class TrashId(TypedDict):
    trash: str


class Name(TypedDict):
    name: str


class Cover(TypedDict):
    """What a graph gave last, or as it comes. Its picture is a value by key, an upload by id, or a place on the sheet, counted from 0."""

    text: str
    key: NotRequired[str]
    upload: NotRequired[str]
    tile: NotRequired[int]


class Covers(TypedDict):
    """sheet: its address, "" if there is none. columns, rows: of tiles."""

    sheet: str
    columns: int
    rows: int
    graphs: dict[str, Cover]


class MissingInput(TypedDict):
    """file: its name, or of what kind the value was."""

    input: str
    file: str


class ImportLine(TypedDict):
    """What became of a node of another program's graph. state: mapped, changed (with something that could not be kept), placeholder, left out,
    missing (a file that is to be given), or note. node, type, title: the file's own. became: what was made of it. why: in words."""

    state: str
    node: str
    type: str
    title: str
    became: str
    why: str


class Opened(TypedDict):
    """inputs: as a run takes them. missing: those whose picture or model is not here. report: of a file of another program, else empty."""

    graph: dict[str, Any]
    name: str
    inputs: dict[str, Any]
    missing: list[MissingInput]
    report: list[ImportLine]


class Carried(TypedDict):
    """graph: the document as text."""

    graph: str
    name: str
    inputs: dict[str, Any]
    versions: dict[str, str]


class UpgradeChange(TypedDict):
    """where: the node, or the node and its port, after the definitions it lies in."""

    where: str
    text: str


class Upgraded(TypedDict):
    """graph: the document as it would be. changes: what became of it, in words. problems: what could not be brought to today's version."""

    graph: dict[str, Any]
    changes: list[UpgradeChange]
    problems: list[ProblemShape]


# ── what can be known without running ───────────────────────────────────────────────────────────


Repair = TypedDict("Repair", {
    "kind": Literal["insert", "wire", "set", "reset", "cut"], "words": dict[str, str], "node": str, "port": str,
    "from": NotRequired[str], "value": NotRequired[Any], "op": NotRequired[str], "version": NotRequired[int], "input": NotRequired[str], "output": NotRequired[str], "wires": NotRequired[dict[str, str]],
})  # fmt: skip
Repair.__doc__ = """An edit that would mend a problem at this port. insert: a node `op` between `from` and the port, which takes what came at `input`,
gives `output`, and has its other inputs wired as `wires` say. wire: lead `from` to the port. set: give it `value`; reset: its default.
cut: take away what is there. node: "input" for the graph's inputs, "" for its outputs."""


class ProblemShape(TypedDict):
    """level: error, warning, or unknown (cannot be told before a model is here). inside: of a node that is a graph, the node in it."""

    code: str
    message: str
    node: str
    port: str
    got: str
    expected: str
    fix: str
    level: Literal["error", "warning", "unknown"]
    inside: NotRequired[str]
    repairs: NotRequired[list[Repair]]


EdgeShape = TypedDict("EdgeShape", {"from": str, "to": str, "type": str, "shape": list[int | None] | None, "dtype": str | None, "bytes": int | None})


class GraphInput(TypedDict):
    type: TypeShape
    shown: str
    title: Words
    help: Words
    required: bool
    default: NotRequired[Any]
    between: NotRequired[Bounds]
    multiline: NotRequired[bool]
    source: NotRequired[bool]


class GraphOutput(TypedDict):
    type: TypeShape | None
    shown: str
    title: str


class Memory(TypedDict):
    """In bytes. at_least: whether something is not known, so that it may be more."""

    peak: int
    weights: int
    at_least: bool


class Check(TypedDict):
    """types: of the graphs that it uses as nodes, by op. off: nodes, and outputs as "output.NAME", that are left out, and the muted node because of which.
    cells: how many runs a sweep over the axes would be."""

    cells: int
    problems: list[ProblemShape]
    types: dict[str, NodeType]
    edges: list[EdgeShape]
    inputs: dict[str, GraphInput]
    outputs: dict[str, GraphOutput]
    memory: Memory
    off: dict[str, str]


class Fit(TypedDict):
    """item: it fits as one item of a list, beside what is wired there already."""

    node: str
    port: str
    fits: bool
    item: NotRequired[bool]
    why: NotRequired[str]


class NewFit(TypedDict):
    """ports: those that fit. items: those of them that are lists and take it as one item."""

    op: str
    version: int
    title: str
    ports: list[str]
    items: NotRequired[list[str]]


class Compatible(TypedDict):
    """type: of the port held, in words. ports: of the graph. nodes: types that have a fitting port."""

    type: str
    ports: list[Fit]
    nodes: list[NewFit]


class NamedModel(TypedDict):
    source: str
    ports: list[str]
    here: bool
    why: NotRequired[str]


class Plan(TypedDict):
    """nodes: by name, what a run would do with them, with a node in a graph that is a node as `outer/inner`; those it would not touch are
    left out. runs, cached: how many."""

    nodes: dict[str, Literal["cached", "run", "free", "undecided"]]
    runs: int
    cached: int
    memory: Memory
    models: list[NamedModel]
    problems: list[ProblemShape]


Kind = Literal["embedded", "pulled", "converted", "cache", "unfinished"]
Model = TypedDict("Model", {"name": str, "kind": Kind, "class": str, "bytes": int, "licence": str})  # `class` is no name in Python's grammar


FittingModel = TypedDict("FittingModel", {"name": str, "kind": Kind, "class": str, "bytes": int, "licence": str, "fits": bool, "why": NotRequired[str]})


class GivenModel(TypedDict):
    source: str
    here: bool
    why: NotRequired[str]


class Loops(TypedDict):
    """carry: by input, the outputs that may be its value in the next round. until: the outputs that may say that it is good enough."""

    carry: dict[str, list[str]]
    until: list[str]


class Axis(TypedDict):
    """problem: why the words stand for nothing, "" where they do."""

    values: list[Any]
    problem: str


class Fitting(TypedDict):
    """models: those that are here, the ones that fit first; why: one does not. given: what is named there now; why: it is not here."""

    models: list[FittingModel]
    given: GivenModel | None


class Device(TypedDict):
    """resident: bytes of its worker process. cached: of its memory cache, None before its first run."""

    name: str
    model: str
    dtype: str
    worker: int | None
    resident: int
    cached: dict[str, int] | None


class System(TypedDict):
    versions: dict[str, str]
    devices: list[Device]
    memory: int
    cache: dict[str, Any] | None
    results: dict[str, int]
    runs: dict[State, int]
    listeners: int
    epoch: str


class Label(TypedDict):
    label: str
    probability: float


class NumberMap(TypedDict):
    """A stack of maps of numbers, one of which is here. shape: of the whole array. values: rows of the slice, None where no finite
    number is; only every `step`-th row and column of a large one. stack, axes: what the slices count through."""

    name: str
    shape: list[int]
    dtype: str
    slices: int
    step: int
    values: list[list[float | None]]
    slice: NotRequired[int]
    low: NotRequired[float]
    high: NotRequired[float]
    mean: NotRequired[float]
    std: NotRequired[float]
    axes: NotRequired[list[str]]
    stack: NotRequired[list[int]]


class ShownValue(TypedDict):
    """A value as a page draws it, of bounded size; which fields it has is told by its kind (see flowmm.server.shown)."""

    type: str
    kind: Literal["pictures", "texts", "table", "labels", "maps", "list", "plain"]
    count: NotRequired[int]
    width: NotRequired[int]
    height: NotRequired[int]
    lines: NotRequired[list[str]]
    cut: NotRequired[bool]
    shape: NotRequired[list[int]]
    rows: NotRequired[list[str]]
    columns: NotRequired[list[str]]
    values: NotRequired[list[list[float | None]]]
    labels: NotRequired[list[list[Label]]]
    over: NotRequired[str]
    maps: NotRequired[list[NumberMap]]
    items: NotRequired[list[ShownValue]]
    value: NotRequired[Any]


class Looked(TypedDict):
    """here: whether there is a value. runs: how many nodes would run for it, None where that cannot be told. pictures: as data: addresses."""

    here: bool
    runs: NotRequired[int | None]
    value: NotRequired[ShownValue]
    pictures: NotRequired[list[str]]
