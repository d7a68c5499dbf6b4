"""Tables for people: typed graphs, results, the cache. rich draws them; a pipe gets plain text."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ..graph.wiring import Input, Link, Many, flat
from ..sockets import Image, Labels, Score, Text
from ..sockets.types import Choice, Union

if TYPE_CHECKING:
    from ..graph.check import Checked
    from ..graph.describe import Described


def edges(checked: Checked, described: Described) -> list[dict[str, Any]]:
    """Every edge of a typed graph: from, to, type, shape, dtype, bytes (None where unknown)."""
    wiring = checked.wiring
    rows = []
    for i in wiring.order:
        for port, wire in wiring.wires[i].items():
            for leaf in flat(wire) if type(wire) is Many else (wire,):
                if type(leaf) is Link:
                    fact = described.facts.get((leaf.producer, leaf.output))
                    type_ = checked.output_type(leaf)
                    rows.append(_edge(f"{wiring.names[leaf.producer]}.{leaf.output}", f"{wiring.names[i]}.{port}", type_, fact))
                elif type(leaf) is Input:
                    rows.append(_edge(f"input.{leaf.name}", f"{wiring.names[i]}.{port}", checked.input_type(i, port), described.given.get((i, port))))
    for name, link in wiring.outputs.items():
        fact = described.facts.get((link.producer, link.output))
        rows.append(_edge(f"{wiring.names[link.producer]}.{link.output}", f"output.{name}", checked.output_type(link), fact))
    return rows


def _edge(source: str, target: str, type_: Any, fact: Any) -> dict[str, Any]:
    shape = list(fact.shape) if fact is not None and fact.shape is not None else None
    size = fact.bytes if fact is not None else None
    if fact is not None and fact.weights:
        size = fact.weights
    return {
        "from": source, "to": target, "type": str(type_) if type_ is not None else "?", "shape": shape,
        "dtype": fact.dtype if fact is not None else None, "bytes": size,
    }  # fmt: skip


def print_edges(rows: list[dict[str, Any]], described: Described) -> None:
    from rich.table import Table

    table = Table(box=None, padding=(0, 2, 0, 0), header_style="bold")
    for column, justify in (("from", "left"), ("to", "left"), ("type", "left"), ("shape", "left"), ("dtype", "left"), ("bytes", "right")):
        table.add_column(column, justify=justify, overflow="fold")  # type: ignore[arg-type]
    for row in rows:
        shape = "" if row["shape"] is None else "×".join("?" if n is None else str(n) for n in row["shape"]) or "scalar"
        table.add_row(row["from"], row["to"], row["type"].replace("[", "\\["), shape, row["dtype"] or "", size(row["bytes"]))
    console().print(table)
    bound = "at least " if described.at_least else ""
    console().print(f"predicted peak memory: {bound}{size(described.peak)} (weights {size(described.weights)}, float32)")


def show(name: str, value: Any) -> None:
    """An output as text, where that says something."""
    if isinstance(value, (Score, Labels, Text, str, int, float, bool)):
        print(f"{name}:\n{value}\n" if isinstance(value, (Score, Labels)) else f"{name}: {value}")
    elif isinstance(value, Image):
        print(f"{name}: {len(value)} picture{'s' * (len(value) > 1)}, {value.width}×{value.height}")


def print_table(columns: list[str], rows: list[list[Any]]) -> None:
    from rich.table import Table

    table = Table(box=None, padding=(0, 2, 0, 0), header_style="bold")
    for column in columns:
        table.add_column(column, overflow="fold")
    for row in rows:
        table.add_row(*(str(cell).replace("[", "\\[") for cell in row))
    console().print(table)


def full(type_: Any) -> str:
    """A type with every choice, where str() shortens long lists."""
    members = type_.members if isinstance(type_, Union) else (type_,)
    return " | ".join(" | ".join(map(repr, m.values)) if isinstance(m, Choice) else str(m) for m in members)


def console() -> Any:
    """Wide enough in a pipe that nothing is folded."""
    import sys

    from rich.console import Console

    return Console(width=None if sys.stdout.isatty() else 200, soft_wrap=not sys.stdout.isatty(), highlight=False)


def size(count: int | None) -> str:
    """Bytes for people: 1.5 MB."""
    if count is None:
        return ""
    value = float(count)
    for unit in ("B", "KB", "MB", "GB"):
        if value < 1000 or unit == "GB":
            return f"{value:.0f} {unit}" if unit == "B" else f"{value:.1f} {unit}"
        value /= 1000
    return ""
