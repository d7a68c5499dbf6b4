"""What a form shows for each input and output: gradio's components by type and range, and their payloads as a run takes and gives them.

Components neither read nor write files here: a picture is named by its upload on the way in, by its run on the way out.
"""

from __future__ import annotations

import io
import json
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from ..face.graph import Graph
from ..graph.check import UNSET
from ..graph.problems import brief
from ..graph.signature import Parameter
from ..models import shelf
from ..sockets import HeatMap, Image, Labels, Mask, NotAccepted, Score, Seed, Text
from ..sockets.images import pictures_of
from ..sockets.types import NONE, Choice, ListOf, Plain, Socket, Type, Union
from ..sockets.values import LARGEST_SEED, numbered
from .refusals import Refused
from .summary import EXACT
from .uploads import Uploads

STEPS = 100  # of a slider whose port names no step
WHOLE = 200  # numbers: a slider of whole numbers up to so many
FILE = {"_type": "gradio.FileData"}


@dataclass(frozen=True, slots=True)
class Field:
    """An input on the form. read: a payload as the run takes it, UNSET for the graph's own default. Raises Refused."""

    name: str
    component: Any
    read: Callable[[Any], Any]


def kinds(type_: Type) -> list[Type]:
    """The members of a type without None."""
    return [member for member in (type_.members if isinstance(type_, Union) else (type_,)) if member != NONE]


def optional(type_: Type) -> bool:
    return isinstance(type_, Union) and NONE in type_.members


def holds(type_: Type, cls: type) -> bool:
    """Whether this socket may come here, alone or in a list."""
    items = [kind.item if isinstance(kind, ListOf) else kind for kind in kinds(type_)]
    return any(isinstance(item, Socket) and issubclass(item.cls, cls) for item in items)


def field(parameter: Parameter, graph: Graph, uploads: Uploads, masks: Callable[[str], Mapping[str, Any] | None]) -> Field:
    """The component for an input, with its default. masks: what a painter drew, by the id its page gave it."""
    made = _component(parameter, graph, uploads, masks)
    empty = None if optional(parameter.type) else UNSET

    def read(payload: Any) -> Any:
        return empty if payload is None or payload == "" and made[2] else made[1](payload)

    return Field(parameter.name, made[0], read)


def _component(parameter: Parameter, graph: Graph, uploads: Uploads, masks: Any) -> tuple[Any, Callable[[Any], Any], bool]:
    """A component, what reads its payload, and whether "" means nothing."""
    import gradio as gr

    type_, port = parameter.type, parameter.port
    default = None if parameter.default is UNSET else parameter.default
    said = {"label": parameter.title, "interactive": True}
    told = said | {"info": parameter.help or None}
    if port.source:
        return gr.Dropdown(models(parameter, graph), value=default or "", **told), _same, True
    if holds(type_, Mask):
        shown = _pictures(default, graph, uploads)
        value = {"background": shown[0], "layers": [], "composite": None} if shown else None
        brush = gr.Brush(colors=["#ffffff"], color_mode="fixed")
        return gr.ImageMask(value=value, type="filepath", brush=brush, sources=["upload", "clipboard"], **said), _mask_reader(uploads, masks), False
    if holds(type_, Image):
        shown = _pictures(default, graph, uploads)
        if any(isinstance(kind, ListOf) for kind in kinds(type_)):
            single = any(isinstance(kind, Socket) for kind in kinds(type_))
            component = gr.Gallery(value=shown or None, type="filepath", file_types=["image"], columns=4, object_fit="contain", **said)
            return component, lambda payload: _several(payload, uploads, single), False
        value = shown[0] if shown else None
        component = gr.Image(value=value, type="filepath", sources=["upload", "webcam", "clipboard"], **said)
        return component, lambda payload: {"upload": upload_of(payload, uploads)}, False
    return _plain(parameter, default, told)


def _plain(parameter: Parameter, default: Any, told: dict[str, Any]) -> tuple[Any, Callable[[Any], Any], bool]:
    import gradio as gr

    type_, found = parameter.type, kinds(parameter.type)
    plain = {kind.cls for kind in found if isinstance(kind, Plain)}
    choices = [value for kind in found if isinstance(kind, Choice) for value in kind.values]
    if choices:
        nothing = [("–", "")] * optional(type_)
        shown = [*nothing, *((str(value), value) for value in choices)]
        return gr.Dropdown(shown, value="" if default is None else default, allow_custom_value=str in plain, **told), _same, True
    if any(isinstance(kind, Socket) and issubclass(kind.cls, Seed) for kind in found):
        return gr.Number(value=default, precision=0, minimum=0, maximum=LARGEST_SEED, **told), _whole, False
    if bool in plain or isinstance(default, bool):
        if optional(type_):
            return gr.Dropdown([("–", ""), ("yes", True), ("no", False)], value="" if default is None else default, **told), _same, True
        return gr.Checkbox(value=bool(default), **told), _same, False
    if plain & {int, float}:
        return _number(parameter, default, float not in plain, told)
    if any(isinstance(kind, ListOf) for kind in found) or isinstance(default, (list, tuple)):
        return _lines(found, default, told), _lines_reader(found), False
    if any(isinstance(kind, Socket) and issubclass(kind.cls, Text) for kind in found) or plain or not any(isinstance(kind, Socket) for kind in found):
        multiline = parameter.port.multiline or isinstance(default, str) and "\n" in default
        nothing = optional(type_) and (default is None or bool(plain - {str}))  # an empty box is an empty text, unless none is what it began with
        return gr.Textbox(value=default, lines=4 if multiline else 1, max_lines=12 if multiline else 1, **told), _same, nothing
    what = f"The key of a {' or '.join(map(str, found))} that a run gave. {parameter.help}".strip()
    return gr.Textbox(value=default, **told | {"info": what}), lambda key: {"value": key}, True


def _number(parameter: Parameter, default: Any, whole: bool, told: dict[str, Any]) -> tuple[Any, Callable[[Any], Any], bool]:
    """A slider between two bounds, unless nothing is a choice too (and the default); else a box."""
    import gradio as gr

    between = parameter.port.between
    low, high, step = (between.low, between.high, between.step) if between else (None, None, None)
    bounded = low is not None and high is not None and low < high
    read = _whole if whole else _same
    if bounded and default is not None and (not whole or high - low <= WHOLE or step):
        return gr.Slider(low, high, value=default, step=step or (1 if whole else 10 ** math.floor(math.log10((high - low) / STEPS))), **told), read, False
    return gr.Number(value=default, precision=0 if whole else None, minimum=low, maximum=high, step=step or (1 if whole else 0.1), **told), read, False


def _same(payload: Any) -> Any:
    return payload


def _whole(payload: Any) -> Any:
    """Pages write 20 as 20.0 at times; anything else is for the graph to judge."""
    return int(payload) if isinstance(payload, float) and payload.is_integer() else payload


def _lines(found: list[Type], default: Any, told: dict[str, Any]) -> Any:
    import gradio as gr

    items = list(default) if isinstance(default, (list, tuple)) else [default] if default is not None else []
    text = "\n".join(item if isinstance(item, str) else json.dumps(item) for item in items)
    info = " ".join(filter(None, (told["info"], "One a line.")))
    return gr.Textbox(value=text or None, lines=max(2, min(8, len(items))), max_lines=20, **told | {"info": info})


def _lines_reader(found: list[Type]) -> Callable[[Any], Any]:
    """One item a line; numbers and the like as JSON writes them where the items are no texts."""
    items = [kind.item for kind in found if isinstance(kind, ListOf)]
    texts = not items or any(item == Plain(str) or isinstance(item, (Choice, Socket)) for item in items)

    def read(payload: Any) -> Any:
        lines = payload if isinstance(payload, list) else [line for line in str(payload).splitlines() if line.strip()]
        if texts:
            return lines or UNSET
        try:
            return [json.loads(line) if isinstance(line, str) else line for line in lines]
        except ValueError:
            raise Refused(422, "bad-input", "a line is no number", "Write one number a line.") from None

    return read


def models(parameter: Parameter, graph: Graph) -> list[tuple[str, str]]:
    """The models that are here and fit, all of them if that cannot be told; and the default, which may not be here."""
    names = [entry.name for entry in shelf.entries() if entry.kind != "unfinished"]
    fit = [name for name in names if all(problem.level == "warning" for problem in graph.check(**{parameter.name: name}).problems)]
    shown = [(name, name) for name in fit or names]
    if isinstance(parameter.default, str) and parameter.default not in [name for name, _ in shown]:
        shown.append((parameter.default if parameter.default in names else f"{parameter.default} (not here)", parameter.default))
    return [("–", "")] * optional(parameter.type) + shown


# ── pictures on the way in ──────────────────────────────────────────────────────────────────────


def _pictures(default: Any, graph: Graph, uploads: Uploads) -> list[str]:
    """The default pictures as uploads, by path; none where one is missing, of which the run then tells."""
    named = default if isinstance(default, list) else [default] * (default is not None)
    try:
        return [str(uploads.path(uploads.add(graph.folder.resolve(name).read_bytes()).id)) for name in named]
    except (Refused, NotAccepted, OSError, TypeError):
        return []


def upload_of(payload: Any, uploads: Uploads) -> str:
    """The id of the upload that a file's payload names. Raises Refused for any other file."""
    path = payload.get("path") if isinstance(payload, dict) else None
    folder, _, id_ = str(path or "").replace("\\", "/").rpartition("/")
    if not path or folder != str(uploads.folder.absolute()).replace("\\", "/"):
        raise Refused(422, "no-upload", "a file was named that was not uploaded here", "Upload the picture first.")
    return uploads.path(id_).name


def _several(payload: Any, uploads: Uploads, single: bool) -> Any:
    found = [{"upload": upload_of(item.get("image") if isinstance(item, dict) else None, uploads)} for item in payload]
    if not found:
        return UNSET
    return found[0] if single and len(found) == 1 else found


def _mask_reader(uploads: Uploads, masks: Callable[[str], Mapping[str, Any] | None]) -> Callable[[Any], Any]:
    def read(payload: Any) -> Any:
        drawn = masks(payload["id"]) if payload.get("id") else payload
        if drawn is None:
            raise Refused(404, "no-mask", "what was painted is no longer here", "Paint the mask again.")
        layers = [upload_of(layer, uploads) for layer in drawn.get("layers") or () if layer]
        painted = covered([uploads.path(id_).read_bytes() for id_ in layers])
        if painted is not None:
            return {"upload": uploads.add(painted).id}
        return {"upload": upload_of(drawn["background"], uploads)} if drawn.get("background") else UNSET

    return read


def covered(layers: list[bytes]) -> bytes | None:
    """Where strokes are, white on black, as a PNG; None if nothing was painted. layers: pictures of one size, drawn on nothing."""
    import PIL.Image
    import PIL.ImageChops

    from ..sockets.images import open_picture

    mask = None
    for data in layers:
        alpha = open_picture(io.BytesIO(data), "the layer").convert("RGBA").getchannel("A")
        mask = alpha if mask is None else PIL.ImageChops.lighter(mask, alpha.resize(mask.size, PIL.Image.Resampling.NEAREST))
    if mask is None or mask.getbbox() is None:
        return None
    buffer = io.BytesIO()
    mask.save(buffer, "PNG")
    return buffer.getvalue()


# ── outputs ─────────────────────────────────────────────────────────────────────────────────────


@dataclass(frozen=True, slots=True)
class Shown:
    """An output on the form. best: a label beside a table, for one that has a single row or column of shares."""

    name: str
    kind: str
    component: Any
    best: Any = None


def shown(name: str, type_: Type | None, title: str) -> Shown:
    """The component for an output."""
    import gradio as gr

    found = kinds(type_) if type_ is not None else []
    plain = {kind.cls for kind in found if isinstance(kind, Plain)}

    def all_are(cls: type) -> bool:
        return bool(found) and all(isinstance(kind, Socket) and issubclass(kind.cls, cls) for kind in found)

    if type_ is not None and holds(type_, Image):
        buttons = ["download", "fullscreen"]
        gallery = gr.Gallery(label=title, columns=4, height=620, object_fit="contain", format="png", interactive=False, buttons=buttons)
        return Shown(name, "pictures", gallery)
    if all_are(Score):
        return Shown(name, "table", gr.Dataframe(label=title, interactive=False, wrap=True), gr.Label(label=title, visible=False))
    if all_are(Labels):
        return Shown(name, "labels", gr.Label(label=title))
    if all_are(HeatMap):
        return Shown(name, "html", gr.HTML(label=title, container=True))
    if all_are(Text) or plain == {str} and len(found) == 1:
        return Shown(name, "text", gr.Textbox(label=title, lines=2, max_lines=20, interactive=False, buttons=["copy"]))
    if all_are(Seed) or plain and plain <= {int, float} and len(plain) == len(found):
        return Shown(name, "number", gr.Number(label=title, interactive=False))
    return Shown(name, "json", gr.JSON(label=title))


def readable(type_: str) -> bool:
    """Whether this process can look into such a value: of arrays and plain data, not of tensors. type_: as a run's output has it."""
    from ..sockets import SOCKETS

    cls = SOCKETS.get(type_.removeprefix("list[").rstrip("]"))
    return cls is None or bool(cls.host) or cls in (Text, Seed)


def payload(one: Shown, value: Any, summary: Mapping[str, Any], at: str) -> Any:
    """A value as its component takes it. value: None where it is not readable. at: the path that the value's pictures have."""
    if one.kind == "pictures":
        return [{"image": {"path": f"{at}/{i}.png", "meta": FILE}, "caption": None} for i in range(len(pictures_of(value)))]
    if one.kind == "table":
        return table(value)
    if one.kind == "labels":
        return labels(value)
    if one.kind == "html":
        return value._repr_html_()
    if one.kind == "text":
        return str(value)
    if isinstance(value, Seed):
        return value.value
    return exact(value) if isinstance(value, (str, int, float, bool, list, dict)) and is_plain(value) else dict(summary)


def is_plain(value: Any) -> bool:
    if isinstance(value, (list, tuple)):
        return all(map(is_plain, value))
    if isinstance(value, dict):
        return all(isinstance(name, str) and is_plain(item) for name, item in value.items())
    return isinstance(value, (str, int, float, bool, type(None)))


def exact(value: Any) -> Any:
    """Plain data as JSON and JavaScript keep it: what is no number to them is written out."""
    if isinstance(value, (list, tuple)):
        return [exact(item) for item in value]
    if isinstance(value, dict):
        return {name: exact(item) for name, item in value.items()}
    if isinstance(value, int) and abs(value) > EXACT:
        return brief(value) if value.bit_length() > 10_000 else str(value)
    return str(value) if isinstance(value, float) and not math.isfinite(value) else value


def table(score: Score) -> dict[str, Any]:
    """A score as a table; a single row stands upright."""
    upright = score.values.shape[0] == 1 < score.values.shape[1]
    values, rows, columns = (score.values.T, score.columns, score.rows) if upright else (score.values, score.rows, score.columns)
    names = rows or numbered(values.shape[0])
    data = [[name, *(round(float(x), 6) if math.isfinite(x) else None for x in row)] for name, row in zip(names, values)]
    return {"headers": ["", *(columns or numbered(values.shape[1]))], "data": data, "metadata": None}


def best(score: Score) -> dict[str, Any] | None:
    """A score of one row or column as labels with their shares; None for any other."""
    flat = score.values.reshape(-1).tolist()
    if 1 not in score.values.shape or len(flat) < 2 or not all(0 <= x <= 1 for x in flat):
        return None
    names = (score.columns if score.values.shape[0] == 1 else score.rows) or numbered(len(flat))
    return _confidences(sorted(zip(names, flat), key=lambda pair: -pair[1]))


def labels(value: Labels) -> dict[str, Any]:
    """The labels of each picture; those of several are told apart by number."""
    several = len(value.names) > 1
    return _confidences([(f"#{i + 1} {name}" if several else name, float(share))
                         for i, (names, shares) in enumerate(zip(value.names, value.probabilities)) for name, share in zip(names, shares)])  # fmt: skip


def _confidences(pairs: list[tuple[str, float]]) -> dict[str, Any]:
    return {"label": pairs[0][0], "confidences": [{"label": name, "confidence": share} for name, share in pairs]} if pairs else {}
