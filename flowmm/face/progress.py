"""Watching a run: bars in a terminal or notebook, plain lines in a pipe."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from ..engine.events import Event


def in_notebook() -> bool:
    """Whether a Jupyter kernel would show what is displayed."""
    shell = sys.modules.get("IPython")
    instance = shell.get_ipython() if shell else None
    return instance is not None and "IPKernelApp" in getattr(instance, "config", {})


@contextmanager
def watching(title: str, quiet: bool = False) -> Iterator[Callable[[Event], None] | None]:
    """A listener that shows a run's progress on stderr until the block ends; None when quiet."""
    if quiet:
        yield None
    elif in_notebook():
        with _Cell(title) as cell:
            yield cell
    elif sys.stderr.isatty():
        with _Bars(title) as bars:
            yield bars
    else:
        yield _Lines()


class _Lines:
    """One line for each node that takes a while, and a few for its steps."""

    def __init__(self) -> None:
        self._tenth: dict[str, int] = {}

    def __call__(self, event: Event) -> None:
        if event.kind == "running":
            self._say(f"{event.node} …")
        elif event.kind == "progress":
            tenth = event.step * 4 // max(event.steps, 1)
            if tenth != self._tenth.get(event.node, 0):
                self._tenth[event.node] = tenth
                left = f", {event.eta:.0f} s left" if event.eta and event.step < event.steps else ""
                self._say(f"{event.node} {event.step}/{event.steps}{left}")
        elif event.kind == "broken":
            self._say(f"{event.node} failed")
        elif event.kind == "note":
            self._say(f"note: {event.text}")

    def _say(self, line: str) -> None:
        print(line, file=sys.stderr, flush=True)


class _Counter:
    """How many nodes must be computed, and how many were; what each sort of display then shows."""

    total = done = 0

    def __call__(self, event: Event) -> None:
        if event.kind == "planned":
            self.total += event.total
        elif event.kind == "finished":
            self.done += len(event.nodes) - len(event.cached)
            for node in event.nodes:
                self.finished(node)
        elif event.kind == "progress":
            self.progress(event)
        elif event.kind == "broken":
            self.finished(event.node)
            self.note(f"{event.node} failed")
        elif event.kind == "note":
            self.note(f"note: {event.text}")
        self.show()

    def finished(self, node: str) -> None: ...

    def progress(self, event: Event) -> None: ...

    def note(self, text: str) -> None: ...

    def show(self) -> None: ...


class _Cell(_Counter):
    """One line of HTML under a notebook cell, updated in place and gone when the run ends; needs no widgets."""

    def __init__(self, title: str):
        from IPython.display import HTML, display

        self._html = HTML
        self._title = title
        self._nodes: dict[str, Event] = {}
        self._handle = display(HTML(self._text()), display_id=True)

    def __enter__(self) -> _Cell:
        return self

    def __exit__(self, *_: object) -> None:
        self._handle.update(self._html(""))

    def finished(self, node: str) -> None:
        self._nodes.pop(node, None)

    def progress(self, event: Event) -> None:
        self._nodes[event.node] = event

    def note(self, text: str) -> None:
        print(text, file=sys.stderr)

    def show(self) -> None:
        self._handle.update(self._html(self._text()))

    def _text(self) -> str:
        from html import escape

        rows = [f"<b>{escape(self._title)}</b> {self.done}/{self.total or '?'}"]
        for node, event in self._nodes.items():
            left = f", {event.eta:.0f} s left" if event.eta else ""
            rows.append(f'{escape(node)} <progress value="{event.step}" max="{event.steps}"></progress> {event.step}/{event.steps}{left}')
        return "<br>".join(rows)


class _Bars(_Counter):
    """A bar for the nodes of the run, and one for each node that reports steps."""

    def __init__(self, title: str):
        from rich.console import Console
        from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

        self._progress = Progress(
            TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn(),
            console=Console(stderr=True), transient=True,
        )  # fmt: skip
        self._all = self._progress.add_task(title, total=None)
        self._nodes: dict[str, int] = {}

    def __enter__(self) -> _Bars:
        self._progress.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._progress.stop()

    def finished(self, node: str) -> None:
        if node in self._nodes:
            self._progress.remove_task(self._nodes.pop(node))

    def progress(self, event: Event) -> None:
        if event.node not in self._nodes:
            self._nodes[event.node] = self._progress.add_task(f"  {event.node}", total=event.steps)
        self._progress.update(self._nodes[event.node], completed=event.step, total=event.steps)

    def note(self, text: str) -> None:
        self._progress.console.print(text)

    def show(self) -> None:
        self._progress.update(self._all, completed=self.done, total=self.total or None)
