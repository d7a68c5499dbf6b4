"""Try several: a form's graph run for many values of one or two of its inputs, as a labelled sheet and a table."""

from __future__ import annotations

import inspect
from collections.abc import AsyncIterator, Callable
from typing import TYPE_CHECKING, Any

from ..face.graph import Graph
from ..sockets import Image, Mask
from . import sweeps
from .desk import Asked
from .following import SweepFollower, Unfinished
from .forms_fields import FILE, holds
from .summary import PICTURED

if TYPE_CHECKING:
    from .forms_build import Form

SWEEPS = "sweeps"  # the folder that sheets and tables pretend to lie in
ASKED = ("each", "values", "each_2", "values_2", "combine")  # as programs call what is swept over
HELP = "0..7, or 0..1..0.25, or 3,5,7, or one a line; of lists one list a line."


class Several:
    """A folded part of the form, made where its blocks are being made: which inputs, their values, what comes of it."""

    def __init__(self, form: Form, graph: Graph):
        import gradio as gr

        self.form, self.names = form, list(graph.inputs)
        choices = [("–", ""), *((one.title, name) for name, one in graph.inputs.items() if not holds(one.type, Image) and not holds(one.type, Mask))]
        self.asked: list[Any] = []
        with gr.Accordion("Try several", open=False):
            for label in ("Run it for each of", "and each of"):
                with gr.Row():
                    self.asked.append(gr.Dropdown(choices, value="", label=label, interactive=True, scale=1))
                    self.asked.append(gr.Textbox(label="Values", info=HELP, lines=2, max_lines=12, interactive=True, scale=3))
            combine = [("Each value with each of the other", "product"), ("The first of both, the second of both …", "zip")]
            self.asked.append(gr.Radio(combine, value="product", label="Two inputs", interactive=True))
            with gr.Row():
                self.run, self.stop = gr.Button("Run all", variant="primary"), gr.Button("Stop", variant="stop")
            self.made = [
                gr.Image(label="Sheet", type="filepath", format="png", interactive=False, buttons=["download", "fullscreen"]),
                gr.Dataframe(label="Table", interactive=False, wrap=True),
                gr.File(label="Table as CSV", interactive=False),
            ]

    def listen(self, inputs: list[Any], raw: dict[str, Any]) -> None:
        """Let the buttons do it. inputs: the form's own components."""
        event = self.run.click(self._call(), [*inputs, *self.asked], self.made, api_name="sweep", show_progress_on=self.made[0],
                               api_description="The graph for many values of one or two inputs: a sheet, a table, and the table as CSV.", **raw)  # fmt: skip
        self.stop.click(None, None, None, cancels=[event], api_visibility="private")

    def _call(self) -> Callable[..., Any]:
        """The handler; its parameters are the graph's inputs, then what is swept over."""
        from .forms_build import progress, told

        async def sweep(*values: Any) -> AsyncIterator[Any]:
            own, (*pairs, combine) = values[: len(self.names)], values[len(self.names) :]
            with told():
                axes = _axes(pairs)
            inputs = {name: value for name, value in (await self.form.asked(own)).items() if name not in axes}
            follower = await self.form.follow(SweepFollower(self.form.parts, Asked(self.form.name, inputs, source="app", axes=axes, combine=combine or "product")))
            async for frame in self.form.frames(follower):
                progress(frame)
            with told():
                yield await self.form.parts.in_thread(self._payloads, follower.id)

        kind = inspect.Parameter.POSITIONAL_OR_KEYWORD
        names = (*self.names, *(name + "_" * (name in self.names) for name in ASKED))
        sweep.__signature__ = inspect.Signature([inspect.Parameter(name, kind, default=None) for name in names])
        return sweep

    def _payloads(self, id_: str) -> list[Any]:
        """Sheet, table and file as their components take them. Raises Unfinished where no cell gave anything."""
        parts = self.form.parts
        swept = sweeps.found(parts, id_)
        rows = sweeps.table(parts, swept)
        if all("error" in row for row in rows):
            raise Unfinished(str(rows[0]["error"]))
        at = f"{parts.uploads.folder.absolute()}/{SWEEPS}/{id_}"
        pictured = any(one.type in PICTURED for outputs in swept.outputs.values() for one in outputs)
        headers = list(dict.fromkeys(key for row in rows for key in row if key != "run"))
        table = {"headers": headers, "data": [[row.get(name) for name in headers] for row in rows], "metadata": None}
        file = {"path": f"{at}/sweep.csv", "orig_name": "sweep.csv", "size": len(sweeps.as_csv(rows).encode()), "meta": FILE}
        return [{"path": f"{at}/sheet.png", "meta": FILE} if pictured else None, table, file]


def _axes(pairs: list[Any]) -> dict[str, str]:
    """The values by input, in words. Raises Unfinished."""
    chosen = [(name, text) for name, text in zip(pairs[::2], pairs[1::2]) if name]
    axes = {name: str(text or "") for name, text in chosen}
    if not axes:
        raise Unfinished("Choose an input, and write the values that it is to take.")
    if len(axes) < len(chosen):
        raise Unfinished("Choose two inputs that differ.")
    return axes
