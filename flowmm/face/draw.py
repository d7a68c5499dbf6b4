"""A graph as a picture: layered left to right, one box a node, wires coloured by what flows on them."""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING

from ..graph.document import words
from ..graph.wiring import Input, Link, Many, flat
from ..sockets.types import ListOf, Socket, Type, Union

if TYPE_CHECKING:
    from .graph import Graph

WIDTH, ROW, HEAD, GAP_X, GAP_Y, MARGIN = 150, 16, 24, 70, 22, 12
PLAIN = "#9e9e9e"
LARGEST = 200  # nodes; a larger graph is for the editor


def page(graph: Graph) -> str:
    """The graph for a notebook: its title, what it is about in one line, and the drawing."""
    about = escape(graph.about.split("\n")[0])
    drawing = svg(graph) if len(graph.document.nodes) <= LARGEST else f"{len(graph.document.nodes):,} nodes"
    return f"<div><b>{escape(graph.title)}</b><br><small>{about}</small><br>{drawing}</div>"


def svg(graph: Graph) -> str:
    """The drawing alone, as SVG that reads on light and dark pages."""
    boxes = boxes_of(graph)
    columns = layers(boxes)
    places = placed(boxes, columns)
    wires, ends = [], []
    for name, (_, inputs, _, sources) in boxes.items():
        for row, port in enumerate(inputs):
            for source, output, colour in sources.get(port, ()):
                start = _end(places[source], row_of(boxes[source], output), WIDTH)
                end = _end(places[name], row + len(boxes[name][2]), 0)
                wires.append(_wire(start, end, colour))
                ends += [f'<circle cx="{x}" cy="{y}" r="4" fill="{colour}"/>' for x, y in (start, end)]
    parts = wires + [_box(places[name], name, box[0], box[2], box[1]) for name, box in boxes.items()] + ends
    width = max((x for x, _ in places.values()), default=0) + WIDTH + MARGIN
    height = max((y + height_of(boxes[n]) for n, (_, y) in places.items()), default=0) + MARGIN
    return (f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" width="{width}" height="{height}" '
            f'font-family="system-ui, sans-serif" font-size="11">{"".join(parts)}</svg>')  # fmt: skip


Box = tuple[str, list[str], list[str], dict[str, list[tuple[str, str, str]]]]


def boxes_of(graph: Graph) -> dict[str, Box]:
    """By name: title, wired inputs, outputs, and the (source, output, colour) of each wire."""
    wiring = graph.outside.wiring
    names = wiring.names
    boxes: dict[str, Box] = {"input": ("inputs", [], list(graph.document.inputs), {})} if graph.document.inputs else {}
    for i, name in enumerate(names):
        spec = wiring.specs[i]
        sources: dict[str, list] = {}
        for port, wire in wiring.wires[i].items():
            for leaf in flat(wire) if type(wire) is Many else (wire,):
                if type(leaf) is Link:
                    producer = wiring.specs[leaf.producer]
                    colour = _colour(producer.outputs[leaf.output].type) if producer else PLAIN
                    sources.setdefault(port, []).append((names[leaf.producer], leaf.output, colour))
                elif type(leaf) is Input:
                    colour = _colour(spec.inputs[port].type) if spec else PLAIN
                    sources.setdefault(port, []).append(("input", leaf.name, colour))
        title = words(spec.title) if spec else f"? {wiring.document.nodes[name].op}"
        boxes[name] = (title, list(sources), list(spec.outputs) if spec else [], sources)
    if graph.document.outputs:
        sources = {name: [(names[link.producer], link.output, PLAIN)] for name, link in wiring.outputs.items()}
        boxes["output"] = ("outputs", list(graph.document.outputs), [], sources)
    return boxes


def layers(boxes: dict[str, Box]) -> dict[str, int]:
    """Column of each box: one more than its furthest source; a node on a cycle stays where it is."""
    import networkx

    graph = networkx.DiGraph()
    graph.add_nodes_from(boxes)
    graph.add_edges_from((s, name) for name, box in boxes.items() for wires in box[3].values() for s, _, _ in wires)
    if not networkx.is_directed_acyclic_graph(graph):
        return dict.fromkeys(boxes, 0)
    return {name: column for column, names in enumerate(networkx.topological_generations(graph)) for name in names}


def placed(boxes: dict[str, Box], columns: dict[str, int]) -> dict[str, tuple[int, int]]:
    """Within a column, boxes follow the mean height of their sources."""
    places: dict[str, tuple[int, int]] = {}
    for column in range(max(columns.values(), default=-1) + 1):
        names = [name for name in boxes if columns[name] == column]

        def height(name: str) -> float:
            sources = [places[s][1] for wires in boxes[name][3].values() for s, _, _ in wires if s in places]
            return sum(sources) / len(sources) if sources else 0.0

        y = MARGIN
        for name in sorted(names, key=height):
            places[name] = (MARGIN + column * (WIDTH + GAP_X), y)
            y += height_of(boxes[name]) + GAP_Y
    return places


def height_of(box: Box) -> int:
    return HEAD + ROW * (len(box[1]) + len(box[2])) + 6


def row_of(box: Box, output: str) -> int:
    return box[2].index(output) if output in box[2] else 0


def _box(place: tuple[int, int], name: str, title: str, outputs: list[str], inputs: list[str]) -> str:
    x, y = place
    height = HEAD + ROW * (len(inputs) + len(outputs)) + 6
    label = escape(title if name in ("input", "output") else name)
    parts = [
        f'<g><title>{escape(title)}</title><rect x="{x}" y="{y}" width="{WIDTH}" height="{height}" rx="6" fill="#2b2f36" stroke="#555"/>',
        f'<text x="{x + 8}" y="{y + 16}" fill="#fff" font-weight="bold">{label}</text>',
    ]
    for row, output in enumerate(outputs):
        parts.append(f'<text x="{x + WIDTH - 8}" y="{y + HEAD + ROW * row + 12}" fill="#ddd" text-anchor="end">{escape(output)}</text>')
    for row, port in enumerate(inputs, len(outputs)):
        parts.append(f'<text x="{x + 8}" y="{y + HEAD + ROW * row + 12}" fill="#ddd">{escape(port)}</text>')
    return "".join(parts) + "</g>"


def _end(place: tuple[int, int], row: int, across: int) -> tuple[int, int]:
    """Where a wire meets its box."""
    return place[0] + across, place[1] + HEAD + ROW * row + 8


def _wire(start: tuple[int, int], end: tuple[int, int], colour: str) -> str:
    (x1, y1), (x2, y2) = start, end
    bend = max(30, (x2 - x1) // 2)
    return f'<path d="M{x1},{y1} C{x1 + bend},{y1} {x2 - bend},{y2} {x2},{y2}" fill="none" stroke="{colour}" stroke-width="2"/>'


def _colour(type_: Type) -> str:
    if isinstance(type_, Socket):
        return type_.cls.colour
    if isinstance(type_, ListOf):
        return _colour(type_.item)
    if isinstance(type_, Union):
        return next((_colour(m) for m in type_.members if isinstance(m, Socket)), PLAIN)
    return PLAIN
