"""A file of another program as a flowmm document, with the report of what became of it."""

from __future__ import annotations

import io
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..graph.document import LARGEST_FILE, Document, measure, of, parse
from ..graph.problems import Problem, Unreadable
from .definitions import Definitions
from .models import Models
from .parameters import recognise as recognise_parameters
from .read import recognise
from .report import Line, Report
from .sheet import Sheet

PNG = b"\x89PNG"
CHUNKS = ("workflow", "prompt", "parameters")  # of a picture: the saved workflow says more than what was sent to the server
MOST_VALUES = 2_000_000
NAME = 200


@dataclass(frozen=True, slots=True)
class Imported:
    """document: the graph. report: what became of every node. program: who wrote the file."""

    document: Document
    report: Report
    program: str


def opened_file(path: Path, models: Models | None = None) -> Imported:
    """A workflow, or a picture that carries one. Raises Unreadable."""
    try:
        if path.stat().st_size > LARGEST_FILE:
            raise Unreadable([Problem("too-large", f"`{path.name[:NAME]}` is over {LARGEST_FILE >> 20} MB", fix="Is this the right file?")])
        data = path.read_bytes()
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise Unreadable([Problem("no-file", f"cannot read `{path.name[:NAME]}`: {reason.lower()}", fix="Check the name.")]) from None
    return opened(data, path.stem[:NAME], models)


def opened(data: bytes, name: str = "", models: Models | None = None) -> Imported:
    """The same of a file's bytes. name: the graph's title, where the file tells none. Raises Unreadable."""
    if not data.startswith(PNG):
        return of_texts({"workflow": data}, name, models)
    import PIL.Image

    try:
        with PIL.Image.open(io.BytesIO(data), formats=["PNG"]) as picture:
            picture.load()  # texts may come after the pixels
            texts = dict(getattr(picture, "text", {}))
    except (OSError, ValueError, SyntaxError, PIL.Image.DecompressionBombError) as error:
        raise Unreadable([Problem("not-a-picture", f"the picture cannot be read: {error}", fix="Check the file.")]) from None
    return of_texts(texts, name, models)


def of_texts(texts: Mapping[str, str | bytes], name: str = "", models: Models | None = None) -> Imported:
    """The same of the texts that a picture carries, by name: `workflow`, `prompt`, `parameters`. Raises Unreadable."""
    last: Unreadable | None = None
    for chunk in CHUNKS:
        text = texts.get(chunk)
        if not text:
            continue
        try:
            sheet = _sheet(text, chunk)
        except Unreadable as error:
            last = error
            continue
        if sheet is not None:
            return _imported(sheet, name, "AUTOMATIC1111" if chunk == "parameters" else "ComfyUI", models)
    fix = "Open a workflow of ComfyUI, or a PNG that ComfyUI or AUTOMATIC1111 saved."
    raise last or Unreadable([Problem("nothing-to-import", "it holds no graph of a program that flowmm knows", fix=fix)])


def carries(texts: Mapping[str, Any]) -> bool:
    """Whether a picture's texts may hold a graph of another program."""
    return "flowmm" not in texts and any(chunk in texts for chunk in CHUNKS)


def _sheet(text: str | bytes, chunk: str) -> Sheet | None:
    if chunk == "parameters":
        return recognise_parameters(text if isinstance(text, str) else text.decode(errors="replace"))
    raw = parse(text, "the workflow", lenient=True)
    if isinstance(raw, dict) and "flowmm" in raw:
        raise Unreadable([Problem("own-graph", "it is a flowmm graph already", fix="Open it as it is.")])
    found = measure(raw, MOST_VALUES)
    if found:
        code, message, fix = found[0]
        raise Unreadable([Problem(code, f"in the workflow: {message}", fix=fix)])
    return recognise(raw)


def _imported(sheet: Sheet, name: str, program: str, models: Models | None) -> Imported:
    report = Report([Line("note", why=remark) for remark in sheet.remarks])
    definitions = Definitions(report)
    writer = definitions.write(sheet)
    if not writer.outputs:
        _show_pictures(writer, report)
    raw = writer.document(name or sheet.name)
    if definitions.graphs:
        raw["graphs"] = definitions.graphs
    for input_, (_, default, file, _) in writer.asked.items():
        if not file:
            continue
        found = models.find(default) if models and isinstance(default, str) and default else None
        if found is None:
            report.missing[input_] = file
            report.lines.append(Line("missing", became=f"input.{input_}", why=f"`{file[:NAME]}` is not here: give it as `{input_}`"))
        else:
            raw["inputs"][input_] = raw["inputs"][input_] | {"default": str(found)}
            report.found[input_] = found
    raw["about"] = _about(program, report)
    return Imported(of(raw, "the imported graph"), report, program)


def _show_pictures(writer: Any, report: Report) -> None:
    """A graph whose pictures went to a node that is not known here gives them itself."""
    for box in writer.sheet.boxes.values():
        if box.kind.startswith("VAEDecode") and not box.mode:
            for bundle in writer.bundles.get(box.id, ()):
                if name := writer.output("image", bundle.get("image"), box):
                    why = "nothing that is known here keeps this picture, so it is an output"
                    report.lines.append(Line("note", box.id, box.kind, box.title, f"output.{name}", why))



def _about(program: str, report: Report) -> str:
    notes = [f"- {line.why}" for line in report.of("note")]
    return "\n".join([f"Imported from {program}: {report.summary()}.", *([""] if notes else []), *notes])
