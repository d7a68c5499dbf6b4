"""What a gallery of graphs shows: what each gave last on this server, or as it comes."""

from __future__ import annotations

import hashlib
import json
from functools import cache
from pathlib import Path
from typing import Any

from ..face.find import shipped
from ..face.sheet import INDEX, PICTURE
from .journal import Output, Run
from .parts import Parts

SHEET = "/api/covers/sheet"
PICTURES = ("Image", "Mask", "list[Image]")


def covers(parts: Parts) -> dict[str, Any]:
    """By graph: a picture by its value's key or by an upload's id or by its place on the sheet; a text, or "". At most one picture each."""
    comes = sheet()
    graphs: dict[str, dict[str, Any]] = {name: dict(one) for name, one in comes["graphs"].items()}
    for run, outputs in parts.journal.latest():
        if outputs:
            graphs[run.name] = _last(run, outputs)
    return {name: comes[name] for name in ("sheet", "columns", "rows")} | {"graphs": graphs}


def _last(run: Run, outputs: list[Output]) -> dict[str, Any]:
    text = " · ".join(dict.fromkeys(filter(None, map(_text, outputs))))
    picture = next((one for one in outputs if one.type in PICTURES), None)
    if picture is not None:
        return {"key": picture.key, "text": text}
    for value in run.inputs.values():  # what it answered about
        first = value[0] if isinstance(value, list) and value else value
        if isinstance(first, dict) and set(first) <= {"upload", "value"}:
            return {"upload": first["upload"], "text": text} if "upload" in first else {"key": first["value"], "text": text}
    return {"text": text}


def _text(one: Output) -> str:
    summary = one.summary
    if "text" in summary:
        return str(summary["text"])
    if one.type == "Labels" and summary.get("best"):
        return " · ".join(f"{best['label']} {best['probability'] or 0:.0%}" for best in summary["best"][0][:3])
    return str(summary["value"]) if one.type in ("str", "int", "float") and "value" in summary else ""


@cache
def sheet() -> dict[str, Any]:
    """The shipped sheet's index, with the address of its picture; empty where a copy of flowmm has none."""
    try:
        data = json.loads((folder() / INDEX).read_text("utf-8"))
        digest = hashlib.sha256((folder() / PICTURE).read_bytes()).hexdigest()[:16]
    except OSError:
        return {"sheet": "", "columns": 1, "rows": 1, "graphs": {}}
    last = max(one.get("tile", 0) for one in data["graphs"].values())
    return data | {"sheet": f"{SHEET}?of={digest}", "rows": last // data["columns"] + 1}


def folder() -> Path:
    return shipped() / "pictures"
