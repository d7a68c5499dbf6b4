"""The neutral form of another program's graph: boxes with settings and links by name, whatever file they came out of."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

ENTRY, EXIT = "-10", "-20"  # the boxes of a definition that stand for its inputs and outputs
MOST_BOXES = 20_000  # of one file, definitions opened wherever they are used


@dataclass(frozen=True, slots=True)
class Link:
    """The output number `slot` of a box; of ENTRY it is an input of the definition."""

    box: str
    slot: int


@dataclass(frozen=True, slots=True)
class Socket:
    name: str
    type: str  # MODEL, CLIP, LATENT …; "" where the file does not tell


@dataclass(slots=True)
class Box:
    """One node. values: its settings by name; links: its wired inputs by name; unnamed: settings whose names the file does not tell.

    at, size: where it lies, in pixels, or None.
    """

    id: str
    kind: str
    title: str = ""
    values: dict[str, Any] = field(default_factory=dict)
    links: dict[str, Link] = field(default_factory=dict)
    unnamed: list[Any] = field(default_factory=list)
    inputs: list[Socket] = field(default_factory=list)
    outputs: list[Socket] = field(default_factory=list)
    mode: str = ""
    at: tuple[int, int] | None = None
    size: tuple[int, int] | None = None
    collapsed: bool = False
    properties: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Frame:
    """A titled group, or a note."""

    text: str
    at: tuple[int, int]
    size: tuple[int, int]
    colour: str = ""


@dataclass(slots=True)
class Sheet:
    """One graph, or one definition of a graph that others use as a box. exits: what each of its outputs is led to.

    definitions: by the kind of the boxes that use them. remarks: what of the file cannot be told by boxes.
    """

    boxes: dict[str, Box] = field(default_factory=dict)
    groups: list[Frame] = field(default_factory=list)
    notes: list[Frame] = field(default_factory=list)
    definitions: dict[str, Sheet] = field(default_factory=dict)
    name: str = ""
    inputs: list[Socket] = field(default_factory=list)
    outputs: list[Socket] = field(default_factory=list)
    exits: dict[int, Link] = field(default_factory=dict)
    remarks: list[str] = field(default_factory=list)

    def negatives(self) -> set[str]:
        """The boxes whose conditioning is what to stay away from, and nothing else."""
        reached: dict[str, set[str]] = {"positive": set(), "negative": set()}
        for side, seen in reached.items():
            stack = [box.links[side] for box in self.boxes.values() if side in box.links and "latent_image" in box.links | box.values]
            stack += [box.links[side] for box in self.boxes.values() if side in box.links and box.kind in self.definitions]
            while stack:
                link = stack.pop()
                box = self.boxes.get(link.box)
                if box is None or (at := f"{link.box}:{link.slot}") in seen:
                    continue
                seen |= {at, link.box}
                stack += _before(box, link.slot)
        return reached["negative"] - reached["positive"]


def _before(box: Box, slot: int) -> Iterator[Link]:
    """Where the conditioning at an output comes from."""
    if "positive" in box.links or "negative" in box.links:
        name = ("positive", "negative")[slot] if slot < 2 else ""
        if name in box.links:
            yield box.links[name]
        return
    for name, link in box.links.items():
        if name.startswith("conditioning") or box.kind == "Reroute":
            yield link
