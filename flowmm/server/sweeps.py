"""Sweeps as a server has them: runs that belong together, a cell each, all in the one queue; as they stand, as a labelled sheet, as a table."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import Any

from ..face.result import files
from ..face.sweep import SHEET_SIDE, Cell, Sweep, as_csv, as_lines, combined
from .following import why
from .forms_fields import readable
from .journal import ENDED, Output, Run, Swept
from .parts import Parts
from .refusals import Refused
from .summary import PICTURED

TABLES = {"csv": (as_csv, "text/csv; charset=utf-8"), "jsonl": (as_lines, "application/jsonl; charset=utf-8")}


def found(parts: Parts, id_: str) -> Swept:
    """Raises Refused."""
    swept = parts.journal.sweep(id_)
    if swept is None or not swept.runs:
        raise Refused(404, "no-such-sweep", f"there is no sweep `{id_[:60]}`", "It may have been deleted.")
    return swept


def shown(parts: Parts, swept: Swept) -> dict[str, Any]:
    """A sweep as JSON: its cells in order, each with its run; those forgotten have none."""
    layout = _laid_out(parts, swept, {})
    rows, columns, across, down = layout.labels()
    first = next(iter(swept.runs.values()))
    states = Counter(run.state for run in swept.runs.values())
    cells = []
    for place, cell in enumerate(layout.cells):
        run = swept.runs.get(place)
        outputs = {one.name: {"key": one.key, "type": one.type, "summary": one.summary} for one in swept.outputs.get(place, ())}
        cells.append({"inputs": cell.inputs, "run": run and run.id, "state": run and run.state, "error": run and run.error, "outputs": outputs})
    return {
        "id": swept.id, "name": first.name, "title": first.title, "combine": swept.combine, "axes": layout.axes, "rows": rows, "columns": columns,
        "across": across, "down": down, "states": states, "ended": not set(states) - set(ENDED), "submitted": first.submitted, "cells": cells,
    }  # fmt: skip


def sheet(parts: Parts, swept: Swept, output: str = "", side: int = SHEET_SIDE) -> bytes:
    """The pictures of an output so far, as a labelled sheet: a PNG. output: the first that has some by default. Raises Refused."""
    found = {place: {one.name: one for one in outputs} for place, outputs in swept.outputs.items()}
    output = output or next((one.name for outputs in swept.outputs.values() for one in outputs if one.type in PICTURED), "")
    values = {place: {output: parts.results.get(outputs[output].key)} for place, outputs in found.items() if output in outputs and outputs[output].type in PICTURED}
    try:
        (_, data), = files(_laid_out(parts, swept, values).sheet(output, side), "sheet", embed=False)
    except ValueError as error:
        raise Refused(404, "no-picture", str(error), "Look at the table.") from None
    return data


def table(parts: Parts, swept: Swept) -> list[dict[str, Any]]:
    """A row a cell: its number, its own inputs, what its outputs say, and the run that made them."""
    values = {place: {one.name: _said(parts, one) for one in outputs} for place, outputs in swept.outputs.items() if outputs}
    rows = _laid_out(parts, swept, values).table
    return [{"number": number, **row, "run": swept.runs[number - 1].id if number - 1 in swept.runs else ""} for number, row in enumerate(rows, 1)]


def _said(parts: Parts, output: Output) -> Any:
    """A value as far as a table tells it: of pictures and of what holds tensors no more than their summary does."""
    if output.type == "Image" and output.summary.get("count") == 1:
        return "{width}×{height}".format(**output.summary)
    try:
        return parts.results.get(output.key) if readable(output.type) else output.type.lower()
    except KeyError:
        return ""


def _laid_out(parts: Parts, swept: Swept, values: Mapping[int, Mapping[str, Any]]) -> Sweep:
    """The sweep as Python has it. values: of the cells that have some, by place."""
    run = next(iter(swept.runs.values()))
    graph = parts.library.of_bytes(parts.journal.document(run.graph), run.name)
    axes = {name: [_label(value, i) for i, value in enumerate(given)] for name, given in swept.axes.items()}
    cells = [Cell(own, values.get(place), _error(swept.runs.get(place))) for place, own in enumerate(combined(axes, swept.combine))]
    return Sweep(graph, axes, swept.combine, cells)


def _label(value: Any, i: int) -> Any:
    """A value that people can read: of a picture only its number."""
    return f"#{i + 1}" if isinstance(value, dict) else [_label(item, i) for item in value] if isinstance(value, list) else value


def _error(run: Run | None) -> Exception | None:
    if run is None:
        return LookupError("the run was deleted")
    return RuntimeError(why(run)) if run.state in ENDED and run.state != "done" else None
