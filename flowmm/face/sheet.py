"""One small sheet with what every shipped graph gives, for the gallery of a machine on which nothing has run yet."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..sockets import Image, Labels, Score, Text
from .find import load, place, shipped
from .graph import Graph
from .result import Result

if TYPE_CHECKING:
    import PIL.Image

TILE, COLUMNS = 128, 6  # pixels a side; tiles a row
PICTURE, INDEX = "outputs.webp", "outputs.json"
LONGEST = 120  # characters of a text


def write_sheet(folder: Path) -> tuple[Path, Path]:
    """Run every shipped graph and write the sheet and its index into a folder. Raises GraphError, NodeFailed.

    The index is {"tile", "columns", "graphs": {name: {"tile": place from 0, or none, "text": or ""}}}. A graph that gives no picture
    shows the one that it was given, with its answer as text.
    """
    import PIL.Image

    tiles: list[PIL.Image.Image] = []
    index: dict[str, dict[str, Any]] = {}
    for graph in sorted(map(load, sorted(shipped().glob("*.json"))), key=lambda graph: place(graph.document.tags)):
        result = graph.run({})
        picture = next(iter([*_pictures(result), *_given(graph)]), None)
        index[graph.name] = {"text": _text(result)} if picture is None else {"tile": len(tiles), "text": _text(result)}
        if picture is not None:
            tiles.append(_tile(picture))
    sheet = PIL.Image.new("RGB", (TILE * COLUMNS, TILE * -(-len(tiles) // COLUMNS)), "white")
    for i, tile in enumerate(tiles):
        sheet.paste(tile, (TILE * (i % COLUMNS), TILE * (i // COLUMNS)))
    folder.mkdir(parents=True, exist_ok=True)
    sheet.save(folder / PICTURE, "WEBP", quality=88, method=6)
    described = {"tile": TILE, "columns": COLUMNS, "graphs": index}
    (folder / INDEX).write_text(json.dumps(described, ensure_ascii=False, indent=1) + "\n", "utf-8")
    return folder / PICTURE, folder / INDEX


def _tile(picture: PIL.Image.Image) -> PIL.Image.Image:
    """A small picture enlarged by whole pixels and filling the tile; of a larger one, which may be a sheet, everything."""
    import PIL.Image
    import PIL.ImageOps

    if min(picture.size) < TILE:
        return PIL.ImageOps.fit(picture.convert("RGB"), (TILE, TILE), PIL.Image.Resampling.NEAREST)
    return PIL.ImageOps.pad(picture.convert("RGB"), (TILE, TILE), PIL.Image.Resampling.LANCZOS, color="white")


def _pictures(result: Result) -> Iterator[PIL.Image.Image]:
    for value in result.values():
        for one in value if isinstance(value, list) else [value]:
            if isinstance(one, Image):
                yield one.to_pil(0)


def _given(graph: Graph) -> Iterator[PIL.Image.Image]:
    """The pictures that a graph is given by default."""
    for parameter in graph.inputs.values():
        for name in parameter.default if isinstance(parameter.default, list) else [parameter.default]:
            if isinstance(name, str) and name.endswith(".png"):
                yield Image.accept(graph.folder.resolve(name)).to_pil(0)


def _text(result: Result) -> str:
    """The outputs that can be said in a line."""
    said = " · ".join(dict.fromkeys(filter(None, map(_said, result.values()))))
    return said if len(said) <= LONGEST else said[: LONGEST - 1] + "…"


def _said(value: Any) -> str:
    if isinstance(value, Text):
        return " · ".join(value.lines)
    if isinstance(value, Labels):
        return " · ".join(f"{name} {share:.0%}" for name, share in list(zip(value.names[0], value.probabilities[0]))[:3])
    if isinstance(value, Score) and value.rows:
        if value.columns:
            return " · ".join(f"{row} → {value.columns[j]}" for row, j in zip(value.rows, value.values.argmax(axis=1)))
        return value.rows[value.values[:, 0].argmax()] if len(value.rows) > 1 else ""  # what fits the picture shown
    return ""
