"""A value as JSON that a page can draw, of bounded size: texts, tables, labels, maps of numbers. Tensors are read through numpy, never torch."""

from __future__ import annotations

import math
from typing import Any

import msgpack

from ..store import codec
from ..store.codec import Encoded
from .summary import BEST, EXACT, type_of

MOST_TEXT = 1 << 17  # characters of all the texts of a value
MOST_SIDE = 256  # rows and columns of a map of numbers; of a larger one every second is shown, or every third …
MOST_ITEMS = 64  # of a list, a batch of labels, the vectors that are compared
DEPTH = 4  # of lists and dicts inside each other


def shown(encoded: Encoded, item: int = 0) -> dict[str, Any]:
    """What a page shows of a value. item: which slice of a stack of maps. Raises IndexError for a slice that is not there.

    Pictures are told by their size alone: they have addresses of their own.
    """
    return _shown(encoded.tree(), encoded.buffers, item, DEPTH)


def _shown(tree: Any, buffers: list[Any], item: int, depth: int) -> dict[str, Any]:
    made: dict[str, Any] = {"type": type_of(tree)}
    tag = tree[0] if type(tree) is list else None
    if tag == codec.SOCKET:
        special = _SPECIAL.get(tree[1])
        if special is not None:
            value = Encoded(msgpack.packb((codec.VERSION, tree), unicode_errors="surrogatepass"), buffers).decode()
            return made | special(value, item)
        return made | _fields(tree, buffers, item)
    if tag in (codec.LIST, codec.TUPLE) and depth and any(type(one) is list for one in tree[1:]):
        items = tree[1:]
        return made | {"kind": "list", "count": len(items), "items": [_shown(one, buffers, 0, depth - 1) for one in items[:MOST_ITEMS]]}
    if tag in (codec.ARRAY, codec.TENSOR):
        return made | {"kind": "maps", "maps": [_map("", _array(tree, buffers), item)]}
    return made | {"kind": "plain", "value": _plain(tree, buffers, depth)}


# ── what people read ────────────────────────────────────────────────────────────────────────────


def _image(value: Any, item: int) -> dict[str, Any]:
    return {"kind": "pictures", "count": len(value), "width": value.width, "height": value.height}


def _texts(value: Any, item: int) -> dict[str, Any]:
    lines, left = [], MOST_TEXT
    for line in value.lines[: 16 * MOST_ITEMS]:
        lines.append(_readable(line[:left]))
        left -= len(line)
        if left <= 0:
            break
    return {"kind": "texts", "lines": lines, "count": len(value.lines), "cut": left < 0 or len(lines) < len(value.lines)}


def _score(value: Any, item: int) -> dict[str, Any]:
    table = value.values
    names = {"rows": [_readable(one[:200]) for one in value.rows[:MOST_SIDE]], "columns": [_readable(one[:200]) for one in value.columns[:MOST_SIDE]]}
    return {"kind": "table", "shape": list(table.shape), "values": _numbers(table[:MOST_SIDE, :MOST_SIDE])} | names


def _labels(value: Any, item: int) -> dict[str, Any]:
    rows = zip(value.names[:MOST_ITEMS], value.probabilities[:MOST_ITEMS])
    best = [[{"label": _readable(n[:200]), "probability": float(p)} for n, p in zip(names[: 4 * BEST], row)] for names, row in rows]
    return {"kind": "labels", "count": len(value.names), "labels": best}


def _heat(value: Any, item: int) -> dict[str, Any]:
    return {"kind": "maps", "over": "picture", "maps": [_map("", value.values, item)]}


def _attention(value: Any, item: int) -> dict[str, Any]:
    """What the class token heeds, each layer as one map: the mean over its heads."""
    import numpy

    rows, columns = value.grid
    batch, layers = value.maps.shape[:2]
    heeded = numpy.asarray(value.maps[:, :, :, 0, 1:]).mean(2).reshape(batch * layers, rows, columns)
    return {"kind": "maps", "over": "picture", "maps": [_map("class token → patches", heeded, item) | {"axes": ["item", "layer"], "stack": [batch, layers]}]}


def _seed(value: Any, item: int) -> dict[str, Any]:
    return {"kind": "plain", "value": value.value}


_SPECIAL = {"Image": _image, "Mask": _image, "Text": _texts, "Seed": _seed, "Score": _score, "Labels": _labels, "HeatMap": _heat, "Attention": _attention}


# ── what models read ────────────────────────────────────────────────────────────────────────────


def _fields(tree: list[Any], buffers: list[Any], item: int) -> dict[str, Any]:
    """Every array of a socket as a stack of maps, the rest as plain facts; of an embedding also how alike its vectors are."""
    maps, facts = [], {}
    for name, part in zip(tree[3::2], tree[4::2]):
        if type(part) is list and part[0] in (codec.ARRAY, codec.TENSOR):
            array = _array(part, buffers)
            maps.append(_map(name, array, item if not maps else 0))
            if tree[1] == "Embedding" and array.ndim == 2 and 1 < len(array):
                maps.append(_map("cosine", _cosines(array[:MOST_ITEMS]), 0))
        elif part is not None and name != "folder":  # of a handle: where it lies on this machine
            facts[name] = _plain(part, buffers, 1)
    if not maps:
        return {"kind": "plain", "value": facts}
    return {"kind": "maps", "maps": maps} | ({"value": facts} if facts else {})


def _cosines(vectors: Any) -> Any:
    import numpy

    vectors = vectors.astype("float64")
    lengths = numpy.linalg.norm(vectors, axis=1, keepdims=True)
    unit = numpy.divide(vectors, lengths, out=numpy.zeros_like(vectors), where=lengths > 0)
    return unit @ unit.T


def _array(tree: list[Any], buffers: list[Any]) -> Any:
    """An array or tensor as numpy has it: a view, or float32 for bfloat16, which numpy does not know."""
    import numpy

    tag, dtype, shape, index = tree
    if tag == codec.ARRAY:
        return Encoded(msgpack.packb((codec.VERSION, tree)), buffers).decode()
    if dtype == "bfloat16":
        return (numpy.frombuffer(buffers[index], "<u2").astype("<u4") << 16).view("<f4").reshape(shape)
    return numpy.frombuffer(buffers[index], numpy.dtype(dtype)).reshape(shape)


def _map(name: str, array: Any, item: int) -> dict[str, Any]:
    """One slice of an array along its last two axes, with what there is to say of the whole."""
    import numpy

    made: dict[str, Any] = {"name": name, "shape": list(array.shape), "dtype": array.dtype.name}
    if array.dtype.kind not in "biuf" or not array.size:
        return made | {"slices": 0, "step": 1, "values": []}
    flat = array.reshape(-1, *array.shape[-2:]) if array.ndim > 1 else array.reshape(1, 1, -1)
    if item >= len(flat):
        raise IndexError(item)
    step = max(1, math.ceil(max(flat.shape[1:]) / MOST_SIDE))
    finite = flat[numpy.isfinite(flat)] if array.dtype.kind == "f" else flat
    if finite.size:
        wide = finite.astype("float64")
        made |= {"low": float(wide.min()), "high": float(wide.max()), "mean": float(wide.mean()), "std": float(wide.std())}
    return made | {"slices": len(flat), "slice": item, "step": step, "values": _numbers(flat[item][::step, ::step])}


def _numbers(table: Any) -> list[list[float | None]]:
    """Five digits are as many as a page shows."""
    whole = table.dtype.kind in "biu"
    return [[int(x) if whole else float(f"{x:.5g}") if math.isfinite(x) else None for x in row] for row in table.tolist()]


def _plain(tree: Any, buffers: list[Any], depth: int) -> Any:
    if type(tree) is str:
        return _readable(tree[:MOST_TEXT])
    if type(tree) is bytes:
        return f"{len(tree):,} bytes"
    if type(tree) is int:
        return tree if abs(tree) <= EXACT else str(tree)
    if type(tree) is float:
        return tree if math.isfinite(tree) else str(tree)
    if type(tree) is not list:
        return tree
    tag = tree[0]
    if tag in (codec.LIST, codec.TUPLE) and depth:
        return [_plain(one, buffers, depth - 1) for one in tree[1 : 1 + 16 * MOST_ITEMS]]
    if tag == codec.DICT and depth:
        parts = [_plain(one, buffers, depth - 1) for one in tree[1 : 1 + 32 * MOST_ITEMS]]
        return {str(key): value for key, value in zip(parts[::2], parts[1::2])}
    if tag == codec.INT:
        return str(int(tree[1], 16)) if len(tree[1]) < 200 else "a very large integer"
    if tag == codec.PATH:
        return _readable(tree[1])
    if tag == codec.SCALAR:
        return Encoded(msgpack.packb((codec.VERSION, tree)), buffers).decode().item()
    return f"a {type_of(tree)}"


def _readable(text: str) -> str:
    """JSON for people knows no half characters."""
    return text.encode(errors="replace").decode()
