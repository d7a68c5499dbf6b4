"""What will flow on every edge, before anything runs: shape, dtype, bytes, and the memory a run will need."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from ..catalog import NodeSpec
from ..sockets import Fact, Handle, Image, Known, Seed, Space, Text, Value
from ..sockets.facts import UNKNOWN
from ..sockets.types import Plain, Socket
from .check import Checked, pairs, plain_key
from .problems import Problem, sentence
from .wiring import Const, Input, Link, Many, flat


@dataclass(slots=True)
class Described:
    """facts: by (node, output); given: of graph inputs and literals, by (node, port). weights: bytes of every model used. peak: bytes of weights and of the values alive at
    once at the worst moment; `at_least` when some size is unknown. problems: rules that failed."""

    facts: dict[tuple[int, str], Fact] = field(default_factory=dict)
    given: dict[tuple[int, str], Fact] = field(default_factory=dict)
    weights: int = 0
    peak: int = 0
    at_least: bool = False
    problems: list[Problem] = field(default_factory=list)


def describe(checked: Checked, values: Mapping[Input, Any]) -> Described:
    """Follow each node's describe rule in order. values: the graph inputs known so far, by wire."""
    wiring = checked.wiring
    described = Described()
    told: dict[tuple, Any] = {}
    for i in wiring.order:
        spec = wiring.specs[i]
        if spec is None:
            continue
        known = _known(checked, described, i, values)
        outputs: Any = {}
        if spec.describe is not None:
            try:
                outputs = _told(spec, known, told)
            except Exception as error:  # a pack's rule must not take the check down
                text = f"its describe rule failed: {type(error).__name__}: {sentence(error)}"
                described.problems.append(Problem("describe-failed", text, wiring.names[i], level="warning"))
        if isinstance(outputs, Fact):
            outputs = {next(iter(spec.outputs)): outputs}
        for name in spec.outputs:
            described.facts[i, name] = (outputs or {}).get(name, UNKNOWN)
    _memory(checked, described)
    return described


def _told(spec: NodeSpec, known: Known, told: dict[tuple, Any]) -> Any:
    """What a node's rule says; a thousand loaders of one source read its files once. told: what rules said so far."""
    plain = plain_key(known.values)
    if plain is None:
        return spec.describe(known)
    asked = spec.op, plain, *known.facts.items(), *known.spaces.items()
    if asked not in told:
        told[asked] = spec.describe(known)
    return told[asked]


def fact_of(value: Any) -> Fact:
    """The facts of a value that is already here."""
    if isinstance(value, Image):
        return Fact(value.pixels.shape, str(value.pixels.dtype))
    if isinstance(value, Text):
        return Fact((len(value),))
    if isinstance(value, Seed):
        return Fact(())
    if isinstance(value, list):
        return Fact(count=len(value))
    if isinstance(value, Value):
        for part in vars(value).values():
            if hasattr(part, "shape") and hasattr(part, "dtype"):
                return Fact(tuple(part.shape), str(part.dtype).removeprefix("torch."))
    return UNKNOWN


def _known(checked: Checked, described: Described, i: int, values: Mapping[Input, Any]) -> Known:
    wiring, spec = checked.wiring, checked.wiring.specs[i]
    known = Known()
    for name, port in spec.inputs.items():
        wire = wiring.wires[i].get(name)
        if type(wire) is Link:
            known.facts[name] = described.facts.get((wire.producer, wire.output), UNKNOWN)
            continue
        if type(wire) is Many:
            known.facts[name] = Fact(count=len(flat(wire)))
            continue
        if wire is None:
            value = None if port.required else port.default
        elif type(wire) is Const:
            value = checked.consts[i].get(name)
        else:
            value = values.get(wire) if type(wire) is Input else None
        if isinstance(value, Value):
            known.facts[name] = described.given[i, name] = fact_of(value)
        known.values[name] = value
    for declared, mine in pairs(checked, i) if spec.generic else ():
        space = checked.bindings.find(mine)
        if isinstance(space, Space):
            known.spaces[declared.label] = space
    return known


def _memory(checked: Checked, described: Described) -> None:
    """Walk the run in order, letting go of a value after its last reader."""
    wiring = checked.wiring
    readers = {i: len(wiring.followers[i]) for i in wiring.order}
    kept = {link.producer for link in wiring.outputs.values()}
    alive = worst = 0
    sizes: dict[int, int] = {}
    for i in wiring.order:
        spec = wiring.specs[i]
        if spec is None:
            described.at_least = True
            continue
        size = 0
        for name, output in spec.outputs.items():
            fact = described.facts[i, name]
            described.weights += fact.weights
            if fact.bytes is not None:
                size += fact.bytes
            elif not fact.weights and not _small(output.type):
                described.at_least = True
        sizes[i] = size
        alive += size
        worst = max(worst, alive)
        for producer, times in Counter(link.producer for _, link in wiring.links(i)).items():
            readers[producer] -= times
            if readers[producer] <= 0 and producer not in kept:
                alive -= sizes.get(producer, 0)
    described.peak = described.weights + worst


def _small(type_: Any) -> bool:
    """Values whose size never matters: numbers, texts, seeds, recipes for weights."""
    return isinstance(type_, Plain) or (isinstance(type_, Socket) and issubclass(type_.cls, (Text, Seed, Handle)))
