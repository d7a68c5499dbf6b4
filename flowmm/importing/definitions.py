"""Subgraphs: a definition becomes a graph of the document, and each box that stands for it a `graph:NAME` node.

What runs on the wires into it is known where it is used, so a definition is made once for each way in which it is.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field, replace
from typing import Any

from .kinds import BYPASSED, KINDS
from .report import Report
from .sampling import LAST_SEED
from .sheet import ENTRY, MOST_BOXES, Box, Sheet, Socket
from .write import FIRST, UNSET, Bundle, Primitive, Unmapped, Writer, is_plain, sources

DEEPEST = 12  # definitions within definitions
PLAIN = ("INT", "FLOAT", "STRING", "BOOLEAN", "COMBO")
LITERAL = ("denoise", "sampler_name", "scheduler", "start_at_step", "end_at_step")  # settings that must be known to be understood


@dataclass(slots=True)
class Made:
    """A definition that was made. exits: the bundle of each output in names of its own. asked: inputs that it has for what its nodes ask for."""

    name: str
    exits: list[Bundle]
    inputs: frozenset[str]
    asked: dict[str, tuple[str, Any, str, dict[str, Any]]]
    saved: list[str]
    seeds: dict[str, str]


@dataclass(slots=True)
class Definitions:
    """All that a file defines, as far as it was used. known: by how one is used; shapes: its name, by its text but for what its inputs are.

    boxes: how many were made into nodes, bounded as a short file can name ten that name ten.
    """

    report: Report
    graphs: dict[str, dict[str, Any]] = field(default_factory=dict)
    known: dict[str, Made] = field(default_factory=dict)
    shapes: dict[str, str] = field(default_factory=dict)
    chain: list[str] = field(default_factory=list)
    boxes: int = 0

    def write(self, sheet: Sheet, entries: dict[int, Bundle] | None = None) -> Writer:
        writer = Writer(sheet, self.report, entries)
        self.boxes += len(sheet.boxes)
        writer.write(KINDS, BYPASSED, self.host)
        return writer

    def host(self, w: Writer, box: Box) -> list[Bundle]:
        """A box that stands for a definition. Raises Unmapped."""
        sheet = w.sheet.definitions[box.kind]
        if box.kind in self.chain or len(self.chain) >= DEEPEST:
            raise Unmapped("its subgraph holds itself" if box.kind in self.chain else f"subgraphs are nested deeper than {DEEPEST} levels")
        if self.boxes + len(sheet.boxes) > MOST_BOXES:
            raise Unmapped(f"opened up, the subgraphs have more than {MOST_BOXES:,} nodes")
        values, inner = _told(box, sheet)
        entries, wires = _entries(w, box, sheet, values)
        made = self._definition(box.kind, sheet, entries, inner)
        self.boxes += 1 + len(made.asked)
        if self.boxes > MOST_BOXES:
            raise Unmapped(f"opened up, the subgraphs have more than {MOST_BOXES:,} nodes and settings")
        given = {port: wire for port, wire in wires.items() if port in made.inputs}
        for port, (wanted, default, file, fields) in made.asked.items():
            if port not in made.inputs:
                continue
            given[port] = wire = w.promote(wanted, default, file, **fields)
            if f"input.{port}" in made.seeds:
                w.seeds[wire["from"]] = made.seeds[f"input.{port}"]
        name = w.node(box, made.name.replace("-", "_"), f"graph:{made.name}", **given)
        for output in made.saved:
            w.output("image", {"from": f"{name}.{output}"}, box)
        return [_outside(bundle, name, wires) for bundle in made.exits]

    def _definition(self, kind: str, sheet: Sheet, entries: dict[int, Bundle], inner: dict[str, dict[str, Any]]) -> Made:
        key = json.dumps([kind, [[slot, entries[slot]] for slot in sorted(entries)], inner])
        if key in self.known:
            return self.known[key]
        sheet = replace(sheet, boxes=_set(sheet, inner, entries))
        told = len(self.report.lines)
        self.chain.append(kind)
        try:
            w = self.write(sheet, entries)
        finally:
            self.chain.pop()
        saved, seeds, w.seeds = list(w.outputs), w.seeds, {}
        exits = [self._exit(w, sheet, slot) for slot in range(len(sheet.outputs))]
        used = set(sources([node["in"] for node in w.nodes.values()]))
        document = w.document(sheet.name)
        document["inputs"] = {port: one for port, one in w.inputs.items() if port in used}
        shape = json.dumps(document | {"inputs": [*document["inputs"]]})  # whoever uses it says what its inputs are
        if shape in self.shapes:
            del self.report.lines[told:]
        name = self.shapes.setdefault(shape, self._name(sheet.name))
        self.graphs.setdefault(name, document)
        made = self.known[key] = Made(name, exits, frozenset(document["inputs"]), w.asked, saved, seeds)
        return made

    def _name(self, title: str) -> str:
        slug = re.sub(r"[^\w]+", "-", title[:60].lower()).strip("-_") or "graph"
        name, count = slug, 1
        while name in self.graphs:
            count += 1
            name = f"{slug}-{count}"
        return name

    @staticmethod
    def _exit(w: Writer, sheet: Sheet, slot: int) -> Bundle:
        """What leaves a definition: each wire of a node as an output of it; what only passes through stays as it came in."""
        socket, made = sheet.outputs[slot], {}
        alone = FIRST.get(socket.type, "value")

        def out(role: str, value: Any) -> Any:
            if isinstance(value, list):
                return [out(role, one) for one in value]
            if isinstance(value, Primitive):
                value = value.read(socket.name)
            if not isinstance(value, dict) or "from" not in value or value["from"].startswith("input."):
                return value
            wanted = (socket.name.lower() if socket.name.isupper() else socket.name) or "output"
            return {"from": f":{w.output(wanted if role in (alone, '*') else f'{wanted}_{role}', value, _NOBODY)}"}

        for role, value in w.at(sheet.exits.get(slot)).items():
            made[role] = out(role, value)
        return made


_NOBODY = Box("", "")


def _told(box: Box, sheet: Sheet) -> tuple[dict[str, Any], dict[str, dict[str, Any]]]:
    """Settings that stand on the box itself: by the definition's input, and by box and setting within it."""
    values, inner = dict(box.values), {}
    proxies = box.properties.get("proxyWidgets")
    proxies = [one for one in proxies if isinstance(one, list) and len(one) >= 2] if isinstance(proxies, list) else []
    if proxies and box.values:
        return values, inner  # their names were told with them
    if proxies:
        for (where, name, *_), value in zip(proxies, box.unnamed):
            if str(where) == "-1":
                values[str(name)] = value
            else:
                inner.setdefault(str(where), {})[str(name)] = value
        return values, inner
    plain = [socket.name for socket in sheet.inputs if socket.type in PLAIN and socket.name not in box.links]
    if len(plain) == len(box.unnamed):
        values |= zip(plain, box.unnamed)
    return values, inner


def _set(sheet: Sheet, inner: dict[str, dict[str, Any]], entries: dict[int, Bundle]) -> dict[str, Box]:
    """The boxes of a definition, with settings of this use, and without wires to inputs that have nothing."""
    made = {}
    for id, box in sheet.boxes.items():
        links = {name: link for name, link in box.links.items() if link.box != ENTRY or link.slot in entries}
        made[id] = replace(box, values=box.values | inner.get(id, {}), links=links)
    return made


def _entries(w: Writer, box: Box, sheet: Sheet, values: dict[str, Any]) -> tuple[dict[int, Bundle], dict[str, Any]]:
    """The bundle of each input of a definition in names of its own, and by such a name what is led there."""
    entries: dict[int, Bundle] = {}
    wires: dict[str, Any] = {}

    def within(name: str, value: Any) -> Any:
        if isinstance(value, list):
            return [within(f"{name}_{i}", one) for i, one in enumerate(value, 1)]
        if isinstance(value, Primitive):
            value = value.read(name)
        if not isinstance(value, dict):
            return value
        port = w.free(name, wires)
        wires[port] = value
        return {"from": f"input.{port}"}

    for slot, socket in enumerate(sheet.inputs):
        if socket.name in box.links:
            found = w.given(box, socket.name)
            if isinstance(value := found.get("value"), Primitive) and not _travels(socket, value.value):
                found = found | {"value": value.value} if value.value is not None else {}
        elif socket.type in PLAIN and is_plain(values.get(socket.name)) and values.get(socket.name) is not None:
            found = {"value": values[socket.name]}
        else:
            continue
        alone = FIRST.get(socket.type, "value")
        if found:
            entries[slot] = {role: within(socket.name if role in (alone, "*") else f"{socket.name}_{role}", value) for role, value in found.items()}
    return entries, wires


def _travels(socket: Socket, value: Any) -> bool:
    """Whether a value may come as an input, which nobody looks at again: a text, or a number that any setting may have."""
    if socket.type == "COMBO" or socket.name in LITERAL:
        return False
    return isinstance(value, (str, float, bool)) or (type(value) is int and 0 <= value <= LAST_SEED)


def _outside(bundle: Bundle, host: str, wires: dict[str, Any]) -> Bundle:
    """What leaves a definition in names of the graph that uses it."""

    def out(value: Any) -> Any:
        if isinstance(value, list):
            return [out(one) for one in value]
        if not isinstance(value, dict) or "from" not in value:
            return value
        node, _, port = value["from"].partition(".")
        if value["from"].startswith(":"):
            return {"from": f"{host}.{value['from'][1:]}"}
        return wires.get(port, UNSET) if node == "input" else value

    made = {role: out(value) for role, value in bundle.items()}
    return {role: value for role, value in made.items() if value is not UNSET}

