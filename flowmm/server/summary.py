"""What a list or the gallery says of a value: its type's name and a few plain facts, read without torch from the value encoded."""

from __future__ import annotations

import math
from typing import Any

import msgpack

from ..graph.problems import brief, shorten
from ..store import codec
from ..store.codec import Encoded

LONGEST_TEXT = 200  # characters
MOST_ITEMS = 8  # of a list, or of a batch of labels
MOST_NAMES = 20  # of a table's rows, columns, or a dict's keys
MOST_NUMBERS = 100  # of a table that is shown whole
BEST = 5  # labels an item
PICTURED = frozenset(("Image", "Mask", "list[Image]", "list[Mask]"))  # types of values that are pictures
EXACT = 2**53  # the largest integer JavaScript keeps


def type_of(tree: Any) -> str:
    """The socket's name, "int", "list[Image]" …"""
    if type(tree) is not list:
        return "None" if tree is None else type(tree).__name__
    tag = tree[0]
    if tag == codec.SOCKET:
        return tree[1]
    if tag in (codec.LIST, codec.TUPLE):
        kinds = {type_of(item) for item in tree[1:]}
        return f"list[{kinds.pop()}]" if len(kinds) == 1 else "list"
    return {codec.DICT: "dict", codec.INT: "int", codec.BYTES: "bytes", codec.PATH: "Path", codec.TENSOR: "tensor"}.get(tag, "array")


def summary_of(encoded: Encoded) -> dict[str, Any]:
    """Plain data of bounded size: Image: count, width, height. Text: count, length in characters, the first of the text.
    Score: shape, rows, columns, values of a small one. Labels: count, the best of the first items. Scalars: value.
    Lists: count, the first items' summaries. Others: shape and dtype of each field. No number in it is infinite or NaN.
    """
    return _summary(encoded.tree(), encoded.buffers)


def _summary(tree: Any, buffers: list[Any], deep: bool = True) -> dict[str, Any]:
    tag = tree[0] if type(tree) is list else None
    if tag == codec.SOCKET:
        special = _SPECIAL.get(tree[1])
        if special is None:
            return {"fields": {name: _leaf(part) for name, part in zip(tree[3::2], tree[4::2])}}
        return special(Encoded(msgpack.packb((codec.VERSION, tree), unicode_errors="surrogatepass"), buffers).decode())
    if tag in (codec.LIST, codec.TUPLE) and deep:
        return {"count": len(tree) - 1, "items": [_summary(item, buffers, False) for item in tree[1 : 1 + MOST_ITEMS]]}
    return _leaf(tree)


def _leaf(tree: Any) -> dict[str, Any]:
    if type(tree) is str:
        return {"value": _text(tree), "length": len(tree)}
    if type(tree) is not list:
        return {"value": _plain(tree)}
    tag = tree[0]
    if tag in (codec.LIST, codec.TUPLE):
        return {"count": len(tree) - 1}
    if tag == codec.DICT:
        return {"count": len(tree) // 2, "keys": [_name(key) for key in tree[1 : 1 + 2 * MOST_NAMES : 2] if type(key) is str]}
    if tag == codec.INT:
        return {"value": _plain(int(tree[1], 16))}
    if tag == codec.PATH:
        return {"value": _text(tree[1])}
    if tag in (codec.ARRAY, codec.SCALAR, codec.TENSOR):
        return {"shape": list(tree[2]), "dtype": tree[1] if tag == codec.TENSOR else _dtype(tree[1])}
    return {"type": type_of(tree)}


def _plain(value: Any) -> Any:
    """As JSON and JavaScript can have it."""
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    if isinstance(value, bytes):
        return f"{len(value)} bytes"
    return brief(value) if type(value) is int and abs(value) > EXACT else value


def _dtype(descr: Any) -> str:
    import numpy

    return numpy.dtype(descr).name if isinstance(descr, str) else "records"


def _text(text: str) -> str:
    """The first of a text; msgpack and JSON for people know no half characters."""
    return text[:LONGEST_TEXT].encode(errors="replace").decode()


def _name(text: str) -> str:
    return shorten(_text(text))


def _numbers(array: Any) -> Any:
    return [[None if not math.isfinite(x) else x for x in row] for row in array.astype("float64").tolist()]


def _image(value: Any) -> dict[str, Any]:
    return {"count": len(value), "width": value.width, "height": value.height}


def _of_text(value: Any) -> dict[str, Any]:
    return {"count": len(value), "length": sum(map(len, value.lines)), "text": _text("\n".join(value.lines))}


def _score(value: Any) -> dict[str, Any]:
    table = value.values
    summary = {"shape": list(table.shape), "rows": [_name(n) for n in value.rows[:MOST_NAMES]], "columns": [_name(n) for n in value.columns[:MOST_NAMES]]}
    return summary | {"values": _numbers(table)} if table.ndim == 2 and table.size <= MOST_NUMBERS else summary


def _labels(value: Any) -> dict[str, Any]:
    items = list(zip(value.names, _numbers(value.probabilities[:MOST_ITEMS, :BEST])))
    return {"count": len(value.names), "best": [[{"label": _name(n), "probability": p} for n, p in zip(names, row)] for names, row in items]}


_SPECIAL = {"Image": _image, "Mask": _image, "Text": _of_text, "Seed": lambda seed: {"value": seed.value}, "Score": _score, "Labels": _labels}
