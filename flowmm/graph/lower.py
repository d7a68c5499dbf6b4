"""Lowering: what keeps a graph readable becomes plain nodes, so that the checker, the planner and every face know nothing else.

A graph used as a node is opened up: its nodes are called `outer/inner`. A node that is bypassed, and one that only hands on its input (a
reroute, a constant), is left out, whatever read it reads what it would have handed on. A muted node is left out with all that cannot do
without it. Keys know no names, so a graph has the same keys however it is cut into pieces.

Nothing here recurses: graphs may be nested as deep as memory allows.
"""

from __future__ import annotations

from collections.abc import Container, Iterator
from dataclasses import dataclass, field, replace
from typing import Any

from ..catalog import NodeSpec, Port, UnknownOp, find, known
from ..sockets.types import Type
from .coerce import Folder
from .document import DEEPEST, Document, NodeDoc, OutputDoc, references, source_of
from .frames import COMBINE, MOST, Frame, entry_spec, exit_spec, frame_of, no_such_port
from .pieces import PREFIX, Finder, Piece, narrowest, same
from .problems import Problem, Unreadable, a, listed, meant, shorten

MOST_NODES = 250_000  # of a graph that was opened up: a short text can name a graph that names ten graphs ten times, and so on
SHOWN = 8  # graphs that a sentence names of a ring


class Placed:
    """A literal that comes out of another file: its paths resolve against that file's folder."""

    __slots__ = ("folder", "value")

    def __init__(self, value: Any, folder: Folder | None):
        self.value = value
        self.folder = folder


class Nothing:
    """What a reader gets of something that is not there. problem: why, where it is still to be told. muted: the node that is muted, "" for one that is broken."""

    __slots__ = ("muted", "problem")

    def __init__(self, problem: Problem | None = None, muted: str | None = None):
        self.problem, self.muted = problem, muted


@dataclass(slots=True)
class Lowered:
    """document: of plain nodes alone. uses: the graphs that are nodes in it, by identity, first come first.

    stand_ins: by node that is no more, what each of its outputs stands for. off: by node that is left out, the muted one because of which;
    "" where something is broken. gone: likewise by output ("node.port") of a frame that is left out while the frame itself stays. missing:
    outputs of the graph that are left out with them. excused: (node, port) of which it was told already why nothing is wired there.
    behind: by node, those that should have handed it something on and have nothing themselves.
    frames: by name, with the specs of their entries and exits.
    """

    document: Document
    problems: list[Problem] = field(default_factory=list)
    uses: dict[str, Piece] = field(default_factory=dict)
    stand_ins: dict[str, dict[str, Any]] = field(default_factory=dict)
    off: dict[str, str] = field(default_factory=dict)
    gone: dict[str, str] = field(default_factory=dict)
    missing: dict[str, str] = field(default_factory=dict)
    frames: dict[str, Frame] = field(default_factory=dict)
    specs: dict[str, NodeSpec] = field(default_factory=dict)
    excused: set[tuple[str, str]] = field(default_factory=set)
    behind: dict[str, list[str]] = field(default_factory=dict)

    def lead(self, value: Any) -> tuple[Any, list[str]]:
        """What a wire leads to at last, and the nodes it leads through. A wire to a node that never was stays, to be told with all other wires."""
        through: dict[str, None] = {}
        while wire := source_of(value):
            source, _, output = wire.partition(".")
            if source in self.off or wire in self.gone:
                value = Nothing(muted=self.off.get(source, self.gone.get(wire)))
            elif source not in self.stand_ins:
                break
            elif source in through:
                ring = " → ".join(list(through)[:SHOWN])
                value = Nothing(Problem("cycle", f"these nodes wait for each other: {ring}", source, fix="Remove one of the wires."))
            else:
                through[source] = None
                value = self._output(source, output)
        return value, list(through)

    def silent(self, document: Document) -> dict[str, str]:
        """What of the document as it is written gives nothing, and the muted node because of which: nodes, and outputs as "output.NAME"."""
        found = {name: self.off[name] for name in document.nodes if self.off.get(name)}
        for name in [name for name in document.nodes if name in self.stand_ins]:
            led = [self.lead({"from": f"{name}.{output}"})[0] for output in self.stand_ins[name]]
            muted = [one.muted for one in led if type(one) is Nothing and one.muted]
            if led and len(muted) == len(led):
                found[name] = muted[0]
        return found | {f"output.{name}": muted for name, muted in self.missing.items() if muted}

    def _output(self, source: str, output: str) -> Any:
        stands = self.stand_ins[source]
        if output in stands:
            return stands[output]
        fix = meant(output, stands, f"Its outputs are {listed(stands)}.", f"{source}.")
        return Nothing(Problem("no-such-output", f"`{source}` has no output `{output}`", got=f"{source}.{output}", fix=fix))


@dataclass(slots=True)
class Opened:
    """A piece that is being opened up. bound: what its inputs stand for, in names of the whole; None at the top, whose inputs stay.

    chain: the pieces it lies in and itself, as (identity, the node that holds it).
    """

    piece: Piece
    prefix: str
    bound: dict[str, Any] | None
    chain: tuple[tuple[str, str], ...]
    left: Iterator[tuple[str, NodeDoc]]


def lower(document: Document, finder: Finder | None = None, folder: Folder | None = None, identity: str = "") -> Lowered:
    """A document of plain nodes that computes the same, and what is wrong with what was opened up. Never raises.

    finder: gives the saved graph of a name, as a graph in this folder knows it; raises Unreadable. identity: what tells this document from
    other saved graphs, so that a ring through itself is seen.
    """
    top = Piece(document, folder, identity, {})
    bends = {op for op in {node.op for node in top.document.nodes.values()} if op.startswith(PREFIX) or _hands_on(op)}
    if not any(node.op in bends or node.mode or node.each or node.loop for node in top.document.nodes.values()):
        return Lowered(top.document, list(top.problems))
    return Opening(top, finder).whole()


class Opening:
    """Opens a piece up, with all pieces in it."""

    def __init__(self, top: Piece, finder: Finder | None):
        self.finder, self.top = finder, top.folder
        self.lowered = Lowered(top.document, list(top.problems))
        self.stand_ins, self.off = self.lowered.stand_ins, self.lowered.off
        self.nodes: dict[str, NodeDoc] = {}
        self.kept: dict[str, NodeDoc] = {}  # nodes that are no more, but could be a plain node if need be
        self.fewer: dict[str, int] = {}  # outputs that are left, of frames that lost some
        self.values = 0  # in lists: a short text can name a list of ten lists of ten lists, and so on
        self.opened = [Opened(top, "", None, ((top.identity, ""),), iter(top.document.nodes.items()))]

    def whole(self) -> Lowered:
        document = self.lowered.document
        while self.opened:
            around = self.opened[-1]
            name, node = next(around.left, ("", None))
            if node is None:
                self.opened.pop()
            elif len(self.nodes) + len(self.stand_ins) < MOST_NODES:
                self._node(around, around.prefix + name, node)
            else:
                self._say(Problem("too-many-nodes", f"opened up, the graph has more than {MOST_NODES:,} nodes", fix="Use fewer pieces, or smaller ones."))
                self.lowered.missing = dict.fromkeys(document.outputs, "")
                self.lowered.document = document.model_copy(update={"nodes": {}, "outputs": {}, "graphs": {}})
                return self.lowered
        for name in list(self.nodes):
            self._inputs(name)
        self._spread()
        for name in self.fewer:
            left = [output for output in self.lowered.specs[name].outputs if f"{name}.{output}" not in self.lowered.gone]
            self.lowered.specs[name] = exit_spec(self.lowered.frames[name], tuple(left))
        outputs = self._outputs()
        made = {name: node for name, node in self.nodes.items() if name not in self.off}
        self.lowered.document = document.model_copy(update={"nodes": made, "outputs": outputs, "graphs": {}})
        return self.lowered

    # ── opening up ──────────────────────────────────────────────────────────────────────────────

    def _node(self, around: Opened, name: str, node: NodeDoc) -> None:
        inputs = {port: self._in(around, value) for port, value in node.inputs.items()}
        if node.mode == "mute":
            self.off[name] = name
        elif node.mode == "bypass":
            self._bypass(around, name, node, inputs)
        elif node.op.startswith(PREFIX) or node.each or node.loop is not None:
            self._open(around, name, node, inputs)
        elif _hands_on(node.op):
            spec = find(node.op)
            (port, output), = zip(spec.inputs, spec.outputs)
            if port not in inputs:
                self._say(Problem("missing-input", f"nothing is wired to `{port}`", name, port, fix="Wire a value to it."))
            self.stand_ins[name] = {output: inputs.get(port, Nothing())}
            self.kept[name] = node.model_copy(update={"inputs": inputs})
        else:
            self.nodes[name] = node.model_copy(update={"inputs": inputs})

    def _in(self, around: Opened, value: Any) -> Any:
        """A value of a graph in names of the whole. Its depth was bounded when the graph was read."""
        if type(value) is dict and len(value) == 1:
            (key, inner), = value.items()
            if key == "from" and type(inner) is str:
                source, _, output = inner.partition(".")
                if source == "input":
                    return value if around.bound is None else around.bound.get(output, value)
                return {"from": around.prefix + inner}
            if key == "list" and type(inner) is list:
                return {"list": [self._in(around, item) for item in inner]}
        return value if around.piece.folder is self.top else Placed(value, around.piece.folder)

    def _open(self, around: Opened, name: str, node: NodeDoc, inputs: dict[str, Any]) -> None:
        piece = self._piece(around, name, node, inputs)
        if piece is None:
            return
        chain = (*around.chain, (piece.identity, name))
        if any(identity == piece.identity for identity, _ in around.chain):
            self._ring(name, chain)
            return
        declared = piece.document.inputs
        for port in inputs.keys() - declared.keys():
            self._say(no_such_port(name, node.op, port, declared))
        frame = None
        if node.each or node.loop is not None:
            frame, wrong = frame_of(name, node, declared, piece.document.outputs, inputs)
            self.lowered.problems += wrong
            if frame is None:
                self.off[name] = ""
                return
        bound = {}
        for port, input_ in declared.items():
            if frame is not None and port in frame.entering:
                bound[port] = {"from": f"{frame.entry}.{port}"}
            elif port in inputs:
                bound[port] = inputs[port]
            elif "default" in input_.model_fields_set:
                bound[port] = Placed({"value": input_.default}, piece.folder)
            else:
                self._say(Problem("missing-input", f"nothing is wired to `{port}`", name, port, fix="Wire a value to it."))
                bound[port] = Nothing()
        for problem in piece.problems:
            self._say(replace(problem, node=f"{name}/{problem.node}"))
        within = Opened(piece, f"{name}/", bound, chain, iter(piece.document.nodes.items()))
        outputs = {output: self._in(within, {"from": one.source}) for output, one in piece.document.outputs.items()}
        if frame is None:
            self.stand_ins[name] = outputs
        else:
            ports = {port: narrowest(piece.input_ports(port, self.finder)) for port in frame.entering}
            defaults = {port: Placed({"value": declared[port].default}, piece.folder) for port in frame.entering if port not in inputs}
            self._enclose(frame, ports, inputs | defaults, outputs)
        self.opened.append(within)

    def _enclose(self, frame: Frame, ports: dict[str, Port | None], inputs: dict[str, Any], outputs: dict[str, Any]) -> None:
        """Put the entry and the exit of a frame around the nodes in it."""
        specs, setting = self.lowered.specs, {f":{MOST}": frame.most} if frame.most else {f":{COMBINE}": frame.combine}
        specs[frame.entry], specs[frame.name] = entry_spec(frame, ports), exit_spec(frame, tuple(outputs))
        state = {f":{port}": {"from": f"{frame.entry}.{port}"} for port, output in frame.carry if output in outputs}
        entering = {port: inputs[port] for port in frame.entering}
        self.nodes[frame.entry] = NodeDoc(op=specs[frame.entry].op, **{"in": entering | setting})
        self.nodes[frame.name] = NodeDoc(op=specs[frame.name].op, **{"in": state | outputs})
        self.lowered.frames[frame.name] = frame

    def _piece(self, around: Opened, name: str, node: NodeDoc, inputs: dict[str, Any]) -> Piece | None:
        """The graph that a node stands for; of a plain node that is a frame, itself. None, and it is said, if there is none."""
        if not node.op.startswith(PREFIX):
            try:
                find(node.op)
            except UnknownOp as error:
                self._say(Problem("unknown-op", str(error), name, got=node.op, fix="Install the pack it comes from, or remove the node."))
                self.off[name] = ""
                return None
            return Piece.of_node(node, [*inputs, *node.each, *(node.loop.carry if node.loop is not None else ())])
        try:
            piece = around.piece.find(node.op, self.finder)
        except Unreadable as error:
            for problem in error.problems:
                self._say(Problem("no-such-graph", f"`{shorten(node.op)}` cannot be used as a node: {problem.message}", name, fix=problem.fix))
            self.off[name] = ""  # what reads it is not to be blamed as well
            return None
        self.lowered.uses.setdefault(piece.identity, piece)
        return piece

    def _ring(self, name: str, chain: tuple[tuple[str, str], ...]) -> None:
        first = next(i for i, (identity, _) in enumerate(chain) if identity == chain[-1][0])
        ring = [node.rpartition("/")[2] for _, node in chain[first + 1 :]]
        shown = " → ".join([*ring[:SHOWN], *(["…"] if len(ring) > SHOWN else [])])
        held = f"`{chain[first][1]}`" if first else "the graph"
        self._say(Problem("recursion", f"{held} holds itself, by way of {shown}", name, fix="Take one of these nodes out."))
        self.off[name] = ""

    def _bypass(self, around: Opened, name: str, node: NodeDoc, inputs: dict[str, Any]) -> None:
        """Each output stands for the first input of its type that is wired or set."""
        taken, made = self._types(around, name, node)
        self.stand_ins[name] = stands = {}
        for output, type_ in made.items():
            port = next((port for port in inputs if any(same(one, type_) for one in taken.get(port, ()))), None)
            message = f"`{name}` is bypassed, and nothing that it is given is {a(type_)} that it could hand on as `{output}`"
            stands[output] = inputs[port] if port else Nothing(Problem("cannot-bypass", message, fix="Mute it instead, or wire something else."))

    def _types(self, around: Opened, name: str, node: NodeDoc) -> tuple[dict[str, list[Type]], dict[str, Type]]:
        """Types of the inputs and outputs of a node, also of a graph used as one."""
        if node.op.startswith(PREFIX):
            piece = self._piece(around, name, node, {})
            if piece is None:
                return {}, {}
            made = {output: piece.output_type(output, self.finder) for output in piece.document.outputs}
            return (
                {port: [fed.type for fed in piece.input_ports(port, self.finder)] for port in piece.document.inputs},
                {output: type_ for output, type_ in made.items() if type_ is not None},
            )
        spec = known(node.op)
        if spec is None:
            message = f"what `{shorten(node.op)}` would hand on is not known"
            self._say(Problem("unknown-op", message, name, fix="Install the pack it comes from, or mute it."))
            self.off[name] = ""
            return {}, {}
        return {port.name: [port.type] for port in spec.inputs.values()}, {output.name: output.type for output in spec.outputs.values()}

    # ── what stands for what ────────────────────────────────────────────────────────────────────

    def _inputs(self, name: str) -> None:
        """Give a node what its inputs stand for."""
        node, inputs = self.nodes[name], {}
        for port, value in node.inputs.items():
            found = self._settle(value, name, port)
            if type(found) is not Nothing:
                inputs[port] = found
            elif found.muted is None:
                self.lowered.excused.add((name, port))
            elif self._needs(node, port):
                self._lose(name, port, found.muted)
        self.nodes[name] = node.model_copy(update={"inputs": inputs})

    def _lose(self, name: str, port: str, muted: str) -> str:
        """Leave a node out because of a port that it needs; of a frame only the output of this name, if it can run without. What is left out."""
        frame = self.lowered.frames.get(name)
        if frame is not None and frame.can_lose(port):
            output = f"{name}.{port}"
            self.lowered.gone[output] = muted
            self.fewer[name] = self.fewer.get(name, len(self.lowered.specs[name].outputs)) - 1
            if self.fewer[name]:
                return output
        self.off.setdefault(name, muted)
        return name

    def _needs(self, node: NodeDoc, port: str) -> bool:
        spec = known(node.op)
        return spec is None or port not in spec.inputs or spec.inputs[port].required

    def _settle(self, value: Any, node: str, port: str, depth: int = 0) -> Any:
        """A value with every node that is no more replaced by what it stands for. An item of a list that is muted is left out of it."""
        if type(value) is not dict or len(value) != 1:
            return value
        (key, inner), = value.items()
        if key == "from":
            found, through = self.lowered.lead(value)
            if type(found) is Nothing:
                if found.muted is None:
                    self.lowered.behind.setdefault(node, []).extend(through)
                if found.problem is not None:
                    self._say(replace(found.problem, node=found.problem.node or node, port=found.problem.port or port))
                return found
            if found is value or type(found) is not dict or type(found.get("list")) is not list:
                return found
            inner = found["list"]
        elif key != "list" or type(inner) is not list:
            return value
        self.values += len(inner)
        if depth >= DEEPEST or self.values > MOST_NODES:
            what = f"deeper than {DEEPEST} levels" if depth >= DEEPEST else f"with more than {MOST_NODES:,} values"
            self._say(Problem("too-many-values", f"opened up, it is a list {what}", node, port, fix="Split it."))
            return Nothing()
        items = [self._settle(item, node, port, depth + 1) for item in inner]
        return {"list": [item for item in items if type(item) is not Nothing]}

    def _spread(self) -> None:
        """Leave out what cannot do without a node, or an output of a frame, that turned out to be left out after it was read."""
        off, gone = self.off, self.lowered.gone
        stack = [*(name for name in off if name in self.nodes), *gone]
        if not stack:
            return
        readers: dict[str, list[tuple[str, str]]] = {}  # of a node, and of an output
        for name, node in self.nodes.items():
            for port, value in node.inputs.items():
                for source in references(value):
                    for one in (source.partition(".")[0], source):
                        readers.setdefault(one, []).append((name, port))
        exits = {frame.entry: frame.name for frame in self.lowered.frames.values()}
        while stack:
            lost = stack.pop()
            muted = off[lost] if lost in off else gone[lost]
            if (exit_ := exits.get(lost)) is not None and exit_ not in off:  # a frame that is given nothing does not run
                off[exit_] = muted
                stack.append(exit_)
            for name, port in readers.get(lost, ()):
                node = self.nodes[name]
                if name in off or port not in node.inputs:
                    continue
                left = _without(node.inputs[port], off, gone)
                kept = {key: left if key == port else value for key, value in node.inputs.items() if key != port or left is not None}
                if left is None and self._needs(node, port):
                    stack.append(self._lose(name, port, muted))
                self.nodes[name] = node.model_copy(update={"inputs": kept})

    def _outputs(self) -> dict[str, OutputDoc]:
        """The graph's outputs. One that stands for a literal or for an input of the graph keeps the node that would have handed it on."""
        outputs = {}
        for name, output in self.lowered.document.outputs.items():
            value, through = self.lowered.lead({"from": output.source})
            if type(value) is Nothing:
                self.lowered.missing[name] = value.muted or ""
                if value.problem is not None:
                    self._say(replace(value.problem, port=name))
                continue
            source = source_of(value)
            if not source or source.startswith("input."):
                kept = next((node for node in reversed(through) if node in self.kept), None)
                if kept is None:
                    what = "an input of the graph" if source else "a value that is written down"
                    self._say(Problem("output-is-input", f"the output `{name}` is {what}", fix="Wire a node's output to it."))
                    continue
                node = self.kept[kept]
                self.nodes[kept] = node.model_copy(update={"inputs": dict.fromkeys(node.inputs, value)})
                source = f"{kept}.{next(iter(find(node.op).outputs))}"
            outputs[name] = output.model_copy(update={"source": source})
        return outputs

    def _say(self, problem: Problem) -> None:
        self.lowered.problems.append(problem)


def _hands_on(op: str) -> bool:
    """Whether nodes of this type only hand on their input, as a reroute does."""
    spec = known(op)
    return spec is not None and spec.hands_on


def _without(value: Any, off: Container[str], gone: Container[str]) -> Any:
    """A value without the items of lists that come from nodes that are off or outputs that are gone; None where it comes from one itself."""
    if source := source_of(value):
        return None if source.partition(".")[0] in off or source in gone else value
    if type(value) is dict and len(value) == 1 and type(value.get("list")) is list:
        return {"list": [item for item in (_without(one, off, gone) for one in value["list"]) if item is not None]}
    return value
