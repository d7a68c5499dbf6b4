"""Result: the named outputs of a run, and how they become files."""

from __future__ import annotations

import csv
import io
import json
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..files import write_whole
from ..sockets import Handle, Image, Labels, Score, Seed, Text, Value
from ..sockets.values import numbered

if TYPE_CHECKING:
    from ..engine.run import Run
    from .graph import Graph


class Result(Mapping):
    """Outputs by name: result.image or result["image"]. graph, inputs: what made them.

    executed: nodes whose function ran; 0 when everything came from the cache. seconds: of the whole run.
    """

    def __init__(self, graph: Graph, inputs: dict[str, Any], values: dict[str, Any], run: Run):
        self.graph, self.inputs = graph, inputs
        self.executed, self.from_disk, self.seconds = run.executed, run.from_disk, run.seconds
        self._values = {name: self._signed(value) for name, value in values.items()}

    def _signed(self, value: Any) -> Any:
        """Pictures know where they come from, so that a PNG of them can be opened as the graph again."""
        if not isinstance(value, Image):
            return value
        copy = type(value)(value.pixels)
        object.__setattr__(copy, "origin", lambda: _origin(self))
        return copy

    def __getitem__(self, name: str) -> Any:
        return self._values[name]

    def __getattr__(self, name: str) -> Any:
        try:
            return self.__dict__["_values"][name]
        except KeyError:
            raise AttributeError(f"there is no output {name!r}; there are {', '.join(self.__dict__.get('_values', ()))}") from None

    def __iter__(self) -> Iterator[str]:
        return iter(self._values)

    def __len__(self) -> int:
        return len(self._values)

    def save(self, folder: str | os.PathLike, *, embed: bool = True) -> list[Path]:
        """Write every output into a folder, named after it (one of a piece with - for /); the files written. embed: PNGs carry graph and inputs."""
        folder = Path(folder)
        folder.mkdir(parents=True, exist_ok=True)
        return [path for name, value in self._values.items() for path in write(value, folder / name.replace("/", "-"), embed=embed)]

    def __repr__(self) -> str:
        shown = ", ".join(f"{name}={_brief(value)}" for name, value in self._values.items())
        return f"<result {shown}; {self.seconds:.2f} s, {self.executed} nodes ran>"

    def _repr_html_(self) -> str:
        return "".join(figure(name, value) for name, value in self._values.items())


def figure(name: str, value: Any) -> str:
    """One output as HTML: a picture enlarged to be looked at, a table, or text."""
    from html import escape

    if isinstance(value, Image):
        body = f'<img alt="{escape(name)}" style="image-rendering:pixelated" src="{inlined(value._repr_png_())}">'
    elif hasattr(value, "_repr_html_"):
        body = value._repr_html_()
    else:
        body = f"<pre>{escape(str(value))}</pre>"
    return f"<figure>{body}<figcaption>{escape(name)}</figcaption></figure>"


def inlined(png: bytes) -> str:
    """A PNG as the address of itself."""
    import base64

    return f"data:image/png;base64,{base64.b64encode(png).decode()}"


def write(value: Any, stem: Path, *, embed: bool = True) -> list[Path]:
    """Write one output as the file type that fits it, each under a temporary name first."""
    return [write_whole(stem.with_name(name), data) for name, data in files(value, stem.name, embed=embed)]


def files(value: Any, stem: str, *, embed: bool = True) -> Iterator[tuple[str, bytes]]:
    """One output as the files that hold it, by name: pictures as PNG, scores as CSV, texts as text, plain values, seeds and labels as JSON,
    a list as the files of its items, anything else as safetensors."""
    if isinstance(value, Image):
        for i in range(len(value)):
            yield (f"{stem}.png" if len(value) == 1 else f"{stem}-{i}.png"), value.png(i, embed=embed)
    elif isinstance(value, Score):
        text = io.StringIO()
        table = csv.writer(text, lineterminator="\n")
        rows = value.rows or numbered(value.values.shape[0])
        table.writerow(["", *(value.columns or numbered(value.values.shape[1]))])
        for i, row in enumerate(value.values):
            table.writerow([rows[i], *(f"{x:.6g}" for x in row)])
        yield f"{stem}.csv", text.getvalue().encode()
    elif isinstance(value, Labels):
        yield f"{stem}.json", _json([[{"label": n, "probability": float(p)} for n, p in zip(names, row)] for names, row in zip(value.names, value.probabilities)])
    elif isinstance(value, Seed):
        yield f"{stem}.json", _json(value.value)
    elif isinstance(value, Text):
        yield f"{stem}.txt", ("\n".join(value.lines) + "\n").encode()
    elif isinstance(value, list) and value and all(isinstance(item, Value) for item in value):
        for i, item in enumerate(value):
            yield from files(item, f"{stem}-{i}", embed=embed)
    elif isinstance(value, (str, int, float, bool, list, dict, type(None))):
        yield f"{stem}.json", _json(value)
    elif not isinstance(value, Handle):  # a recipe for weights is no result for a person
        yield f"{stem}.safetensors", _tensors(value)


def _tensors(value: Any) -> bytes:
    """Latents, embeddings, heat maps and the like: their tensors or arrays by field name, as safetensors."""
    if value.host:
        from safetensors.numpy import save as save_arrays

        return save_arrays({name: getattr(value, name) for name in value.host})
    from safetensors.torch import save

    return save({name: field.contiguous() for name, field in vars(value).items() if hasattr(field, "contiguous")})


def _json(value: Any) -> bytes:
    return (json.dumps(value, ensure_ascii=False, indent=2) + "\n").encode()


def _brief(value: Any) -> str:
    if isinstance(value, Image):
        return f"{len(value)} × {value.width}×{value.height}"
    text = " ".join(str(value).split())
    return text if len(text) <= 40 else text[:37] + "…"


def _origin(result: Result) -> dict[str, Any]:
    from .png import origin

    return origin(result.graph, result.inputs)
