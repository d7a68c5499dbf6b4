"""Sweeps: a graph run for many values of its inputs, as a table, a labelled sheet and files."""

from __future__ import annotations

import csv
import io
import itertools
import json
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from math import prod
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from ..engine.events import Event
from ..engine.workers.base import NodeFailed
from ..files import write_whole
from ..graph.problems import GraphError, Problem, listed, sentence
from ..sockets import Image, Labels, Score, Seed, Text
from ..sockets.images import contact, pictures_of
from .axes import MOST_CELLS, axis
from .result import figure, files

if TYPE_CHECKING:
    from ..engine.runtime import Runtime
    from .graph import Graph
    from .remote import RemoteGraph

Combine = Literal["product", "zip"]
SHEET_SIDE = 160  # pixels of a thumbnail's longer side


@dataclass(frozen=True)
class Cell:
    """One run of a sweep. inputs: what it has of its own, by name. result: what it gave, by output; None if it failed, then error says why."""

    inputs: dict[str, Any]
    result: Mapping[str, Any] | None = None
    error: Exception | None = None


class Sweep(Sequence[Cell]):
    """The cells of a sweep, in order: the last axis turns fastest. axes: the values by input."""

    def __init__(self, graph: Graph | RemoteGraph, axes: dict[str, list[Any]], combine: Combine, cells: list[Cell]):
        self.graph, self.axes, self.combine, self.cells = graph, axes, combine, cells

    def __getitem__(self, place: Any) -> Any:
        return self.cells[place]

    def __len__(self) -> int:
        return len(self.cells)

    @property
    def failed(self) -> list[Cell]:
        return [cell for cell in self.cells if cell.error is not None]

    @property
    def table(self) -> list[dict[str, Any]]:
        """A row a cell: its inputs, and its outputs as far as they can be said in a cell of a table; `error` where it failed."""
        return [
            {name: said(value) for name, value in cell.inputs.items()}
            | ({name: said(value) for name, value in cell.result.items()} if cell.result is not None else {})
            | ({"error": sentence(cell.error)} if cell.error is not None else {})
            for cell in self.cells
        ]

    def values(self, output: str) -> list[Any]:
        """An output of every cell, None where it failed."""
        return [None if cell.result is None else cell.result[output] for cell in self.cells]

    def sheet(self, output: str = "", side: int = SHEET_SIDE) -> Image:
        """All pictures of an output (of the first that has some) on one sheet, with the axes' values at its rows and columns; those of a batch or of
        a list side by side in their cell.

        side: pixels of a cell's longer side on it. Raises ValueError where no cell gave a picture.
        """
        from ..nodes.image import grid

        output = output or next(iter(self.pictured()), "")
        values = self.values(output) if output else []
        sheets = [contact(value, side) for value in values]
        if not any(sheets):
            raise ValueError(f"there is no picture to lay out; the outputs are {listed(self.graph.outputs)}")
        pictures = [sheet and Image.accept(sheet) for sheet in sheets]
        rows, columns, across, down = self.labels()
        return grid(pictures, Text(tuple(rows)), Text(tuple(columns)), across=across, down=down, side=side)

    def labels(self) -> tuple[list[str], list[str], str, str]:
        """Of the sheet: labels of rows and of columns, then what the columns and what the rows are."""
        names = list(self.axes)
        if self.combine == "zip" or len(names) == 1:
            columns = [" · ".join(short(cell.inputs[name]) for name in names) for cell in self.cells]
            return [""], columns, " · ".join(names), ""
        *others, last = names
        rows = [" · ".join(map(short, values)) for values in itertools.product(*(self.axes[name] for name in others))]
        return rows, [short(value) for value in self.axes[last]], last, " · ".join(others)

    def pictured(self) -> list[str]:
        """The outputs that have pictures in some cell."""
        found = {name: None for cell in self.cells if cell.result is not None for name, value in cell.result.items() if pictures_of(value)}
        return list(found)

    def save(self, folder: str | os.PathLike, *, embed: bool = True) -> list[Path]:
        """Write everything into a folder: each cell's outputs, a sheet for each output that has pictures, and the table as CSV and JSON lines.

        Files of cells are named OUTPUT-NUMBER, from 1; the table says which number is which. embed: PNGs carry graph and inputs.
        """
        folder = Path(folder)
        folder.mkdir(parents=True, exist_ok=True)
        width, made, rows = len(str(len(self.cells))), [], self.table
        for number, (cell, row) in enumerate(zip(self.cells, rows), 1):
            row["number"] = number
            for name, value in (cell.result or {}).items():
                written = [write_whole(folder / file, data) for file, data in files(value, f"{name}-{number:0{width}}", embed=embed)]
                made += written
                row[f"{name} file"] = ", ".join(path.name for path in written)
        sheets = [write_whole(folder / f"{name}-sheet.png", self.sheet(name).png(0, embed=False)) for name in self.pictured()]
        table, lines = as_csv(rows).encode(), as_lines(rows).encode()
        return [write_whole(folder / "sweep.csv", table), write_whole(folder / "sweep.jsonl", lines), *sheets, *made]

    def __repr__(self) -> str:
        over = ", ".join(f"{name} ({len(values)})" for name, values in self.axes.items())
        return f"<sweep of {self.graph.name} over {over}: {len(self)} cells{f', {len(self.failed)} failed' if self.failed else ''}>"

    def _repr_html_(self) -> str:
        from html import escape

        names = list(dict.fromkeys(key for row in self.table for key in row))
        head = "".join(f"<th>{escape(name)}</th>" for name in names)
        body = "".join("<tr>" + "".join(f"<td>{escape(str(row.get(name, '')))}</td>" for name in names) + "</tr>" for row in self.table)
        return "".join(figure(name, self.sheet(name)) for name in self.pictured()) + f"<table><tr>{head}</tr>{body}</table>"


def sweep(
    graph: Graph, axes: Mapping[str, list[Any]], fixed: Mapping[str, Any], *, combine: Combine = "product", only: list[str] | None = None, device: str | None = None,
    runtime: Runtime | None = None, listener: Callable[[Event], None] | None = None,
) -> Sweep:  # fmt: skip
    """Run a graph once for each combination of values of its inputs. Raises GraphError where no cell could be run.

    axes: values by input; fixed: inputs that are the same for all. combine: "product" takes each value of one axis with each of the others,
    "zip" the first of all, the second of all …. A cell that fails does not keep the others from running. Each cell equals a run by itself;
    what cells share is computed once.
    """
    from ..engine.runtime import default_runtime

    runtime = runtime or default_runtime(device or "auto")
    cells, own = [], list(combined(axes, combine))
    for number, one in enumerate(own):
        if listener is not None:
            listener(Event("progress", node="sweep", step=number, steps=len(own)))
        try:
            cells.append(Cell(one, graph.run({**fixed, **one}, only=only, runtime=runtime, listener=_within(listener))))
        except (GraphError, NodeFailed) as error:
            cells.append(Cell(one, error=error))
            if isinstance(error, GraphError) and len(cells) == 1:  # what is wrong with the first is mostly wrong with all
                raise
    if listener is not None:
        listener(Event("progress", node="sweep", step=len(own), steps=len(own)))
    return Sweep(graph, dict(axes), combine, cells)


def apart(
    graph: Graph | RemoteGraph, inputs: Mapping[str, Any], axis: Callable[[Any, Any], list[Any] | None] = axis
) -> tuple[dict[str, list[Any]], dict[str, Any]]:
    """What of the inputs given is an axis, and what holds for all cells. Raises GraphError."""
    unknown = [name for name in inputs if name not in graph.inputs]
    if unknown:
        fix = f"Its inputs are {listed(graph.inputs)}."
        raise GraphError([Problem("no-such-input", f"the graph has no input `{name}`", fix=fix) for name in unknown])
    found = {name: axis(graph.inputs[name], value) for name, value in inputs.items()}
    axes = {name: values for name, values in found.items() if values is not None}
    return axes, {name: value for name, value in inputs.items() if name not in axes}


def combined(axes: Mapping[str, list[Any]], combine: Combine) -> Iterator[dict[str, Any]]:
    """What each cell has of its own, in order. Raises GraphError."""
    if combine not in ("product", "zip"):
        raise GraphError([Problem("bad-axis", f"axes cannot be combined as {combine!r}", fix='Give "product" or "zip".')])
    lengths = {name: len(values) for name, values in axes.items()}
    if combine == "zip" and len(set(lengths.values())) > 1:
        told = ", ".join(f"`{name}` has {length}" for name, length in lengths.items())
        raise GraphError([Problem("unequal-lists", f"values that go side by side differ in number: {told}", fix="Make them as many, or take the product.")])
    count = prod(lengths.values()) if combine == "product" else next(iter(lengths.values()), 1)
    if count > MOST_CELLS:
        raise GraphError([Problem("bad-axis", f"that would be {count:,} runs; at most {MOST_CELLS:,} are allowed", fix="Give fewer values.")])
    cells = itertools.product(*axes.values()) if combine == "product" or not axes else zip(*axes.values())
    return (dict(zip(axes, values)) for values in cells)


def _within(listener: Callable[[Event], None] | None) -> Callable[[Event], None] | None:
    """What a cell's events are to one who watches the whole: its progress and what it notes, not what it counts."""
    if listener is None:
        return None
    return lambda event: listener(event) if event.kind in ("running", "progress", "preview", "broken", "note") else None


def as_csv(rows: Sequence[Mapping[str, Any]]) -> str:
    """Rows as CSV, with a column for each key of any."""
    text = io.StringIO()
    table = csv.DictWriter(text, list(dict.fromkeys(["number", *(key for row in rows for key in row)])), lineterminator="\n")
    table.writeheader()
    table.writerows(rows)
    return text.getvalue()


def as_lines(rows: Sequence[Mapping[str, Any]]) -> str:
    """Rows as lines of JSON."""
    return "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)


def said(value: Any) -> Any:
    """A value as a cell of a table: plain values, seeds and texts as they are, the best of labels and scores, of the rest what it is."""
    if value is None or isinstance(value, (str, int, float, bool)):
        return value
    if isinstance(value, Text):
        return "\n".join(value.lines)
    if isinstance(value, Seed):
        return value.value
    if isinstance(value, Labels):
        return ", ".join(f"{names[0]} {shares[0]:.3f}" for names, shares in zip(value.names, value.probabilities) if names)
    if isinstance(value, Score) and value.values.size == 1:
        return float(value.values.reshape(-1)[0])
    if isinstance(value, (list, tuple)):
        return ", ".join(str(said(item)) for item in value)
    if isinstance(value, Image):
        return f"{len(value)} × {value.width}×{value.height}" if len(value) > 1 else f"{value.width}×{value.height}"
    return os.fspath(value) if isinstance(value, os.PathLike) else type(value).__name__.lower()


def short(value: Any) -> str:
    """A value as a label: a file by its name alone."""
    text = str(said(value))
    text = os.path.basename(text) if os.sep in text and os.path.exists(text) else text
    return f"{value:g}" if isinstance(value, float) else " ".join(text.split())
