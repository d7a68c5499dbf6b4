"""How two graphs differ, in words. The order of keys never matters; what is only called otherwise is not new."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass
from functools import partial
from typing import Any

from .document import Document, InputDoc, NodeDoc, OutputDoc, Words
from .pieces import PREFIX
from .problems import listed, shorten
from .renames import Renames

LAYOUT = "layout"  # the one kind of change that is none of the graph itself
NOTHING = "left out"


@dataclass(frozen=True, slots=True)
class Change:
    """kind: for programs, stable. where: the node, input or output, after the definitions it lies in. text: a sentence."""

    kind: str
    where: str
    text: str
    before: Any = None
    after: Any = None

    def as_json(self) -> dict[str, Any]:
        return asdict(self)


def diff(before: Document, after: Document) -> list[Change]:
    """What became of one document in the other; empty if they are the same."""
    return list(_documents(before, after, ""))


def _documents(a: Document, b: Document, path: str) -> Iterator[Change]:
    names = Renames(a, b)
    found = [*_words(a, b), *_inputs(a, b, names), *_nodes(a, b, names), *_outputs(a, b, names), *_rest(a, b)]
    for one in found:
        yield _within(path, one)
    for name in a.graphs:
        if name not in names.graphs:
            yield _within(path, Change("definition-gone", name, f"the definition `{name}` is gone"))
        elif names.graphs[name] != name:
            yield _within(path, Change("definition-renamed", name, f"the definition `{name}` is now called `{names.graphs[name]}`", name, names.graphs[name]))
    for name in b.graphs:
        if name not in names.graphs.values():
            yield _within(path, Change("definition-new", name, f"the definition `{name}` is new"))
    for name, other in names.graphs.items():
        yield from _documents(a.graphs[name], b.graphs[other], f"{path}{other}/")


def _within(path: str, one: Change) -> Change:
    if not path:
        return one
    inside = path.rstrip("/").replace("/", "` in `")
    return Change(one.kind, path + one.where, f"in the definition `{inside}`: {one.text}", one.before, one.after)


# ── the parts ───────────────────────────────────────────────────────────────────────────────────


def _words(a: Document, b: Document) -> Iterator[Change]:
    yield from _said("", "title", a.title, b.title)
    yield from _said("", "about", a.about, b.about)
    if a.tags != b.tags:
        yield Change("tags", "", f"tags: {', '.join(a.tags) or 'none'} → {', '.join(b.tags) or 'none'}", a.tags, b.tags)


def _said(where: str, what: str, a: Words, b: Words) -> Iterator[Change]:
    """A title or help in each of its languages."""
    one, other = ({"": text} if isinstance(text, str) else text for text in (a, b))
    if {"": ""} in (one, other) and len(one) + len(other) > 2:  # from none at all to several languages
        one, other = (({} if text == {"": ""} else text) for text in (one, other))
    for language in dict.fromkeys([*one, *other]):
        before, after = one.get(language), other.get(language)
        if (before or "") != (after or ""):
            told = f"{what} ({language})" if language else what
            yield Change(what, where, f"{where + ': ' if where else ''}{told}: {_shown(before or None)} → {_shown(after or None)}", before, after)


def _parts(
    kind: str, a: Mapping[str, Any], b: Mapping[str, Any], called: Mapping[str, str], gone: Callable[..., Change], new: Callable[..., Change],
    inside: Callable[..., Iterator[Change]],
) -> Iterator[Change]:  # fmt: skip
    """Of inputs, nodes or outputs: what is gone, what is called otherwise, what became of it, what is new. called: by the old name the new one."""
    for name, one in a.items():
        other = called.get(name)
        if other is None:
            yield gone(name, one)
            continue
        if other != name:
            yield Change(f"{kind}-renamed", name, f"the {kind} `{name}` is now called `{other}`", name, other)
        yield from inside(other, one, b[other])
    known = set(called.values())
    yield from (new(name, one) for name, one in b.items() if name not in known)


def _inputs(a: Document, b: Document, names: Renames) -> Iterator[Change]:
    def gone(name: str, one: InputDoc) -> Change:
        return Change("input-gone", name, f"the input `{name}` is gone")

    def new(name: str, one: InputDoc) -> Change:
        default = f", with the default {_shown(one.default)}" if "default" in one.model_fields_set else ""
        return Change("input-new", name, f"the input `{name}` is new{default}", after=one.default)

    return _parts("input", a.inputs, b.inputs, names.inputs, gone, new, _input)


def _input(name: str, a: InputDoc, b: InputDoc) -> Iterator[Change]:
    defaults = [one.default if "default" in one.model_fields_set else ... for one in (a, b)]
    if not same(*defaults):
        before, after = ("none" if one is ... else _shown(one) for one in defaults)
        yield Change("default", name, f"the default of `{name}`: {before} → {after}", *(None if one is ... else one for one in defaults))
    yield from _said(name, "title", a.title, b.title)
    yield from _said(name, "help", a.help, b.help)
    yield from _extra(name, a, b)


def _outputs(a: Document, b: Document, names: Renames) -> Iterator[Change]:
    def gone(name: str, one: OutputDoc) -> Change:
        return Change("output-gone", name, f"the output `{name}` is gone")

    def new(name: str, one: OutputDoc) -> Change:
        return Change("output-new", name, f"the output `{name}` is new, from {one.source}", after=one.source)

    return _parts("output", a.outputs, b.outputs, names.outputs, gone, new, partial(_output, names))


def _output(names: Renames, name: str, a: OutputDoc, b: OutputDoc) -> Iterator[Change]:
    if names.source(a.source) != b.source:
        yield Change("output", name, f"the output `{name}`: from {a.source} → {b.source}", a.source, b.source)
    yield from _said(name, "title", a.title, b.title)
    yield from _extra(name, a, b)


def _nodes(a: Document, b: Document, names: Renames) -> Iterator[Change]:
    def gone(name: str, one: NodeDoc) -> Change:
        return Change("node-gone", name, f"the node `{name}` ({one.op}) is gone", one.op)

    def new(name: str, one: NodeDoc) -> Change:
        return Change("node-new", name, f"the node `{name}` ({one.op}) is new", after=one.op)

    return _parts("node", a.nodes, b.nodes, names.nodes, gone, new, partial(_node, names))


def _node(names: Renames, name: str, a: NodeDoc, b: NodeDoc) -> Iterator[Change]:
    if names.op(a.op) != b.op:
        yield Change("op", name, f"`{name}` is a {b.op} instead of a {a.op}", a.op, b.op)
    if a.version != b.version and not b.op.startswith(PREFIX):
        yield Change("version", name, f"`{name}` is of version {b.version} of {b.op} instead of {a.version}", a.version, b.version)
    for port in dict.fromkeys([*a.inputs, *b.inputs]):
        before, after = a.inputs.get(port, ...), b.inputs.get(port, ...)
        if not same(before if before is ... else names.value(before), after):
            told = f"{_value(before)} → {_value(after)}"
            if told.startswith("from ") and "→ from " in told:
                told = told.replace("→ from ", "→ ")
            yield Change("value", f"{name}.{port}", f"{name}.{port}: {told}", *(None if one is ... else one for one in (before, after)))
    if a.mode != b.mode:
        how = {"": "on again", "mute": "muted", "bypass": "bypassed"}[b.mode]
        yield Change("mode", name, f"`{name}` is {how}", a.mode, b.mode)
    before, after = _frame(a), _frame(b)
    if before != after:
        yield Change("frame", name, f"`{name}` runs {after}, instead of {before}", before, after)
    yield from _extra(name, a, b)


def _frame(node: NodeDoc) -> str:
    """How often a node runs, in words."""
    told = []
    if node.each:
        side = node.combine == "zip"
        named = listed([f"`{port}`" for port in (sorted(node.each) if side else node.each)])
        told.append(f"once for each of {named}{', side by side' * (side and len(node.each) > 1)}{', each with each' * (not side)}")
    if node.loop is not None:
        rounds = "without a bound" if node.loop.most is None else f"at most {node.loop.most} times"
        carried = [f"`{port}` from `{output}`" for port, output in sorted(node.loop.carry.items())]
        until = f" until `{node.loop.until}`" if node.loop.until else ""
        told.append(f"again and again, {rounds}{until}{', with ' + listed(carried) if carried else ''}")
    return " and ".join(told) or "once"


def _rest(a: Document, b: Document) -> Iterator[Change]:
    yield from _extra("", a, b)
    for part in dict.fromkeys([*a.requires, *b.requires]):
        one, other = a.requires.get(part), b.requires.get(part)
        if not same(one, other):
            named = isinstance(one or {}, dict) and isinstance(other or {}, dict)
            told = f"requires {part}: {_named(one or {}, other or {})}" if named else f"requires {part}: {_shown(one)} → {_shown(other)}"
            yield Change("requires", part, told, one, other)
    if not same(a.layout, b.layout):
        yield Change(LAYOUT, "", "the layout differs")


def _named(a: Mapping[str, Any], b: Mapping[str, Any]) -> str:
    """What entries became."""
    how = {name: "differs" if name in a and name in b else "is new" if name in b else "is gone" for name in dict.fromkeys([*a, *b])}
    return listed([f"{shorten(name)} {told}" for name, told in how.items() if told != "differs" or not same(a[name], b[name])])


def _extra(where: str, a: Any, b: Any) -> Iterator[Change]:
    """Fields that this version of the format does not know."""
    one, other = a.__pydantic_extra__ or {}, b.__pydantic_extra__ or {}
    for name in dict.fromkeys([*one, *other]):
        if not same(one.get(name), other.get(name)):
            told = f"{shorten(name)}: {_shown(one.get(name))} → {_shown(other.get(name))}"
            yield Change("field", where, f"`{where}`: {told}" if where else told, one.get(name), other.get(name))


# ── values ──────────────────────────────────────────────────────────────────────────────────────


def same(one: Any, other: Any) -> bool:
    """Whether two values of a document mean the same: 1 is 1.0 and not True, {"value": 3} is 3."""
    stack = [(one, other)]
    while stack:
        a, b = (_plain(value) for value in stack.pop())
        if isinstance(a, Mapping) and isinstance(b, Mapping):
            if a.keys() != b.keys():
                return False
            stack += [(a[key], b[key]) for key in a]
        elif isinstance(a, (list, tuple)) and isinstance(b, (list, tuple)):
            if len(a) != len(b):
                return False
            stack += zip(a, b)
        elif isinstance(a, bool) is not isinstance(b, bool) or a != b:
            return False
    return True


def _plain(value: Any) -> Any:
    if isinstance(value, dict) and len(value) == 1:
        (key, inner), = value.items()
        if key == "value" and not isinstance(inner, (dict, list)):
            return inner
        if key == "list" and isinstance(inner, list) and not any(isinstance(item, dict) for item in inner):
            return {"value": inner}
    return value


def _value(value: Any) -> str:
    """What is wired or written at a port, in words."""
    if value is ...:
        return NOTHING
    if isinstance(value, dict) and len(value) == 1:
        (key, inner), = value.items()
        if key == "from" and isinstance(inner, str):
            return f"from {shorten(inner)}"
        if key == "list" and isinstance(inner, list):
            return f"[{listed([_value(item) for item in inner])}]"
        if key == "value":
            return _shown(inner)
    return _shown(value)


def _shown(value: Any) -> str:
    return "none" if value is None else shorten(" ".join(json.dumps(value, ensure_ascii=False).split()))
