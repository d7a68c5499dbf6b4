"""Typing a whole graph: every wire against the ports it joins, all problems at once, before any weight loads."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from ..catalog import NodeSpec, Port
from ..sockets import NotAccepted
from ..sockets.types import ListOf, Type, Var, instantiate, of_literal
from ..sockets.unify import Bindings, Conflict
from .coerce import Folder, coerce
from .pieces import holders
from .problems import Problem, a, brief
from .wiring import SCALARS, Const, Input, Link, Many, Wire, Wiring

SPACES = {"V": "vocabulary", "E": "encoder space", "C": "conditioning", "S": "latent space", "X": "extra channels",
          "P": "prediction kind", "K": "codebook"}  # fmt: skip

PIXELS_A_NODE = 2**11  # opened in the time that checking a node takes


class Unset:
    """An input without a value so far."""

    def __repr__(self) -> str:
        return "<not given>"


UNSET = Unset()


@dataclass(slots=True)
class Checked:
    """inputs, outputs: the types of nodes that have type variables, by index (others: see the spec).
    consts: literals as their ports want them. pixels: of the pictures that were opened in its folder."""

    wiring: Wiring
    problems: list[Problem] = field(default_factory=list)
    bindings: Bindings = field(default_factory=Bindings)
    inputs: dict[int, dict[str, Type]] = field(default_factory=dict)
    outputs: dict[int, dict[str, Type]] = field(default_factory=dict)
    consts: list[dict[str, Any]] = field(default_factory=list)
    pixels: int = 0

    @property
    def cost(self) -> int:
        """About what it takes to check the graph again, in nodes; even a small picture takes as long as some."""
        return 1 + len(self.wiring.names) + self.pixels // PIXELS_A_NODE

    def errors(self, nodes: Iterable[int] | None = None) -> list[Problem]:
        """The errors, of some nodes only if asked; those of the document itself always count."""
        names = None
        if nodes is not None:
            needed = [self.wiring.names[i] for i in nodes]
            needed += [one for name in needed for one in self.wiring.behind.get(name, ())] if self.wiring.behind else []
            names = {one for name in needed for one in holders(name)}
        return [p for p in self.problems if p.level == "error" and (names is None or not p.node or p.node in names)]

    def output_type(self, link: Link) -> Type | None:
        typed = self.outputs.get(link.producer)
        if typed is not None:
            return self.bindings.resolve(typed[link.output])
        spec = self.wiring.specs[link.producer]
        return spec.outputs[link.output].type if spec else None

    def input_type(self, index: int, port: str) -> Type | None:
        typed = self.inputs.get(index)
        if typed is not None:
            return self.bindings.resolve(typed[port])
        spec = self.wiring.specs[index]
        return spec.inputs[port].type if spec and port in spec.inputs else None


def check(wiring: Wiring, folder: Folder | None = None, given: Mapping[str, Any] | None = None) -> Checked:
    """Type every wire. given: values of the graph's inputs, where known; they decide which model is meant."""
    checked = Checked(wiring, list(wiring.problems))
    given = given or {}
    fits: dict[tuple[int, int], Conflict | None] = {}
    told: dict[tuple, Mapping[str, Type]] = {}
    checked.consts = [{} for _ in wiring.names]
    for i in wiring.order:
        spec = wiring.specs[i]
        if spec is None:
            checked.problems.append(Problem("unknown-op", wiring.unknown[i], wiring.names[i], got=wiring.document.nodes[wiring.names[i]].op,
                                            fix="Install the pack it comes from, or remove the node."))  # fmt: skip
            continue
        if spec.generic:
            fresh: dict[Var, Var] = {}
            checked.inputs[i] = {p.name: instantiate(p.type, fresh) for p in spec.inputs.values()}
            checked.outputs[i] = {o.name: instantiate(o.type, fresh) for o in spec.outputs.values()}
            for variable in fresh.values():
                if variable.label in SPACES and spec.makes_handles:
                    variable.label = f"the {SPACES[variable.label]} of `{wiring.names[i]}`"
        wires = wiring.wires[i]
        for port in spec.inputs.values():
            wire = wires.get(port.name)
            if wire is None:
                if port.required and (wiring.names[i], port.name) not in wiring.said:
                    kind = checked.input_type(i, port.name)
                    checked.problems.append(Problem("missing-input", f"nothing is wired to `{port.name}`", wiring.names[i], port.name,
                                                    expected=str(kind), fix=f"Wire {a(kind)} to it."))  # fmt: skip
            elif type(wire) is Link and not spec.generic and wire.producer not in checked.outputs:
                source = wiring.specs[wire.producer]
                if source is not None:  # two types without variables: the answer is the same for every such wire
                    came = source.outputs[wire.output].type
                    pair = (id(came), id(port.type))
                    if pair not in fits:
                        fits[pair] = Bindings().fit(came, port.type)
                    if fits[pair] is not None:
                        checked.problems.append(mismatch(checked, i, port, wire, fits[pair]))
            else:
                _check_wire(checked, i, port, wire, folder, given)
        if spec.spaces is not None:
            _read_spaces(checked, i, spec, plain_values(checked, i, given, folder), told)
    _warn(checked)
    checked.pixels = folder.pixels if folder else 0
    return checked


def _home(const: Const, folder: Folder | None) -> Folder | None:
    """Where a literal's paths lead. The pictures of all files are counted together."""
    if const.folder is None or folder is None:
        return const.folder or folder
    return Folder(const.folder.base, const.folder.roots, folder.opened)


def _check_wire(checked: Checked, i: int, port: Port, wire: Wire, folder: Folder | None, given: Mapping[str, Any]) -> None:
    if type(wire) is Const:
        try:
            checked.consts[i][port.name] = coerce(wire.value, port, _home(wire, folder))
        except NotAccepted as error:
            checked.problems.append(Problem("bad-literal", str(error), checked.wiring.names[i], port.name, got=brief(wire.value),
                                            expected=str(port.type), fix="Change the value."))  # fmt: skip
            return
        if i in checked.inputs and isinstance(port.type, Var):
            _fit_literal(checked, i, port, wire.value, checked.inputs[i][port.name])
    elif type(wire) is Input:
        value, _ = input_value(checked.wiring, wire.name, given)
        if i in checked.inputs and isinstance(port.type, Var) and value is not UNSET:
            _fit_literal(checked, i, port, value, checked.inputs[i][port.name])
    elif type(wire) is Link:
        came = _source_type(checked, wire)
        if came is not None:
            target = checked.inputs[i][port.name] if i in checked.inputs else port.type
            conflict = checked.bindings.fit(came, target, (wire, i, port.name))
            if conflict is not None:
                checked.problems.append(mismatch(checked, i, port, wire, conflict))
    elif type(wire) is Many:
        _check_list(checked, i, port, wire, checked.inputs[i][port.name] if i in checked.inputs else port.type, folder)


def _check_list(checked: Checked, i: int, port: Port, wire: Many, target: Type, folder: Folder | None) -> None:
    """Every item of a list, and of the lists in it, against the item type of the target."""
    name = checked.wiring.names[i]
    if isinstance(target, Var):
        _check_variable_list(checked, i, port, wire, target, folder)
        return
    lists = [t for t in getattr(target, "members", (target,)) if isinstance(t, ListOf)]
    if not lists:
        checked.problems.append(Problem("not-a-list", f"`{port.name}` takes no list", name, port.name, "a list", str(target), "Wire one value."))
        return
    item = Port(port.name, lists[0].item)
    for leaf in wire.items:
        if type(leaf) is Many:
            _check_list(checked, i, port, leaf, item.type, folder)
        elif type(leaf) is Const:
            try:
                leaf.value = coerce(leaf.value, item, _home(leaf, folder))
            except NotAccepted as error:
                checked.problems.append(Problem("bad-literal", str(error), name, port.name, brief(leaf.value), str(item.type), "Change the value."))
        elif type(leaf) is Link:
            came = _source_type(checked, leaf)
            conflict = checked.bindings.fit(came, item.type, (leaf, i, port.name)) if came is not None else None
            if conflict is not None:
                checked.problems.append(mismatch(checked, i, port, leaf, conflict))


def _check_variable_list(checked: Checked, i: int, port: Port, wire: Many, target: Var, folder: Folder | None) -> None:
    """A list for a type variable, as in a switch: its items join into one type, and the list of that with what else is wired there."""
    item = Var("item")
    for leaf in wire.items:
        if type(leaf) is Many:
            _check_list(checked, i, port, leaf, item, folder)
        elif type(leaf) is Const:
            _fit_literal(checked, i, port, leaf.value, item)
        elif type(leaf) is Link:
            came = _source_type(checked, leaf)
            conflict = checked.bindings.fit(came, item, (leaf, i, port.name)) if came is not None else None
            if conflict is not None:
                checked.problems.append(mismatch(checked, i, port, leaf, conflict))
    made = ListOf(item)
    if checked.bindings.fit(made, target):
        _no_join(checked, i, port, a(checked.bindings.resolve(made)), target)


def _fit_literal(checked: Checked, i: int, port: Port, value: Any, target: Type) -> None:
    """A literal for a type variable."""
    try:
        conflict = checked.bindings.fit(of_literal(value), target)
    except TypeError as error:
        checked.problems.append(Problem("bad-literal", str(error), checked.wiring.names[i], port.name, brief(value), str(port.type), "Change the value."))
        return
    if conflict is not None:
        _no_join(checked, i, port, brief(value), target)


def _no_join(checked: Checked, i: int, port: Port, got: str, target: Type) -> None:
    expected = str(checked.bindings.resolve(target))
    message = f"{got} does not fit with what else is wired to this node, {a(checked.bindings.resolve(target))}"
    checked.problems.append(Problem("type-mismatch", message, checked.wiring.names[i], port.name, got, expected, "Give values of one type."))


def _source_type(checked: Checked, link: Link) -> Type | None:
    typed = checked.outputs.get(link.producer)
    if typed is not None:
        return typed[link.output]
    spec = checked.wiring.specs[link.producer]
    return spec.outputs[link.output].type if spec else None


def mismatch(checked: Checked, i: int, port: Port, link: Link, conflict: Conflict) -> Problem:
    """One plain sentence; where a variable was bound before, both ports that spoke of it."""
    names, resolve = checked.wiring.names, checked.bindings.resolve
    source = f"{names[link.producer]}.{link.output}"
    came, wanted = resolve(_source_type(checked, link)), checked.input_type(i, port.name)
    got, expected = str(resolve(conflict.got)), str(resolve(conflict.expected))
    if conflict.origin is not None:
        first, first_node, first_port = conflict.origin
        first_source = f"{names[first.producer]}.{first.output}"
        message = (f"`{source}` does not fit with `{first_source}`, which is wired to `{names[first_node]}.{first_port}`: "
                   f"{conflict.reason or f'{got}, not {expected}'}")  # fmt: skip
        fix = "Take both from the same model, or from models that share this space."
    elif conflict.reason:
        message = f"`{source}` is {a(came)}, but `{port.name}` wants {a(wanted)}: {conflict.reason}"
        fix = "Wire a value of that space."
    else:
        message = f"`{source}` is {a(came)}, but `{port.name}` wants {a(wanted)}"
        fix = f"Wire {a(wanted)}, or put a node between that makes one."
    return Problem("type-mismatch", message, names[i], port.name, got, expected, fix)


def _read_spaces(checked: Checked, i: int, spec: NodeSpec, values: dict[str, Any], told: dict[tuple, Mapping[str, Type]]) -> None:
    """Ask a node's rule what its config files or the inputs left open say, and bind its variables to it. told: what rules said so far."""
    try:
        spaces = _told(spec, values, told)
    except Exception as error:  # a pack's rule must not take the check down
        checked.problems.append(Problem("unreadable-source", f"its spaces could not be read: {error}", checked.wiring.names[i], level="unknown"))
        return
    labels: dict[str, Var] = {}
    for declared, mine in pairs(checked, i):
        labels.setdefault(declared.label, mine)
    for label, variable in labels.items():
        if label in spaces:
            conflict = checked.bindings.unify(spaces[label], variable, None)
            if conflict is not None:
                checked.problems.append(_unfit(checked, i, label, conflict))
        elif label in SPACES and spec.makes_handles and checked.bindings.find(variable) is variable:  # else another node is to say it
            message = f"{variable.label} is not known before the model is here"
            checked.problems.append(Problem("unknown-space", message, checked.wiring.names[i], level="unknown"))


def _told(spec: NodeSpec, values: dict[str, Any], told: dict[tuple, Mapping[str, Type]]) -> Mapping[str, Type]:
    """What a node's rule says; a thousand loaders of one source read its files once."""
    asked = plain_key(values)
    if asked is None:
        return spec.spaces(values)
    if (spec.op, asked) not in told:
        told[spec.op, asked] = spec.spaces(values)
    return told[spec.op, asked]


def plain_key(values: Mapping[str, Any]) -> tuple | None:
    """What tells values apart where all are scalars, 1 from 1.0 and True; else None."""
    return tuple((name, type(value), value) for name, value in values.items()) if all(type(value) in SCALARS for value in values.values()) else None


def _unfit(checked: Checked, i: int, label: str, conflict: Conflict) -> Problem:
    """What is wired to a node does not fit with what it says of itself."""
    link, _, port = conflict.origin or (None, i, "")
    name, what = checked.wiring.names[i], SPACES.get(label, label)
    source = f"`{checked.wiring.names[link.producer]}.{link.output}`" if link else "what is wired to it"
    message = f"{source} has {what} {conflict.expected}, but `{name}`, wired as it is, has {conflict.got}: {conflict.reason}"
    return Problem("type-mismatch", message, name, port, str(conflict.expected), str(conflict.got),
                   "Wire the inputs that were left open, or take another model.")  # fmt: skip


def pairs(checked: Checked, i: int) -> Iterator[tuple[Var, Var]]:
    """Variables of a generic node's signature, each with the node's own copy."""
    spec = checked.wiring.specs[i]
    for name, port in spec.inputs.items():
        yield from _walk(port.type, checked.inputs[i][name])
    for name, output in spec.outputs.items():
        yield from _walk(output.type, checked.outputs[i][name])


def _walk(declared: Type, mine: Type) -> Iterator[tuple[Var, Var]]:
    if isinstance(declared, Var):
        yield declared, mine
    for attribute in ("args", "members"):
        for one, other in zip(getattr(declared, attribute, ()), getattr(mine, attribute, ())):
            yield from _walk(one, other)
    if isinstance(declared, ListOf):
        yield from _walk(declared.item, mine.item)


def plain_values(checked: Checked, i: int, given: Mapping[str, Any], folder: Folder | None) -> dict[str, Any]:
    """The inputs of a node that are known before a run: literals, graph inputs given or defaulted, declared defaults."""
    wiring = checked.wiring
    values = dict(checked.consts[i])
    for port in wiring.specs[i].inputs.values():
        wire = wiring.wires[i].get(port.name)
        if wire is None and not port.required:
            values[port.name] = port.default
        elif type(wire) is Input:
            value, trusted = input_value(wiring, wire.name, given)
            if value is not UNSET:
                try:
                    values[port.name] = coerce(value, port, None if trusted else folder)
                except NotAccepted:
                    continue  # said where the input itself is checked
    return values


class Untrusted(dict):
    """Inputs that came from afar: paths in them are held to the graph's folder, like those of the graph itself."""


def input_value(wiring: Wiring, name: str, given: Mapping[str, Any]) -> tuple[Any, bool]:
    """A graph input's value, and whether a person gave it here (then its paths are trusted)."""
    if name in given:
        return given[name], not isinstance(given, Untrusted)
    declared = wiring.document.inputs[name]
    return (declared.default, False) if "default" in declared.model_fields_set else (UNSET, False)


def _warn(checked: Checked) -> None:
    for came, wanted, origin in checked.bindings.warnings:
        if origin is None:
            continue
        link, i, port = origin
        source = f"{checked.wiring.names[link.producer]}.{link.output}"
        message = f"`{source}` comes from another {came.kind} than what it meets here; their sizes agree, their contents may not"
        checked.problems.append(Problem("other-fingerprint", message, checked.wiring.names[i], port, str(came), str(wanted),
                                        "Take both from the same model if results look wrong.", "warning"))  # fmt: skip
