"""ComfyUI's two formats as a sheet: the API format (a box by id) and saved workflows (version 0.4, and 1 with its links as objects).

Reference: docs.comfy.org/specs/workflow_json; what is damaged in a file is passed over and remarked, never an error.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

from ..graph.problems import shorten
from .sheet import ENTRY, EXIT, MOST_BOXES, Box, Frame, Link, Sheet, Socket
from .widgets import named

MODES = {2: "mute", 4: "bypass"}
NOTES = ("Note", "MarkdownNote")
MOST_SOCKETS = 256  # of one box, or of a definition
FARTHEST = 1_000_000  # pixels from the middle; a damaged place is brought back


def recognise(raw: Any) -> Sheet | None:
    """A sheet of parsed JSON, or None if it is nothing of ComfyUI's."""
    if not isinstance(raw, dict) or "flowmm" in raw:
        return None
    if isinstance(raw.get("nodes"), list) and (isinstance(raw.get("links"), (list, dict)) or "last_node_id" in raw):
        return saved(raw)
    if isinstance(raw.get("prompt"), dict) and _is_api(raw["prompt"]):  # as it is sent to the server
        return api(raw["prompt"])
    return api(raw) if _is_api(raw) else None


def _is_api(raw: dict[str, Any]) -> bool:
    return any(isinstance(box, dict) and isinstance(box.get("class_type"), str) for box in raw.values())


# ── the API format ──────────────────────────────────────────────────────────────────────────────


def api(raw: dict[str, Any]) -> Sheet:
    """{id: {class_type, inputs, _meta}}: an input is a value, or [id, slot]."""
    sheet = Sheet()
    for id, entry in raw.items():
        if not isinstance(entry, dict) or not isinstance(entry.get("class_type"), str):
            sheet.remarks.append(f"`{shorten(str(id))}` is no node")
            continue
        if len(sheet.boxes) >= MOST_BOXES:
            sheet.remarks.append(f"only the first {MOST_BOXES:,} nodes were read")
            break
        box = Box(id, entry["class_type"])
        meta = entry.get("_meta")
        if isinstance(meta, dict) and isinstance(meta.get("title"), str):
            box.title = meta["title"]
        for name, value in _items(entry.get("inputs")):
            if isinstance(value, list) and len(value) == 2 and str(value[0]) in raw and type(value[1]) is int:
                box.links[name] = Link(str(value[0]), value[1])
            else:
                box.values[name] = value["__value__"] if isinstance(value, dict) and "__value__" in value else value
        sheet.boxes[id] = box
    return sheet


# ── saved workflows ─────────────────────────────────────────────────────────────────────────────


def saved(raw: dict[str, Any]) -> Sheet:
    definitions: dict[str, Sheet] = {}
    sheet = _sheet(raw, definitions)
    stack = [raw]
    while stack and len(definitions) < MOST_BOXES:
        held = stack.pop().get("definitions")
        for one in held.get("subgraphs") or () if isinstance(held, dict) and isinstance(held.get("subgraphs"), list) else ():
            if isinstance(one, dict) and isinstance(one.get("id"), str) and one["id"] not in definitions:
                definitions[one["id"]] = _sheet(one, definitions)
                stack.append(one)
    return sheet


def _sheet(raw: dict[str, Any], definitions: dict[str, Sheet]) -> Sheet:
    """One level: the workflow, or one of its definitions."""
    sheet = Sheet(definitions=definitions, name=_text(raw.get("name")))
    sheet.inputs, sheet.outputs = (_sockets(raw.get(part)) for part in ("inputs", "outputs"))
    links: dict[str, Link] = {}
    for id, origin, slot, target, target_slot in _links(raw.get("links")):
        links[id] = Link(origin, slot)
        if target == EXIT:
            sheet.exits[target_slot] = links[id]
    nodes = raw.get("nodes")
    for entry in nodes if isinstance(nodes, list) else ():
        if not isinstance(entry, dict) or not isinstance(entry.get("type"), str) or type(entry.get("id")) not in (int, str):
            sheet.remarks.append("something among the nodes is no node")
            continue
        if len(sheet.boxes) >= MOST_BOXES:
            sheet.remarks.append(f"only the first {MOST_BOXES:,} nodes were read")
            break
        if entry["type"] in NOTES:
            sheet.notes.append(_note(entry))
            continue
        sheet.boxes[str(entry["id"])] = _box(entry, links)
    for box in sheet.boxes.values():
        box.links = {name: link for name, link in box.links.items() if link.box == ENTRY or link.box in sheet.boxes}
    sheet.groups = [one for entry in raw.get("groups") or () if (one := _group(entry))] if isinstance(raw.get("groups"), list) else []
    return sheet


def _box(entry: dict[str, Any], links: dict[str, Link]) -> Box:
    inputs = [one for one in entry.get("inputs") or () if isinstance(one, dict)] if isinstance(entry.get("inputs"), list) else []
    told = [_text(one["widget"].get("name")) for one in inputs if isinstance(one.get("widget"), dict)]
    values, unnamed = named(entry["type"], entry.get("widgets_values"), [name for name in told if name])
    box = Box(
        str(entry["id"]), entry["type"], _text(entry.get("title")), values, unnamed=unnamed, mode=MODES.get(_whole(entry.get("mode")), ""),
        inputs=_sockets(entry.get("inputs")), outputs=_sockets(entry.get("outputs")), at=_point(entry.get("pos")), size=_point(entry.get("size")),
    )  # fmt: skip
    box.links = {_text(one.get("name")): links[str(one["link"])] for one in inputs if str(one.get("link")) in links}
    flags, properties = entry.get("flags"), entry.get("properties")
    box.collapsed = isinstance(flags, dict) and flags.get("collapsed") is True
    box.properties = properties if isinstance(properties, dict) else {}
    return box


def _links(raw: Any) -> Iterator[tuple[str, str, int, str, int]]:
    """id, where from, its slot, where to, its slot."""
    for one in raw.values() if isinstance(raw, dict) else raw if isinstance(raw, list) else ():
        if isinstance(one, dict):
            one = [one.get(name) for name in ("id", "origin_id", "origin_slot", "target_id", "target_slot")]
        if isinstance(one, list) and len(one) >= 5 and all(type(part) in (int, str) for part in one[:5]):
            yield str(one[0]), str(one[1]), _whole(one[2]), str(one[3]), _whole(one[4])


def _sockets(raw: Any) -> list[Socket]:
    """What nodes and definitions say of their inputs or outputs, in their order."""
    made = []
    for one in raw[:MOST_SOCKETS] if isinstance(raw, list) else ():
        one = one if isinstance(one, dict) else {}
        made.append(Socket(_text(one.get("name")), _text(one.get("type"))))
    return made


def _note(entry: dict[str, Any]) -> Frame:
    values, told = entry.get("widgets_values"), ""
    for value in values if isinstance(values, list) else values.values() if isinstance(values, dict) else ():
        told = told or _text(value)
    return Frame(told, _point(entry.get("pos")) or (0, 0), _point(entry.get("size")) or (240, 120), _text(entry.get("color")))


def _group(raw: Any) -> Frame | None:
    bounding = raw.get("bounding") if isinstance(raw, dict) else None
    if not isinstance(bounding, list) or len(bounding) != 4:
        return None
    at, size = _point(bounding[:2]), _point(bounding[2:])
    return Frame(_text(raw.get("title")), at, size, _text(raw.get("color"))) if at and size else None


def _point(raw: Any) -> tuple[int, int] | None:
    """[x, y], or {"0": x, "1": y} as older files have it."""
    parts = [raw.get("0"), raw.get("1")] if isinstance(raw, dict) else raw
    if not isinstance(parts, list) or len(parts) < 2 or not all(type(part) in (int, float) and math.isfinite(part) for part in parts[:2]):
        return None
    x, y = (round(max(-FARTHEST, min(FARTHEST, part))) for part in parts[:2])
    return x, y


def _items(raw: Any) -> Iterator[tuple[str, Any]]:
    yield from raw.items() if isinstance(raw, dict) else ()


def _text(raw: Any) -> str:
    return raw if isinstance(raw, str) else ""


def _whole(raw: Any) -> int:
    return raw if type(raw) is int else -1
