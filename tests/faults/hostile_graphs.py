"""Graphs as no editor writes them: valid ones, of every node type, with something wrong; and requests that carry them."""

from __future__ import annotations

import json
import math
import random
from collections.abc import Callable, Iterator
from copy import deepcopy
from typing import Any

from flowmm import zoo
from flowmm.catalog import NodeSpec, Port, packs
from flowmm.face.find import shipped
from flowmm.sockets.types import Choice, ListOf, Plain, Type, Union, Var

Json = Any

# ── words and values that are seldom welcome ────────────────────────────────────────────────────

RED = "examples/red-circle.png"
HALF = "\ud800"  # of a surrogate pair: text in JSON, but in no file and no database
WORDS = ["a", "one", "a red circle", "", "ü 文字", RED, "zoo:vit", "out"]
PATHS = [
    "../secret.png", "..\\secret.png", "/etc/passwd", "a/../../secret", "~/x", "~root/x", "$HOME/x", "..%2fx", "%2e%2e/x", "\uff0e\uff0e/x",
    "C:\\x", "C:x", "\\\\host\\share\\x", "//host/x", "CON", "nul.json", "x::$DATA", "x/", "", " ", ".", "..", "a" * 300, HALF, "\u202egnp.x",
    "x\0.png", "\0", "x\r\nSet-Cookie: a=b", "|id", "*", "[", "examples/*.png", "examples", "examples/masks", ".history", "../graphs/ask.json",
    "/dev/zero", "/dev/stdin", "/proc/self/environ", "/proc/self/fd/0", "server/token", "../server/token",
]  # fmt: skip
ADDRESSES = [
    "file:///etc/passwd", "http://127.0.0.1:1/x.png", "HTTPS://127.0.0.1:1/x", "hf:a/b", "hf:a/b@main", "hf:../../x", "hf:" + "a/" * 50,
    "zoo:", "zoo:..", "zoo:../../x", "zoo:nothing", "zoo:\0", "live:1",
]  # fmt: skip
TRICKS = PATHS + ADDRESSES
NUMBERS = [
    0, -1, 1, 2, 63, 2**31, 2**53, 2**63, 2**64, -(2**63) - 1, 10**400, 0.5, -0.0, 3.7, 1e308, 5e-324, 1e20, math.inf, -math.inf, math.nan,
]  # fmt: skip
AXES = (  # several values in words
    "0..3", "1,2", "0..1..0.5", "9..0", "0..1e9", "", "1\n2", "[1, 2]", "[[1], [2, 3]]", "1, 2\n3", "1e400..1e400", "1E1000000..1E1000000", "NaN..1", "1..NaN",
    "-1e999999..1e999999..1e999999", "1e400", "[1e400]", "NaN", "[NaN]", f"{'9' * 5000}..{'9' * 5000}", "1" * 5000, "0..9999\n" * 40, "[" * 5000, f"{HALF}, a",
)  # fmt: skip
NAMES = [
    "input", "class", "None", "self", "context", "from", "a b", "", "0", "_", "one.two", "a\0", HALF, "x" * 2000, "\u202e",
    "é", "e\u0301", "ℌ", "ﬁ", "__class__", "__proto__", "constructor",
]  # fmt: skip
OPS = [
    "", ".", "..", ":", "text", "text.", ".join", "TEXT.JOIN", "text.join.x", "text\n.join", "text.annotations", "text.Text", "text.__init__",
    "local:", "os.system", "local:os.system", "builtin:text.join", "pip:x.y", "graph:ask", "graph:../x", "\0.x", "ﬁ.x", "é.é", f"{HALF}.x", "a" * 5000,
]  # fmt: skip
OBJECTS: list[Json] = [
    {}, [], [[]], [None], {"": ""}, {HALF: HALF}, {"en": 1}, {"en": "x", "zh": "y"},
    {"from": 7}, {"from": ""}, {"from": "."}, {"from": "input."}, {"from": "input.x"}, {"from": "one"}, {"from": "a.b.c"}, {"from": {"from": "a.b"}},
    {"from": "a.b", "list": []}, {"list": {}}, {"list": []}, {"list": [[]]}, {"list": [None, {"list": []}]},
    {"value": {}}, {"value": [1, "a", None]}, {"value": {"from": "one.text"}}, {"value": None}, {"value": "0" * 64}, {"value": HALF},
    {"upload": "x"}, {"upload": 7}, {"upload": "0" * 32 + ".png"},
]  # fmt: skip


def value(dice: random.Random) -> Json:
    """Anything JSON can say, most of it unwelcome."""
    kind = dice.random()
    if kind < 0.3:
        return dice.choice(TRICKS)
    if kind < 0.6:
        return dice.choice(NUMBERS)
    if kind < 0.85:
        return deepcopy(dice.choice(OBJECTS))
    if kind < 0.95:
        return dice.choice([None, True, False, dice.choice(NAMES), dice.choice(WORDS)])
    if kind < 0.98:
        return nested(dice, dice.choice((10, 62, 63, 64, 65, 200)))
    letters = dice.choice("a\n\0é") * dice.choice((1000, 70_000, 2**20 + 1))
    return dice.choice([letters, [0] * 20_000, {"list": [1] * 5_000}, {str(i): i for i in range(5_000)}])


def nested(dice: random.Random, depth: int) -> Json:
    inner: Json = dice.choice((0, "", {"from": "one.text"}, None))
    kinds = ["list", "value", "array", "key"]
    kinds = [dice.choice(kinds)] if dice.random() < 0.7 else kinds
    for _ in range(depth):
        kind = dice.choice(kinds)
        inner = [inner] if kind == "array" else {"list": [inner]} if kind == "list" else {kind: inner}
    return inner


# ── graphs that are well ────────────────────────────────────────────────────────────────────────


class Documents:
    """Valid graphs: those that come with flowmm, and random ones. cheap: of nodes alone that need no model and finish at once."""

    CHEAP = {"text", "logic"}

    def __init__(self, cheap: bool = False):
        self.specs = [spec for spec in _KNOWN.values() if not cheap or spec.op.partition(".")[0] in self.CHEAP]
        self.shipped = [] if cheap else [json.loads(path.read_text()) for path in sorted(shipped().glob("*.json"))]
        self.models = [f"zoo:{path.name}" for path in sorted(zoo.WEIGHTS.iterdir()) if path.is_dir()]

    def one(self, dice: random.Random) -> dict[str, Json]:
        if self.shipped and dice.random() < 0.4:
            return deepcopy(dice.choice(self.shipped))
        return self.random(dice)

    def random(self, dice: random.Random) -> dict[str, Json]:
        """Some nodes, each input wired to what fits by its type's name, or given a value that it may take."""
        made: dict[str, list[str]] = {}
        nodes: dict[str, Json] = {}
        inputs: dict[str, Json] = {}
        for number in range(dice.choice((1, 2, 3, 5, 8))):
            spec, name = dice.choice(self.specs), f"n{number}"
            nodes[name] = {"op": spec.op, "version": spec.version, "in": dict(self._ports(dice, spec, made, inputs))}
            for output, declared in spec.outputs.items():
                made.setdefault(_kind(declared.type), []).append(f"{name}.{output}")
        wires = [wire for found in made.values() for wire in found]
        wanted = dice.sample(wires, min(len(wires), dice.choice((1, 1, 2))))
        outputs = {f"out{number}": {"from": wire} for number, wire in enumerate(wanted)}
        return {"flowmm": 1, "title": dice.choice(WORDS), "inputs": inputs, "nodes": nodes, "outputs": outputs, "layout": {}, "requires": {}}

    def _ports(
        self, dice: random.Random, spec: NodeSpec, made: dict[str, list[str]], inputs: dict[str, Json]
    ) -> Iterator[tuple[str, Json]]:
        for port in spec.inputs.values():
            anything = made and isinstance(port.type, Var)
            fitting = made.get(dice.choice(list(made)) if anything else _kind(port.type))
            if fitting and dice.random() < 0.8:
                wire = {"from": dice.choice(fitting)}
                yield port.name, {"list": [wire] * dice.choice((1, 2))} if isinstance(port.type, ListOf) else wire
            elif (port.required or dice.random() < 0.3) and (given := self.literal(dice, port)) is not None:
                if dice.random() < 0.3:
                    name = f"i{len(inputs)}"
                    inputs[name] = {"default": given}
                    yield port.name, {"from": f"input.{name}"}
                else:
                    yield port.name, {"list": given} if isinstance(given, list) else given

    def literal(self, dice: random.Random, port: Port) -> Json:
        """A plain value that the port takes; None where there is none, or nothing is meant."""
        if port.source:
            return dice.choice(self.models)
        type_ = dice.choice(port.type.members) if isinstance(port.type, Union) else port.type
        if isinstance(type_, ListOf):
            return [self.literal(dice, Port(port.name, type_.item)) for _ in range(2)]
        if isinstance(type_, Choice):
            return dice.choice(type_.values)
        low = int(port.between.low or 0) if port.between else 0
        kind = type_.cls.__name__ if isinstance(type_, Plain) else _kind(type_)
        plain = {"int": low + 1, "float": low + 0.5, "bool": True, "str": dice.choice(WORDS), "Text": dice.choice(WORDS), "Seed": 7}
        return (plain | {"Path": RED, "Image": RED, "Mask": "examples/masks/middle.png"}).get(kind)


def _kind(type_: Type) -> str:
    """A type by its name alone: what it is, not of which space."""
    inner = next((one for one in getattr(type_, "members", ()) if "None" not in str(one)), type_)
    return str(inner.item if isinstance(inner, ListOf) else inner).partition("[")[0]


_KNOWN = {spec.op: spec for spec in packs.all_specs() if ":" not in spec.op}


def _spec(node: Json) -> NodeSpec | None:
    return _KNOWN.get(node["op"]) if isinstance(node.get("op"), str) else None


def _nodes(document: Json) -> dict[str, Json]:
    """Those that still look like nodes."""
    nodes = document.get("nodes") if isinstance(document, dict) else None
    return {name: node for name, node in nodes.items() if isinstance(node, dict) and isinstance(node.get("in"), dict)} if isinstance(nodes, dict) else {}


def _inputs(document: Json) -> list[str]:
    inputs = document.get("inputs") if isinstance(document, dict) else None
    return list(inputs) if isinstance(inputs, dict) else []


# ── what can be wrong ───────────────────────────────────────────────────────────────────────────


def places(document: Json) -> list[tuple[Any, Any]]:
    """Every place in a document where something stands: the object or array, and its key."""
    found, stack = [], [document]
    while stack:
        item = stack.pop()
        for key in list(item) if isinstance(item, dict) else range(len(item)):
            found.append((item, key))
            if isinstance(item[key], (dict, list)):
                stack.append(item[key])
    return found


def replace(dice: random.Random, document: Json) -> None:
    container, key = dice.choice(places(document))
    container[key] = value(dice)


def drop(dice: random.Random, document: Json) -> None:
    container, key = dice.choice(places(document))
    del container[key]


def add(dice: random.Random, document: Json) -> None:
    container, _ = dice.choice(places(document))
    if isinstance(container, dict):
        container[dice.choice(NAMES)] = value(dice)
    else:
        container.append(value(dice))


def rename(dice: random.Random, document: Json) -> None:
    """A node, port, input or output is called something else, and who meant it looks for it in vain."""
    container, key = dice.choice(places(document))
    if isinstance(container, dict):
        container[dice.choice(NAMES) if dice.random() < 0.5 else f"{key}x"] = container.pop(key)


def swap(dice: random.Random, document: Json) -> None:
    """Two places change what stands there."""
    (one, first), (other, second) = dice.choice(places(document)), dice.choice(places(document))
    one[first], other[second] = deepcopy(other[second]), deepcopy(one[first])


def literal(dice: random.Random, document: Json) -> None:
    """A port gets a value that hardly fits: too large, of another kind, a path that leads elsewhere."""
    if nodes := _nodes(document):
        ports = dice.choice(list(nodes.values()))["in"]
        port = dice.choice([*ports, "source", "path", "text", "seed"])
        ports[port] = dice.choice((dice.choice(NUMBERS), dice.choice(TRICKS), dice.choice((None, True, False, "1", "true"))))


def default(dice: random.Random, document: Json) -> None:
    if names := _inputs(document):
        document["inputs"][dice.choice(names)] = {"default": dice.choice((dice.choice(NUMBERS), dice.choice(TRICKS), value(dice)))}


def rewire(dice: random.Random, document: Json) -> None:
    """A port hangs on some other output, of any type; often below it, which closes a loop."""
    if nodes := _nodes(document):
        target, (source, node) = dice.choice(list(nodes.values())), dice.choice(list(nodes.items()))
        spec = _spec(node)
        wire = {"from": f"{source}.{dice.choice(list(spec.outputs)) if spec else 'value'}"}
        port = dice.choice([*target["in"], "images", "text", "image"])
        target["in"][port] = dice.choice((wire, wire, {"list": [wire, wire]}, {"list": [{"list": [wire]}, 1]}))


def retype(dice: random.Random, document: Json) -> None:
    if nodes := _nodes(document):
        node = dice.choice(list(nodes.values()))
        node["op"] = dice.choice(OPS) if dice.random() < 0.5 else dice.choice(list(_KNOWN))
        node["version"] = dice.choice((1, 1, 2, 10**30) if dice.random() < 0.9 else (0, -1, 1.0, 1.5, "1", True, None))


def part(dice: random.Random, document: Json) -> None:
    """Some of the graph, or all of it, becomes a definition that a node uses; now and then one that holds itself, or that nobody knows."""
    if not (nodes := _nodes(document)):
        return
    name, inner = dice.choice(("part", "part", "other", "ask", *NAMES)), {key: deepcopy(one) for key, one in document.items() if key != "graphs"}
    if dice.random() < 0.5:
        kept = dice.sample(list(nodes), max(1, len(nodes) // 2))
        inner["nodes"] = {key: deepcopy(nodes[key]) for key in kept}
    if dice.random() < 0.15:
        inner["nodes"]["again"] = {"op": f"graph:{dice.choice((name, 'part', 'other'))}", "version": 1, "in": {}}
    definitions = document.setdefault("graphs", {})
    if isinstance(definitions, dict):
        definitions[name] = inner
    taken = {port: {"from": f"input.{port}"} for port in _inputs(document)} if dice.random() < 0.5 else {}
    document["nodes"]["piece"] = {"op": f"graph:{name if dice.random() < 0.9 else 'nobody'}", "version": 1, "in": taken}
    outputs = document.get("outputs")
    if isinstance(outputs, dict) and outputs:
        outputs["of_piece"] = {"from": f"piece.{dice.choice(list(outputs))}"}


def mode(dice: random.Random, document: Json) -> None:
    if nodes := _nodes(document):
        dice.choice(list(nodes.values()))["mode"] = dice.choice(("mute", "bypass", "mute", "bypass", "", "off", value(dice)))


def frame(dice: random.Random, document: Json) -> None:
    """A node runs once for each item of a list, or again and again; what it is told of that may be about nothing."""
    if not (nodes := _nodes(document)):
        return
    node = dice.choice(list(nodes.values()))
    spec = _spec(node)
    ports, outputs = list(node["in"]) or list(spec.inputs if spec else ()), list(spec.outputs) if spec else ["value", "out0"]
    ports, outputs = ports or ["text"], outputs or ["value"]
    if dice.random() < 0.6:
        node["each"] = dice.sample(ports, dice.randint(1, min(2, len(ports)))) if dice.random() < 0.9 else value(dice)
        node["combine"] = dice.choice(("zip", "product", "zip", "product", "both", value(dice)))
        for port in node["each"] if isinstance(node["each"], list) else ():
            if isinstance(port, str) and port in node["in"] and dice.random() < 0.8:
                node["in"][port] = {"list": [node["in"][port]] * dice.choice((0, 1, 2, 3))}
    if dice.random() < 0.5:
        carry = {dice.choice(ports): dice.choice(outputs)} if dice.random() < 0.9 else value(dice)
        node["loop"] = {"carry": carry, "until": dice.choice((*outputs, "", "nobody")), "most": dice.choice((1, 2, 3, 3, 10_000, 10_001, 0, None, 1.0, value(dice)))}
        if dice.random() < 0.2:
            del node["loop"][dice.choice(list(node["loop"]))]


def bend(dice: random.Random, document: Json) -> None:
    """What only hands on stands in a wire, or at its end, with or without something to hand on."""
    if nodes := _nodes(document):
        ports = dice.choice(list(nodes.values()))["in"]
        port = dice.choice([*ports, "text"])
        name = f"bend{dice.randint(0, 3)}"
        handed = {} if dice.random() < 0.2 else {"value": dice.choice((ports.get(port, 1), {"from": f"bend{dice.randint(0, 3)}.value"}, value(dice)))}
        document["nodes"][name] = {"op": dice.choice(("logic.reroute", "logic.reroute", "logic.constant")), "version": 1, "in": handed}
        ports[port] = {"from": f"{name}.value"}


def crowd(dice: random.Random, document: Json) -> None:
    """Many copies of a node, all hanging where it hangs."""
    if nodes := _nodes(document):
        name, node = dice.choice(list(nodes.items()))
        document["nodes"] |= {f"{name}_{number}": deepcopy(node) for number in range(dice.choice((20, 100, 400)))}


def garnish(dice: random.Random, document: Json) -> None:
    """What is not part of the graph's identity, and what nobody knows."""
    place = dice.choice(("layout", "requires", "title", "about", "tags", "extra", "$schema", "inputs", "outputs", "flowmm"))
    document[place] = {"given": given(dice, document), "positions": value(dice)} if place == "layout" else value(dice)


MUTATIONS: list[Callable[[random.Random, Json], None]] = [
    replace, drop, add, rename, swap, garnish, literal, literal, literal, default, rewire, rewire, rewire, retype, retype, crowd,
    part, part, mode, mode, frame, frame, bend, bend,
]  # fmt: skip


def mutated(dice: random.Random, document: dict[str, Json]) -> dict[str, Json]:
    """The document with one thing wrong, or a few."""
    for _ in range(dice.choice((1, 1, 1, 2, 2, 3, 6))):
        if places(document):
            dice.choice(MUTATIONS)(dice, document)
    return document


# ── requests that carry them ────────────────────────────────────────────────────────────────────

CHECK, COMPATIBLE, PLAN, RUNS, SAVE = "/api/check", "/api/compatible", "/api/plan", "/api/runs", "/api/graphs/"
LOOK, FITTING, CARRIED, OPEN = "/api/look", "/api/fitting", "/api/carried", "/api/open"
UPGRADE, EXPORT, SWEEPS = "/api/upgrade", "/api/export", "/api/sweeps"
TAKING = (CHECK, COMPATIBLE, PLAN, RUNS, SAVE, LOOK, FITTING, CARRIED, OPEN, UPGRADE, EXPORT, SWEEPS)
SAVED = ["g1", "g2", "Ask", "with space", "ask"]


def given(dice: random.Random, document: Json) -> Json:
    """Values for a graph's inputs, as a run, a layout or a picture names them."""
    kinds = ("upload", "value", "sha256", "key", "file")
    return {name: dice.choice((value(dice), {dice.choice(kinds): value(dice)})) for name in _inputs(document)[:5]} or value(dice)


def carried(dice: random.Random, document: Json) -> str:
    """What a picture says of the graph that made it."""
    inner = text(document).decode("utf-8", "replace") if dice.random() < 0.9 else value(dice)
    return json.dumps({"graph": inner, "inputs": given(dice, document), "name": dice.choice((*WORDS, value(dice)))})


def request(dice: random.Random, document: Json, where: str) -> dict[str, Json]:
    """A request's JSON with this graph: inputs, targets and names mostly as they should be."""
    asked: dict[str, Json] = {"graph": document}
    if _inputs(document) and dice.random() < 0.3:
        asked["inputs"] = given(dice, document)
    if dice.random() < 0.1:
        asked["name"] = dice.choice((*SAVED, *TRICKS, *NAMES))
    if where in (COMPATIBLE, FITTING):
        asked |= _port(dice, document)
    if where == LOOK:
        asked |= {"edge": ".".join(str(_port(dice, document)[name]) for name in ("node", "port")), "item": dice.choice((0, 1, value(dice)))}
    if where == UPGRADE and dice.random() < 0.5:
        asked["nodes"] = dice.choice((list(_nodes(document)), [], ["nobody"], value(dice)))
    if where in (CHECK, PLAN, SWEEPS) and dice.random() < (0.9 if where == SWEEPS else 0.2):
        asked["axes"] = {name: dice.choice((["a", "b"], [1, 2], [], value(dice), dice.choice(AXES), dice.choice(AXES))) for name in _inputs(document)[:2]}
        asked["combine"] = dice.choice(("product", "zip", "product", "zip", "both"))
    if where in (PLAN, RUNS, SWEEPS) and dice.random() < 0.15:
        outputs = document.get("outputs") if isinstance(document, dict) else None
        named = list(outputs) if isinstance(outputs, dict) else []
        edges = [f"{name}.{dice.choice(WORDS)}" for name in _nodes(document)]
        asked["targets"] = dice.choice((named, edges, [], ["nobody.value"], [dice.choice(NAMES)], None, value(dice)))
    if where in (RUNS, SWEEPS) and dice.random() < 0.2:
        asked["key"] = dice.choice((*WORDS, *NAMES, *TRICKS))
    if dice.random() < 0.03:
        asked[dice.choice([*asked, "graph", "more"])] = value(dice)
    return asked


def _port(dice: random.Random, document: Json) -> dict[str, Json]:
    """A port of the graph that there mostly is."""
    nodes, side = _nodes(document), dice.choice(("output", "input"))
    name = dice.choice([*nodes, "input", dice.choice(NAMES)])
    spec = _spec(nodes[name]) if name in nodes else None
    ports = list(spec.outputs) if spec and side == "output" else list(nodes[name]["in"]) if name in nodes else _inputs(document)
    return {"node": name, "port": dice.choice([*ports, dice.choice(NAMES)]), "side": side}


def text(asked: Json, ascii: bool = True) -> bytes:
    """JSON's bytes, where Python may be looser than JSON is."""
    return json.dumps(asked, ensure_ascii=ascii).encode("utf-8", "surrogatepass")
