"""A document made of a sheet: nodes, inputs, outputs and places, while what runs on the other program's wires is kept apart by its parts.

One wire there may be several here: a MODEL is a denoiser and its schedule. What an output hands on is a *bundle*: values of the document
by what they are for (`denoiser`, `schedule`, `latent`, `width` …).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import Any

from ..catalog import find
from ..graph.document import is_name
from ..graph.pieces import PREFIX
from ..graph.problems import shorten
from .report import Line, Report
from .sheet import ENTRY, Box, Link, Sheet, Socket

Bundle = dict[str, Any]
ANY = "*"  # of a placeholder's bundle: the one wire that stands for whatever is asked for
UNSET: Any = object()

# What the one wire of a type carries first; every other type is a plain value.
FIRST = {
    "MODEL": "denoiser", "CLIP": "encoder", "VAE": "autoencoder", "CONDITIONING": "conditioning", "LATENT": "latent", "IMAGE": "image",
    "MASK": "mask", "CONTROL_NET": "net",
}  # fmt: skip
ORDER = (
    "image", "mask", "prompt", "negative", "seed", "steps", "guidance", "strength", "control_strength", "lora_weight", "lora_text_weight",
    "width", "height", "scheduler", "count", "lora", "control", "vae", "text_model", "model",
)  # fmt: skip
MODELS = 5  # of them, at the end
BELOW = 140  # pixels between the nodes that one box becomes
LEFT, RIGHT = 340, 380  # from the outermost boxes to the cards of the graph's inputs and outputs
LONGEST = 60  # letters of a name that is made of a title
MOST_PORTS = 256
LEFT_OUT: list[Bundle] = []  # what a box hands on of which nothing was made


class Unmapped(Exception):
    """A node of a known type that cannot be kept as it is; says why."""


class Primitive:
    """A value in a box of its own: it becomes one input of the graph, named after what reads it first."""

    def __init__(self, writer: Writer, value: Any):
        self.writer, self.value = writer, value
        self.wire: dict[str, str] | None = None

    def read(self, wanted: str) -> dict[str, str]:
        self.wire = self.wire or self.writer.promote(wanted, self.value)
        return self.wire


class Writer:
    """One graph under construction. entries: of a definition, the bundle of each of its inputs, in names of its own."""

    def __init__(self, sheet: Sheet, report: Report, entries: dict[int, Bundle] | None = None):
        self.sheet, self.report = sheet, report
        self.entries = entries or {}
        self.nodes: dict[str, dict[str, Any]] = {}
        self.inputs: dict[str, dict[str, Any]] = {name: {} for name in sources(list(self.entries.values()))}
        self.outputs: dict[str, dict[str, Any]] = {}
        self.asked: dict[str, tuple[str, Any, str, dict[str, Any]]] = {}  # by input made here: wanted name, default, file, help
        self.places: dict[str, list[int]] = {}
        self.collapsed: list[str] = []
        self.seeds: dict[str, str] = {}
        self.bundles: dict[str, list[Bundle]] = {}
        self.negatives = sheet.negatives()
        self.used: dict[str, set[int]] = {}
        for link in [*(link for box in sheet.boxes.values() for link in box.links.values()), *sheet.exits.values()]:
            self.used.setdefault(link.box, set()).add(link.slot)
        self._made: list[str] = []
        self._promoted: list[str] = []
        self._remarks: list[str] = []
        self._announced: dict[str, str] = {}  # by box, its placeholder
        self._shown: dict[str, str] = {}  # by wire, the output that it is
        self._counts: dict[tuple[int, str], int] = {}

    # ── what a box is given ─────────────────────────────────────────────────────────────────────

    def given(self, box: Box, name: str) -> Bundle:
        """What is wired to an input; empty where nothing is."""
        return self.at(box.links.get(name))

    def at(self, link: Link | None) -> Bundle:
        if link is None:
            return {}
        if link.box == ENTRY:
            return self.entries.get(link.slot, {})
        made = self.bundles.get(link.box, [])
        return made[link.slot] if 0 <= link.slot < len(made) else {}

    def literal(self, box: Box, name: str, default: Any = None) -> Any:
        """A setting's own value; None if it is wired to something that is known only in a run."""
        if name not in box.links:
            return box.values.get(name, default)
        value = self.given(box, name).get("value")
        return value.value if isinstance(value, Primitive) else value if is_plain(value) else None

    def number(self, box: Box, name: str, default: float, low: float, high: float) -> float:
        """A setting that is a number within bounds; whole if the default is."""
        value = self.literal(box, name, default)
        if type(value) not in (int, float):
            return default
        made = type(default)(max(low, min(high, value)))
        if made != value:
            self.remark(f"{name} {shorten(str(value))} became {made:g}: here it is {low:g} to {high:g}")
        return made

    def promoted(self, box: Box, name: str, wanted: str, value: Any) -> Any:
        """A setting as an input of the graph, with this value as its default; as it is where it is wired."""
        if name in box.links:
            found = self.given(box, name)
            wired = found.get("value", found.get(ANY))
            if isinstance(wired, Primitive):
                wired.value = value if wired.wire is None else wired.value  # as it fits here
                return wired.read(wanted)
            if not is_plain(wired):
                return wired
        return self.promote(wanted, value)

    def setting(self, box: Box, name: str, value: Any) -> Any:
        """A setting that stays at its node; as it is where it is wired."""
        return self.promoted(box, name, name, value) if name in box.links else value

    # ── what is made of it ──────────────────────────────────────────────────────────────────────

    def node(self, box: Box, wanted: str, op: str, **inputs: Any) -> str:
        """Add a node, with the inputs that are not None; its name comes back."""
        name = self.free(wanted, self.nodes)
        made: dict[str, Any] = {"op": op} | ({} if op.startswith(PREFIX) else {"version": find(op).version})
        made["in"] = {port: value for port, value in inputs.items() if value is not None}
        if box.mode:
            made["mode"] = box.mode
        self.nodes[name] = made
        self._place(box, name)
        self._made.append(name)
        return name

    def _place(self, box: Box, name: str) -> None:
        if box.at is not None:
            self.places[name] = [box.at[0], box.at[1] + BELOW * len(self._made)]
            if box.collapsed:
                self.collapsed.append(name)

    def promote(self, wanted: str, default: Any = UNSET, file: str = "", **fields: Any) -> dict[str, str]:
        """A new input of the graph. file: what the other program had for it, which is not here."""
        name = self.free(wanted, self.inputs)
        self.inputs[name] = fields if default is UNSET else {"default": default, **fields}
        self.asked[name] = (wanted, default, file, fields)
        self._promoted.append(f"input.{name}")
        return {"from": f"input.{name}"}

    def output(self, wanted: str, value: Any, box: Box) -> str:
        """A new output of the graph; "" if there is nothing to give."""
        if not (isinstance(value, dict) and "from" in value):
            return ""
        if value["from"] in self._shown:
            return self._shown[value["from"]]
        source = value["from"]
        if value["from"].startswith("input."):  # an output is a node's
            value = {"from": f"{self.node(box, 'same', 'logic.reroute', value=value)}.value"}
        name = self._shown[source] = self.free(wanted, self.outputs)
        self.outputs[name] = {"from": value["from"]}
        return name

    def free(self, wanted: str, taken: dict[str, Any]) -> str:
        """A name that is not taken: numbered from the second on."""
        wanted = named_port(wanted)
        count, name = self._counts.get((id(taken), wanted), 1), wanted
        while name in taken or name == "input":
            count += 1
            name = f"{wanted}_{count}"
        self._counts[id(taken), wanted] = count
        return name

    def made(self, name: str) -> None:
        """Say what the box at hand became, beside its nodes."""
        self._made.append(name)

    def remark(self, text: str) -> None:
        """Say what of the box at hand could not be kept."""
        self._remarks.append(text)

    def placeholder(self, box: Box, why: str) -> list[Bundle]:
        """A node that does nothing, but keeps the box's settings and wires."""
        name = self.announced(box)
        made = self.nodes[name]
        for port, value in {**box.values, **{port: first(self.at(link), port) for port, link in box.links.items()}}.items():
            if value is not None and port:
                made["in"][self.free(port, made["in"])] = value if is_plain(value) or port in box.links else {"value": value}
        kept = {"title": box.title, "widgets": box.unnamed, "properties": box.properties}
        if any(kept.values()):
            made["comfyui"] = {key: value for key, value in kept.items() if value}
        self.say(box, "placeholder", name, why)
        return self._stand_ins(box, name)

    def announced(self, box: Box) -> str:
        """A placeholder's node before its inputs are known, so that what reads it can be made first."""
        if box.id not in self._announced:
            name = self._announced[box.id] = self.free(re.sub(r"\W+", "_", box.kind[:LONGEST]).strip("_").lower() or "node", self.nodes)
            self.nodes[name] = {"op": f"comfyui:{box.kind}", "in": {}} | ({"mode": "mute"} if box.mode else {})
            self._place(box, name)
        return self._announced[box.id]

    def _stand_ins(self, box: Box, name: str) -> list[Bundle]:
        made, taken = [], {}
        for slot in range(min(MOST_PORTS, max([len(box.outputs), *(one + 1 for one in self.used.get(box.id, ()))]))):
            socket = box.outputs[slot] if slot < len(box.outputs) else Socket("", "")
            port = self.free(socket.name or f"output_{slot}", taken)
            taken[port] = None
            passed = self._like(box, socket.type)
            wire = {"from": f"{name}.{port}"}
            made.append(passed | {FIRST.get(socket.type, "value") if socket.type else ANY: wire, ANY: wire})
        return made

    def _like(self, box: Box, type_: str) -> Bundle:
        """What came in by the first input of a type: a node that changes a model hands on its schedule."""
        if type_:
            named = [one.name for one in box.inputs if one.type == type_ and one.name in box.links]
            return dict(self.given(box, named[0])) if named else {}
        model, clip = self.given(box, "model"), self.given(box, "clip")
        return {role: found[role] for found, role in ((model, "schedule"), (clip, "tokenizer")) if role in found}

    def say(self, box: Box, state: Any, became: str, why: str = "") -> None:
        defined = self.sheet.definitions.get(box.kind)
        self.report.lines.append(Line(state, box.id, defined.name if defined else box.kind, box.title, became, why))

    # ── the walk ────────────────────────────────────────────────────────────────────────────────

    def write(self, kinds: dict[str, Callable[[Writer, Box], list[Bundle]]], around: frozenset[str], host: Callable[[Writer, Box], list[Bundle]]) -> None:
        """Make nodes of all boxes. around: kinds that keep what a bypass means themselves; host: makes nodes of boxes that stand for a definition."""
        ordered, rings = _order(self.sheet.boxes)
        for box in rings:
            self.bundles[box.id] = self._stand_ins(box, self.announced(box))
        for box in rings:
            self.placeholder(box, "it is wired in a ring")
        for box in ordered:
            self.bundles[box.id] = self._box(box, kinds, around, host)

    def _box(self, box: Box, kinds: Any, around: frozenset[str], host: Any) -> list[Bundle]:
        handler = host if box.kind in self.sheet.definitions else kinds.get(box.kind)
        self._made, self._promoted, self._remarks = [], [], []
        led_around = box.mode == "bypass" and box.kind not in around
        if led_around:
            box.mode = "mute"  # its readers are led around it
        try:
            made = handler(self, box) if handler else self.placeholder(box, "no node of flowmm does this")
        except Unmapped as error:
            made, handler = self.placeholder(box, str(error)), None
        if handler:
            why = "; ".join(self._remarks)
            self.say(box, "left out" if made is LEFT_OUT else "changed" if self._remarks else "mapped", ", ".join(self._made or self._promoted), why)
        return [self._like(box, socket.type) for socket in box.outputs] if led_around else made

    def document(self, title: str = "") -> dict[str, Any]:
        """The document, of what was used."""
        made: dict[str, Any] = {"flowmm": 1}
        if title:
            made["title"] = title
        inputs = dict(sorted(self.inputs.items(), key=lambda item: _place(item[0])))
        return made | {"inputs": inputs, "nodes": self.nodes, "outputs": self.outputs, "layout": self.layout()}

    def layout(self) -> dict[str, Any]:
        made: dict[str, Any] = {}
        frames = [*self.sheet.groups, *self.sheet.notes]
        if self.places:
            xs, ys = zip(*self.places.values())
            ends = [box.at for box in self.sheet.boxes.values() if box.at]
            made["nodes"] = {
                **self.places, ":inputs": [min(xs) - LEFT, min(ys)],
                ":outputs": [max(max(xs) + RIGHT, max(x for x, _ in ends)), min(ys)],
            }  # fmt: skip
        if self.collapsed:
            made["collapsed"] = self.collapsed
        if self.seeds:
            made["seeds"] = self.seeds
        for part, word, every in (("groups", "title", self.sheet.groups), ("notes", "text", self.sheet.notes)):
            if every:
                made[part] = {
                    f"{part[:-1]}_{i}": {word: one.text, "at": list(one.at), "size": list(one.size)} | ({"colour": one.colour} if one.colour else {})
                    for i, one in enumerate(every, 1)
                }  # fmt: skip
        return made if frames or made else {}


def _place(name: str) -> int:
    """Where an input stands among the others: as in the graphs that come with flowmm."""
    wanted = re.sub(r"_\d+$", "", name)
    return ORDER.index(wanted) if wanted in ORDER else len(ORDER) - MODELS


def _order(boxes: dict[str, Box]) -> tuple[list[Box], list[Box]]:
    """Each box after those that it reads; and the boxes of which that cannot be said."""
    waits = {id: {link.box for link in box.links.values() if link.box in boxes} for id, box in boxes.items()}
    readers: dict[str, list[str]] = {}
    for id, before in waits.items():
        for one in before:
            readers.setdefault(one, []).append(id)
    left = {id: len(before) for id, before in waits.items()}
    ready = [id for id in boxes if not left[id]]
    for id in ready:
        for reader in readers.get(id, ()):
            left[reader] -= 1
            if not left[reader]:
                ready.append(reader)
    done = set(ready)
    return [boxes[id] for id in ready], [box for id, box in boxes.items() if id not in done]


def first(bundle: Bundle, wanted: str = "value") -> Any:
    """The one value that stands for a bundle where only one wire fits."""
    for role in (*FIRST.values(), "value", ANY):
        if role in bundle:
            value = bundle[role]
            return value.read(wanted if is_name(wanted) else "value") if isinstance(value, Primitive) else value
    return None


def part(bundle: Bundle, role: str) -> Any:
    """What a bundle holds for a purpose; a placeholder's wire serves every one."""
    return bundle.get(role, bundle.get(ANY))


def sources(value: Any) -> Iterator[str]:
    """The inputs of a graph that are read somewhere in a value."""
    queue = [value]
    for one in queue:
        if isinstance(one, dict):
            source = one.get("from")
            if isinstance(source, str) and source.startswith("input."):
                yield source.removeprefix("input.")
            queue += one.values()
        elif isinstance(one, list):
            queue += one


def is_plain(value: Any) -> bool:
    return value is None or isinstance(value, (str, int, float, bool))


def named_port(name: str) -> str:
    """A Python identifier like a name that may be none."""
    made = re.sub(r"\W+", "_", name[:LONGEST]).strip("_") or "port"
    made = f"_{made}" if made[0].isdigit() else made
    return made if is_name(made) else f"{made}_" if is_name(f"{made}_") else "port"

