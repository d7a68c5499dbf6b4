"""What lies inside a frame, as a program of its own: made once, run once a round."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING

from ..graph.check import Checked
from ..graph.frames import Frame
from ..graph.wiring import Link, Many, Wire, Wiring, flat

if TYPE_CHECKING:
    from .program import Program


class Inside:
    """whole: the program that the frame is part of; exit, entry, nodes, outside: indices in it.

    program: the nodes inside, and before them the entry and the nodes outside that they read, which have their values already.
    exits: by output of the frame, the wire in that program that gives it.
    """

    def __init__(self, whole: Program, frame: Frame, exit_: int, entry: int, nodes: list[int], outside: list[int]):
        self.whole, self.frame, self.exit, self.entry = whole, frame, exit_, entry
        self.nodes, self.outside = nodes, outside
        self._place: dict[int, int] = {}  # index in whole to index in program

    @cached_property
    def program(self) -> Program:
        from .program import Program

        whole, wiring = self.whole, self.whole.checked.wiring
        kept = [self.entry, *self.outside, *sorted(self.nodes, key=whole.position.__getitem__)]
        self._place = {old: new for new, old in enumerate(kept)}
        given = 1 + len(self.outside)
        part = Wiring(wiring.document)
        part.names = [wiring.names[old] for old in kept]
        part.specs = [wiring.specs[old] for old in kept]
        part.wires = [{}] * given + [{port: self._moved(wire) for port, wire in wiring.wires[old].items()} for old in kept[given:]]
        part.order = list(range(len(kept)))
        part.followers = [[self._place[one] for one in wiring.followers[old] if one in self._place and self._place[one] >= given] for old in kept]
        for exit_, (entry, frame) in wiring.frames.items():
            if exit_ in self._place and entry in self._place and self._place[exit_] >= given:
                part.frames[self._place[exit_]] = self._place[entry], frame
        checked = Checked(part, consts=[whole.checked.consts[old] for old in kept])
        return Program(checked, whole.numeric)

    @cached_property
    def exits(self) -> dict[str, Wire]:
        self.program  # noqa: B018 - it knows where nodes went
        wires = self.whole.wires[self.exit]
        return {name: self._moved(wires[name]) for name in self.whole.specs[self.exit].outputs if name in wires}

    @property
    def here(self) -> list[tuple[int, int]]:
        """The nodes outside: index in whole, index in program."""
        return [(old, self._place[old]) for old in self.outside]

    @cached_property
    def wanted(self) -> set[int]:
        """The nodes, in its program, that the frame's outputs are read from."""
        return {leaf.producer for wire in self.exits.values() for leaf in flat(wire) if type(leaf) is Link}

    def _moved(self, wire: Wire) -> Wire:
        if type(wire) is Link:
            return Link(self._place[wire.producer], wire.output)
        return Many([self._moved(item) for item in wire.items]) if type(wire) is Many else wire
