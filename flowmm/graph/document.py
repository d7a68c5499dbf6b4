"""The graph document: one JSON file, read strictly and written stably.

Unknown fields survive. An untouched document saves its original bytes; an edited one is written canonically.
"""

from __future__ import annotations

import json
import keyword
import math
import os
import re
from collections import Counter
from collections.abc import Callable, Iterator
from itertools import islice
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, TypeAdapter, ValidationError, WithJsonSchema

from ..collector import without_gc
from ..files import write_whole
from .problems import Problem, Unreadable, shorten

FORMAT = 1
DEEPEST = 64
LONGEST_STRING = 2**20
LONGEST_NAME = 1_000
MOST_ROUNDS = 10_000  # of a loop
DEEPEST_GRAPHS = 16  # definitions within definitions
MOST_TAGS, MOST_LANGUAGES = 1_000, 200
MOST_REASONS, AT_ONCE = 100, 64  # why a document is not of the format: told of it, and items between two looks whether there are enough
LARGEST_FILE = 2**28
FOREIGN = "foreign-graph"  # the code of the problem with a file that holds another program's graph

_REFERENCE = {"type": "object", "properties": {"from": {"type": "string", "pattern": r"^[^.]+\.[^.]+$"}},
              "required": ["from"], "additionalProperties": False}  # fmt: skip
_VALUE = {
    "description": "A scalar, a wire {from: node.port}, a {list: [values]}, or {value: any JSON}.",
    "anyOf": [
        {"type": ["string", "number", "boolean", "null"]},
        _REFERENCE,
        {"type": "object", "properties": {"list": {"type": "array"}}, "required": ["list"], "additionalProperties": False},
        {"type": "object", "properties": {"value": {}}, "required": ["value"], "additionalProperties": False},
    ],
}
Inputs = Annotated[dict[str, Any], WithJsonSchema({"type": "object", "additionalProperties": _VALUE})]


def _few(value: Any) -> Any:
    if isinstance(value, dict) and len(value) > MOST_LANGUAGES:
        raise ValueError(f"at most {MOST_LANGUAGES} languages are allowed")
    return value


Words = Annotated[str | dict[str, str], BeforeValidator(_few)]


class LoopDoc(BaseModel):
    """A node that runs again and again. carry: by input, the output that is its value in the next round. until: an output that ends it
    when it holds. most: rounds at most."""

    model_config = ConfigDict(extra="allow", frozen=True)

    carry: dict[str, str] = Field(default_factory=dict)
    until: str = ""
    most: Annotated[int, Field(ge=1, le=MOST_ROUNDS, strict=True)] | None = None


class NodeDoc(BaseModel):
    """One node: its type, the version it was made with, and where each input comes from. An op `graph:NAME` is a graph used as a node.

    mode: "mute" leaves it out with all that cannot do without it; "bypass" hands on what it is given, as the outputs of the same type.
    each: inputs that are given a list; the node runs once for each item, and its outputs are lists. combine: several lists go side by side
    ("zip") or each item with each ("product"). loop: it runs again and again instead.
    """

    model_config = ConfigDict(extra="allow", populate_by_name=True, frozen=True)

    op: str
    version: Annotated[int, Field(ge=1, strict=True)] = 1
    inputs: Inputs = Field(default_factory=dict, alias="in")
    mode: Literal["", "mute", "bypass"] = ""
    each: list[str] = Field(default_factory=list)
    combine: Literal["zip", "product"] = "zip"
    loop: LoopDoc | None = None


class InputDoc(BaseModel):
    """A named input of the whole graph. Its type, range and help come from the ports it feeds."""

    model_config = ConfigDict(extra="allow", frozen=True)

    default: Any = None
    title: Words = ""
    help: Words = ""


class OutputDoc(BaseModel):
    """A named output of the whole graph."""

    model_config = ConfigDict(extra="allow", populate_by_name=True, frozen=True)

    source: Annotated[str, Field(alias="from")]
    title: Words = ""


class Document(BaseModel):
    """A saved graph. tags: what it is found by, the first of a shipped one being understanding, generation or both. graphs: definitions
    that its nodes use as `graph:NAME`. `layout` is for the editor and never part of identity."""

    model_config = ConfigDict(extra="allow", frozen=True)

    flowmm: Literal[1] = FORMAT
    title: Words = ""
    about: Words = ""
    tags: Annotated[list[str], Field(max_length=MOST_TAGS)] = Field(default_factory=list)
    inputs: dict[str, InputDoc] = Field(default_factory=dict)
    nodes: dict[str, NodeDoc] = Field(default_factory=dict)
    outputs: dict[str, OutputDoc] = Field(default_factory=dict)
    graphs: dict[str, Document] = Field(default_factory=dict)
    layout: dict[str, Any] = Field(default_factory=dict)
    requires: dict[str, Any] = Field(default_factory=dict)


def schema() -> dict[str, Any]:
    """The published JSON Schema of the format."""
    made = Document.model_json_schema(by_alias=True)
    made["$schema"] = "https://json-schema.org/draft/2020-12/schema"
    made["title"] = "flowmm graph"
    return made


def read(text: str | bytes, name: str = "the graph") -> Document:
    """A Document from JSON text. Raises Unreadable with every reason found."""
    with without_gc():
        return of(parse(text, name), name)


def of(raw: Any, name: str = "the graph") -> Document:
    """A Document from parsed JSON. Raises Unreadable with every reason found."""
    with without_gc():
        if not isinstance(raw, dict):
            raise _unreadable("not-a-graph", f"{name} holds a JSON {_json_kind(raw)}, not a graph", "A graph is an object with `nodes`.")
        if "flowmm" not in raw:
            if guess := _guess(raw):
                raise _unreadable(FOREIGN, f"{name} is JSON, but no flowmm graph (it looks like {guess})", "`flowmm import FILE` makes one of it.")
            raise _unreadable("not-a-graph", f"{name} is JSON, but no flowmm graph", 'A graph starts with {"flowmm": 1, …}.')
        if type(raw["flowmm"]) is not int or raw["flowmm"] != FORMAT:
            raise _unreadable("format", f"{name} is of format {raw['flowmm']!r}; this flowmm reads format {FORMAT}", "Update flowmm to open it.")
        document = _validated(raw, name)
        problems = [problem for one in every(document) for problem in (*_names(one), *_bounds(one))]
    if problems:
        raise Unreadable(problems)
    return document


_PARTS = {part: TypeAdapter(dict[str, kind]) for part, kind in (("inputs", InputDoc), ("nodes", NodeDoc), ("outputs", OutputDoc))}


def _validated(raw: dict[str, Any], name: str, depth: int = 0) -> Document:
    """Raises Unreadable. In pieces, as pydantic keeps a kilobyte for each of a million reasons before it tells the first."""
    made, problems = dict(raw), []
    if isinstance(raw.get("graphs"), dict):
        if depth >= DEEPEST_GRAPHS:
            fix = "Define them side by side: each may use the others."
            raise _unreadable("too-deep", f"{name} defines graphs in graphs deeper than {DEEPEST_GRAPHS} levels", fix)
        made["graphs"] = {inner: _definition(inner, one, name, depth + 1) for inner, one in raw["graphs"].items()}
    for part, adapter in _PARTS.items():
        if not isinstance(raw.get(part), dict):
            continue
        made[part], items = {}, iter(raw[part].items())
        while len(problems) < MOST_REASONS and (piece := dict(islice(items, AT_ONCE))):
            try:
                made[part] |= adapter.validate_python(piece)
            except ValidationError as error:
                problems += _from_pydantic(error, name, part, top=not depth)
    try:
        document = Document.model_validate(made)
    except ValidationError as error:
        problems += _from_pydantic(error, name, top=not depth)
    if problems:
        raise Unreadable(problems[:MOST_REASONS])
    return document


def _definition(name: str, raw: Any, where: str, depth: int) -> Document:
    """A graph that another defines. Raises Unreadable."""
    shown = f"the graph `{shorten(name)}` in {where}"
    if not isinstance(raw, dict):
        raise _unreadable("not-a-graph", f"{shown} is a JSON {_json_kind(raw)}, not a graph", "A graph is an object with `nodes`.")
    if raw.get("flowmm", FORMAT) != FORMAT:
        raise _unreadable("format", f"{shown} is of format {shorten(repr(raw['flowmm']))}; this flowmm reads format {FORMAT}", "Update flowmm to open it.")
    return _validated(raw, shown, depth)


def every(document: Document) -> Iterator[Document]:
    """A document and every graph that it defines."""
    stack = [document]
    while stack:
        one = stack.pop()
        yield one
        stack += one.graphs.values()


def references(value: Any) -> list[str]:
    """The wires in a value of a node, as "node.port"."""
    found, stack = [], [value]
    while stack:
        item = stack.pop()
        if type(item) is dict and len(item) == 1:
            if type(item.get("from")) is str:
                found.append(item["from"])
            elif type(item.get("list")) is list:
                stack += item["list"]
    return found


def source_of(value: Any) -> str:
    """Where a value of a node comes from, as "node.port"; empty for what is no wire."""
    source = value.get("from") if type(value) is dict and len(value) == 1 else None
    return source if type(source) is str else ""


def rewired(value: Any, source: Callable[[str], str]) -> Any:
    """A value of a node whose wires come from elsewhere: from source(what they came from). Its depth was bounded when the graph was read."""
    if type(value) is dict and len(value) == 1:
        (key, inner), = value.items()
        if key == "from" and type(inner) is str:
            return {"from": source(inner)}
        if key == "list" and type(inner) is list:
            return {"list": [rewired(item, source) for item in inner]}
    return value


def load(path: str | os.PathLike) -> tuple[Document, bytes]:
    """Read a graph file: the document and its bytes. Raises Unreadable."""
    path = Path(path)
    try:
        if path.stat().st_size > LARGEST_FILE:
            raise _unreadable("too-large", f"`{path.name}` is over {LARGEST_FILE >> 20} MB", "A graph file is small; is this the right file?")
        data = path.read_bytes()
    except (OSError, ValueError) as error:  # ValueError: a null byte in the path
        reason = getattr(error, "strerror", None) or str(error)
        raise _unreadable("no-file", f"cannot read `{_printable(path)}`: {reason.lower()}", "Check the name.") from None
    return read(data, f"`{path.name}`"), data


def dump(document: Document) -> str:
    """Canonical text: one node a line, keys in the format's order, idempotent."""
    raw = document.model_dump(by_alias=True, exclude_unset=True)
    raw.setdefault("flowmm", FORMAT)
    order = [name for name in Document.model_fields if name in raw] + [name for name in raw if name not in Document.model_fields]
    lines = []
    for name in order:
        if name in ("inputs", "nodes", "outputs", "graphs") and raw[name]:
            body = ",\n".join(f"    {_line(key)}: {_line(value)}" for key, value in raw[name].items())
            lines.append(f"  {_line(name)}: {{\n{body}\n  }}")
        else:
            lines.append(f"  {_line(name)}: {_line(raw[name])}")
    return "{\n" + ",\n".join(lines) + "\n}\n"


def save(document: Document, path: str | os.PathLike, original: bytes | None = None) -> None:
    """Write a graph file, under a temporary name first. `original` is written back if the document still equals it."""
    data = dump(document).encode()
    if original is not None and read(original) == document:
        data = original
    write_whole(path, data)


def words(text: Words, language: str = "en") -> str:
    """A title or help in one language: that one, else English, else any."""
    if isinstance(text, str):
        return text
    return text.get(language) or text.get("en") or next(iter(text.values()), "")


def is_graph_name(name: str) -> bool:
    """Names by which a graph is used as a node: letters, digits, - and _, as in names of files."""
    return len(name) <= LONGEST_NAME and re.fullmatch(r"\w[\w-]*", name) is not None


def is_name(name: str) -> bool:
    """Names of nodes, ports, inputs and outputs are Python identifiers and no keywords."""
    return name.isidentifier() and not keyword.iskeyword(name)


def parse(text: str | bytes, name: str, *, lenient: bool = False) -> Any:
    """Strict JSON: UTF-8, no key twice, no NaN. lenient: as other programs write it; the last of a key counts, and NaN is null. Raises Unreadable."""
    if isinstance(text, bytes):
        try:
            text = text.decode("utf-8-sig")
        except UnicodeDecodeError as error:
            raise _unreadable("not-json", f"{name} is not UTF-8 text (byte {error.start})", "Save it as UTF-8 JSON.") from None

    def pairs(items: list[tuple[str, Any]]) -> dict[str, Any]:
        made = dict(items)
        if len(made) != len(items):
            twice = Counter(key for key, _ in items).most_common(1)[0][0]
            raise _unreadable("duplicate-key", f"{name} has the key {shorten(repr(twice))} twice in one object", "Rename or remove one.")
        return made

    def constant(word: str) -> Any:
        raise _unreadable("not-a-number", f"{name} holds {word}, which is no JSON number", "Write a finite number.")

    try:
        if lenient:
            return json.loads(text, parse_constant=lambda _: None)
        return json.loads(text, object_pairs_hook=pairs, parse_constant=constant)
    except Unreadable:
        raise
    except RecursionError:
        raise _unreadable("too-deep", f"{name} is nested deeper than {DEEPEST} levels", "Flatten it.") from None
    except json.JSONDecodeError as error:
        fix = f"Line {error.lineno}, column {error.colno}."
        raise _unreadable("not-json", f"{name} is not JSON: {error.msg.lower()}", fix) from None
    except ValueError as error:  # an integer of more than 4,300 digits
        raise _unreadable("not-json", f"{name} is not JSON: {error}", "Write a smaller number.") from None


def _names(document: Document) -> list[Problem]:
    problems = []
    for name in document.graphs:
        if not is_graph_name(name):
            text = f"the graph name {shorten(repr(name))} is not made of letters, digits, - and _"
            problems.append(Problem("bad-name", text, fix="Rename it."))
    for kind, names in (("node", document.nodes), ("input", document.inputs), ("output", document.outputs)):
        for name in names:
            if not is_name(name) or len(name) > LONGEST_NAME or (kind == "node" and name == "input"):
                why = "is reserved" if name == "input" else "is no Python identifier" if len(name) <= LONGEST_NAME else "is too long"
                problems.append(Problem("bad-name", f"the {kind} name {shorten(repr(name))} {why}", fix="Rename it."))
    return problems


def _bounds(document: Document) -> list[Problem]:
    """Depth and length of everything that is free JSON; nodes with plain inputs cost almost nothing here."""
    problems: list[Problem] = []
    for name, node in document.nodes.items():
        for port, value in node.inputs.items():
            kind = type(value)
            if kind is dict and len(value) == 1 and type(value.get("from")) is str:
                continue
            if kind is str or kind is dict or kind is float:
                problems += (Problem(code, text, name, port, fix=fix) for code, text, fix in measure(value))
        if node.__pydantic_extra__:
            problems += (Problem(code, text, name, fix=fix) for code, text, fix in measure(node.__pydantic_extra__))
    rest = {key: value for key, value in document.__dict__.items() if key not in ("nodes", "outputs", "inputs", "graphs")}
    rest["inputs"] = [item.model_dump() for item in document.inputs.values()]
    rest["extra"] = document.__pydantic_extra__
    problems += (Problem(code, text, fix=fix) for code, text, fix in measure(rest))
    return problems


def measure(value: Any, most: float = math.inf) -> list[tuple[str, str, str]]:
    """What is too deep, too long or not finite in free JSON: code, message and fix of each. most: values that it may hold."""
    found, count = [], 0
    stack = [iter((value,))]
    while stack and len(found) < MOST_REASONS:
        item = next(stack[-1], stack)
        if item is stack:
            stack.pop()
            continue
        count += 1
        if count > most:
            return [("too-many-values", f"it holds more than {most:,} values", "Split it.")]
        if len(stack) > DEEPEST:
            return [("too-deep", f"a value is nested deeper than {DEEPEST} levels", "Flatten it.")]
        if isinstance(item, str):
            if len(item) > LONGEST_STRING:
                found.append(("too-long", f"a string of {len(item):,} characters; at most {LONGEST_STRING:,} are allowed", "Shorten it."))
        elif isinstance(item, float) and not math.isfinite(item):
            found.append(("not-a-number", "a number is too large for JSON", "Write a finite number."))
        elif isinstance(item, dict):
            stack.append(iter(item.values()))
        elif isinstance(item, (list, tuple)):
            stack.append(iter(item))
    return found


def _from_pydantic(error: ValidationError, name: str, *within: str, top: bool = True) -> list[Problem]:
    """top: whether it is the file's own graph, whose nodes a person knows by name alone."""
    problems = []
    for detail in error.errors(include_url=False, include_context=False)[:MOST_REASONS]:
        path = [*within, *map(str, detail["loc"])]
        node = path[1] if top and path and path[0] == "nodes" and len(path) > 1 else ""
        where = " → ".join(path[2:] if node else path)
        text = detail["msg"][0].lower() + detail["msg"][1:]
        got = shorten(repr(detail.get("input")))
        said = f"{where}: {text}, got {got}" if where else text
        problems.append(Problem("bad-shape", said if where and top else f"{name}: {said}", node, got=got, fix="See the format's schema."))
    return problems


def _unreadable(code: str, message: str, fix: str) -> Unreadable:
    return Unreadable([Problem(code, message, fix=fix)])


def _guess(raw: dict) -> str:
    """What other program's graph it may be, "" for none that is known; flowmm.importing reads it."""
    if any(isinstance(one, dict) and isinstance(one.get("class_type"), str) for one in (*raw.values(), *_values(raw.get("prompt")))):
        return "a ComfyUI API workflow"
    if isinstance(raw.get("nodes"), list) and ("last_node_id" in raw or "links" in raw):
        return "a ComfyUI workflow"
    return ""


def _values(raw: Any) -> tuple[Any, ...]:
    return tuple(raw.values()) if isinstance(raw, dict) else ()


def _json_kind(value: Any) -> str:
    return {list: "list", str: "string", type(None): "null", bool: "boolean"}.get(type(value), "number")


def _printable(path: Path) -> str:
    return re.sub("[\x00-\x1f\ud800-\udfff]", "�", str(path))[:200]


_encode: Callable[[Any], str] = json.JSONEncoder(ensure_ascii=False, allow_nan=False).encode


def _line(value: Any) -> str:
    """One value as JSON; readable letters, except where a lone surrogate cannot be written as UTF-8."""
    text = _encode(value)
    try:
        text.encode()
    except UnicodeEncodeError:
        return json.dumps(value, allow_nan=False)
    return text
