"""A graph as a gradio app: its inputs, a button, its outputs; and the handler that has a run in our queue do the work."""

from __future__ import annotations

import base64
import inspect
from collections import OrderedDict
from collections.abc import AsyncIterator, Callable
from html import escape
from pathlib import Path
from typing import Any

from ..face.graph import Graph
from ..graph.check import UNSET
from ..graph.document import words
from ..graph.problems import GraphError
from .desk import Asked
from .following import Follower, Unfinished
from .forms_fields import Field, Shown, best, field, payload, readable, shown
from .forms_sweep import Several
from .parts import Parts
from .refusals import Refused
from .results import Damaged, Undecodable

SKIP = {"__type__": "update"}  # gradio's word for a component that stays as it is
MOST_DRAWN = 64  # masks that pages are about to send with a run
MOST_GONE = 1_000  # of those that listened, to cancel what they asked for just before
FOLDED = 2  # inputs that have no value are folded away from so many on
OUTPUTS = "runs"  # the folder that pictures of runs pretend to lie in


class Form:
    """One graph's form. waiting: by run or sweep, who follows it, and the names of who waits for it. gone: names of those that listen no more.
    drawn: what painters drew, by the id of their page."""

    def __init__(self, parts: Parts, name: str, graph: Graph):
        """Raises GraphError for a graph that could not run."""
        errors = graph.check().errors()
        if errors:
            raise GraphError(errors)
        self.parts, self.name = parts, name
        self.waiting: dict[str, tuple[Follower, set[str]]] = {}
        self.gone: OrderedDict[str, None] = OrderedDict()
        self.drawn: OrderedDict[str, dict[str, Any]] = OrderedDict()
        self.fields: list[Field] = []
        self.outputs: list[Shown] = []
        self.blocks = self._blocks(graph)

    def _blocks(self, graph: Graph) -> Any:
        import gradio as gr

        checked = graph.check()
        with gr.Blocks(title=graph.title, analytics_enabled=False) as blocks:
            first, _, rest = graph.about.partition("\n\n")
            gr.Markdown(f"# {graph.title}\n\n{first}", sanitize_html=True)
            if rest:
                with gr.Accordion("More about it", open=False):
                    gr.Markdown(rest, sanitize_html=True)
            with gr.Row():
                with gr.Column():
                    self.fields = self._fields(graph)
                    with gr.Row():
                        run, stop, again = gr.Button("Run", variant="primary"), gr.Button("Stop", variant="stop"), gr.Button("Defaults")
                with gr.Column():
                    coming = gr.HTML(visible=False)
                    for name, link in graph.wiring.outputs.items():
                        title = words(graph.document.outputs[name].title) or name
                        self.outputs.append(shown(name, checked.output_type(link), title))
            several = Several(self, graph)
            inputs = [one.component for one in self.fields]
            outputs = [one.component for one in self.outputs]
            extras = [coming, *(one.best for one in self.outputs if one.best is not None)]
            raw = {"preprocess": False, "postprocess": False, "concurrency_limit": None}
            event = run.click(self._page, inputs, [*outputs, *extras], api_visibility="private", **raw)
            stop.click(None, None, None, cancels=[event], api_visibility="private")
            # What programs call has the graph's own outputs, no more.
            gr.Button(visible=False).click(self._call(graph), inputs, outputs, api_name="run", api_description=graph.about or graph.title, **raw)
            several.listen(inputs, raw)
            start = [component.value.model_dump() if hasattr(component.value, "model_dump") else component.value for component in inputs]
            again.click(lambda: start if len(start) != 1 else start[0], None, inputs, api_visibility="private", **raw)
        blocks.queue(default_concurrency_limit=None, max_size=None)
        return blocks

    def _fields(self, graph: Graph) -> list[Field]:
        """A component an input, in the graph's order; what may be left out, and is, is folded away."""
        import gradio as gr

        def make(names: list[str]) -> dict[str, Field]:
            return {name: field(graph.inputs[name], graph, self.parts.uploads, self.drawn.get) for name in names}

        folded = [name for name, one in graph.inputs.items() if one.default is None]
        if len(folded) < FOLDED or len(folded) == len(graph.inputs):
            folded = []
        made = make([name for name in graph.inputs if name not in folded])
        if folded:
            with gr.Accordion("Settings", open=False):
                made |= make(folded)
        return [made[name] for name in graph.inputs]

    # ── running ─────────────────────────────────────────────────────────────────────────────────

    def _call(self, graph: Graph) -> Callable[..., Any]:
        """The handler for programs; its parameters are the graph's inputs, as its API tells them."""

        async def run(*values: Any) -> Any:
            follower = await self._start(values)
            async for frame in self.frames(follower):
                progress(frame)
            found = await self._found(follower)
            return found if len(found) != 1 else found[0]

        kind = inspect.Parameter.POSITIONAL_OR_KEYWORD
        run.__signature__ = inspect.Signature([inspect.Parameter(name, kind, default=None) for name in graph.inputs])
        return run

    async def _page(self, *values: Any) -> AsyncIterator[Any]:
        """The handler for the page: previews and growing text on the way, as each wipes the progress bar only these."""
        follower = await self._start(values)
        rest = [SKIP] * (len(self.outputs) + sum(one.best is not None for one in self.outputs))
        texts: dict[str, str] = {}
        async for frame in self.frames(follower):
            coming = _coming(frame, texts)
            if coming is None:
                progress(frame)
            else:
                yield _with_coming(rest, len(self.outputs), {**SKIP, "value": coming, "visible": True})
        found = await self._found(follower)
        labels = await self.parts.in_thread(self._best, follower)
        yield [*found, {**SKIP, "value": "", "visible": False}, *labels]

    async def _start(self, values: tuple[Any, ...]) -> Follower:
        return await self.follow(Follower(self.parts, Asked(self.name, await self.asked(values), source="app")))

    async def follow(self, follower: Any) -> Any:
        """Have what is asked for begin, for whoever asks."""
        from gradio.context import LocalContext

        for one in (*self.fields, *self.outputs):
            one.component.temp_files.clear()  # gradio's own list of what it made; it makes nothing here, and would never forget it
        with told():
            id_ = await follower.start()
        names = {getattr(LocalContext.request.get(None), "session_hash", None), LocalContext.event_id.get(None)}
        self.waiting[id_] = follower, names
        if not names.isdisjoint(self.gone):
            follower.stop()
        return follower

    async def frames(self, follower: Follower) -> AsyncIterator[dict[str, Any]]:
        try:
            async for frame in follower.frames():
                yield frame
        finally:
            self.waiting.pop(follower.id, None)

    async def asked(self, values: tuple[Any, ...]) -> dict[str, Any]:
        def read() -> dict[str, Any]:
            given = {one.name: one.read(value) for one, value in zip(self.fields, values)}
            return {name: value for name, value in given.items() if value is not UNSET}

        with told():
            return await self.parts.in_thread(read)

    async def _found(self, follower: Follower) -> list[Any]:
        with told():
            return await self.parts.in_thread(self._payloads, follower)

    def _payloads(self, follower: Follower) -> list[Any]:
        found, made = follower.outputs(), []
        for one in self.outputs:
            output = found.get(one.name)
            value = self.parts.results.get(output.key) if output and readable(output.type) else None
            at = f"{self.parts.uploads.folder.absolute()}/{OUTPUTS}/{follower.run.id}/{one.name}"
            made.append(payload(one, value, output.summary, at) if output else None)
        return made

    def _best(self, follower: Follower) -> list[Any]:
        made, found = [], follower.outputs()
        for one in self.outputs:
            if one.best is not None:
                label = best(self.parts.results.get(found[one.name].key)) if one.name in found else None
                made.append({**SKIP, "visible": label is not None, **({"value": label} if label else {})})
        return made

    def come(self, session: Any) -> None:
        """A page asks for a run, and will listen."""
        if isinstance(session, str):
            self.gone.pop(session, None)

    def leave(self, session: str) -> None:
        """A page or client that listened has gone: cancel what runs for it, and what is about to. On the event loop."""
        self.gone[session] = None
        while len(self.gone) > MOST_GONE:
            self.gone.popitem(last=False)
        for follower, names in self.waiting.values():
            if session in names:
                follower.stop()

    # ── painted masks ───────────────────────────────────────────────────────────────────────────

    def draw(self, id_: str, type_: str, index: int | None, path: Path) -> None:
        """Keep a layer of a mask, or what lies under it, until its run asks for it. Raises Refused."""
        drawn = self.drawn.setdefault(id_, {"background": None, "layers": [], "composite": None})
        self.drawn.move_to_end(id_)
        while len(self.drawn) > MOST_DRAWN:
            self.drawn.popitem(last=False)
        file = {"path": str(path)}
        if type_ == "layer" and index is not None and 0 <= index < 16:
            drawn["layers"] += [None] * (index + 1 - len(drawn["layers"]))
            drawn["layers"][index] = file
        elif type_ in ("background", "composite"):
            drawn[type_] = file
        else:
            raise Refused(422, "bad-layer", "what was painted is neither a layer nor a background", "Paint it again.")


class told:
    """Failures inside are shown to whoever asked, as one sentence, without a traceback."""

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: Any, error: BaseException | None, trace: Any) -> None:
        import gradio as gr

        if isinstance(error, (Unfinished, Refused, GraphError, Damaged, Undecodable)):
            raise gr.Error(str(error), duration=None, print_exception=False) from None
        if isinstance(error, KeyError):
            raise gr.Error("A value of this run is no longer here. Run it again.", duration=None, print_exception=False) from None


def progress(frame: dict[str, Any]) -> None:
    """Tell gradio how far a run is."""
    import gradio as gr

    if frame["type"] == "progress":
        gr.Progress()((frame["step"], frame["steps"]), desc=frame["node"])
    elif frame["type"] == "running":
        gr.Progress()(None, desc=frame["node"])


def _coming(frame: dict[str, Any], texts: dict[str, str]) -> str | None:
    """A preview, or the text so far, as HTML."""
    if frame["type"] == "preview":
        data = base64.b64encode(frame["image"]).decode()
        return f'<img alt="{escape(frame["node"])}" style="max-height:256px;image-rendering:pixelated" src="data:image/jpeg;base64,{data}">'
    if frame["type"] == "text":
        node = frame["node"]
        texts[node] = texts.get(node, "")[: frame["at"]] + frame["text"]
        return f"<p><em>{escape(node)}</em></p><pre style='white-space:pre-wrap'>{escape(texts[node])}</pre>"
    return None


def _with_coming(rest: list[Any], at: int, coming: Any) -> list[Any]:
    return [*rest[:at], coming, *rest[at:]]
