"""`flowmm demo`: every shipped graph, run on the embedded models, on one page to look at."""

from __future__ import annotations

import sys
import time
from html import escape
from pathlib import Path

from ..catalog import Cancelled
from ..engine.workers.base import NodeFailed
from ..graph.problems import GraphError
from ..zoo import WEIGHTS
from .draw import svg
from .find import load, place, shipped
from .graph import Graph
from .result import Result, inlined

STYLE = """body{font:15px/1.5 system-ui,sans-serif;max-width:1100px;margin:2rem auto;padding:0 1rem;color:#222;background:#fafafa}
section{background:#fff;border:1px solid #ddd;border-radius:10px;padding:1rem 1.5rem;margin:1.5rem 0}
img{image-rendering:pixelated;border-radius:4px;max-width:100%}figure{display:inline-block;margin:0 1rem 1rem 0;vertical-align:top}
figcaption,small{color:#666}td,th{padding:.2rem .6rem;text-align:right}details{overflow-x:auto}.failed{color:#b00020}"""


def demo(out: Path) -> bool:
    """Run all shipped graphs into out/<graph>/ and write out/index.html. Whether all ran for which the pack has a model."""
    out.mkdir(parents=True, exist_ok=True)
    sections, fine = [], True
    graphs = sorted(map(load, sorted(shipped().glob("*.json"))), key=lambda graph: place(graph.document.tags))
    width = max(len(graph.name) for graph in graphs)
    for graph in graphs:
        started = time.perf_counter()
        absent = _absent(graph)
        if absent:
            print(f"{graph.name:<{width}}   –    waits for {absent}, which the embedded pack has not yet")
            sections.append(_section(graph, f"<p><small>Waits for {absent}, which the embedded pack has not yet.</small></p>"))
            continue
        try:
            result = graph.run({})
        except (GraphError, NodeFailed, Cancelled) as error:
            fine = False
            print(f"{graph.name:<{width}} did not run: {error}", file=sys.stderr)
            sections.append(_section(graph, f'<p class="failed">{escape(str(error))}</p>'))
            continue
        files = result.save(out / graph.name)
        print(f"{graph.name:<{width}} {time.perf_counter() - started:5.1f} s  {', '.join(str(f) for f in files)}")
        sections.append(_section(graph, _shown(result)))
    page = out / "index.html"
    page.write_text(f'<!doctype html><html lang="en"><meta charset="utf-8"><title>flowmm demo</title><style>{STYLE}</style>'
                    f"<h1>flowmm: every saved graph, on the embedded models</h1>{''.join(sections)}</html>\n", "utf-8")  # fmt: skip
    print(f"\nThe pictures are in {out}/; all on one page: {page}")
    return fine


def _absent(graph: Graph) -> str:
    """The embedded models a graph names and the pack has not, in words; empty if it has all."""
    named = [p.default for p in graph.inputs.values() if p.port.source and isinstance(p.default, str) and p.default.startswith("zoo:")]
    return " and ".join(dict.fromkeys(name for name in named if not (WEIGHTS / name.removeprefix("zoo:") / "flowmm.json").is_file()))


def _section(graph: Graph, body: str) -> str:
    about = "".join(f"<p>{escape(paragraph)}</p>" for paragraph in graph.about.split("\n\n")[:2])
    return f"<section><h2>{escape(graph.title)}</h2>{about}{body}<details><summary>The graph</summary>{svg(graph)}</details></section>"


def _shown(result: Result) -> str:
    inputs = ", ".join(f"{p.name} = {p.default!r}" for p in result.graph.inputs.values() if p.default is not None)
    return f"{_given(result.graph)}{result._repr_html_()}<br><small>{escape(inputs)} · {result.seconds:.2f} s</small>"


def _given(graph: Graph) -> str:
    """The pictures a graph was given."""
    figures = []
    for parameter in graph.inputs.values():
        names = parameter.default if isinstance(parameter.default, list) else [parameter.default]
        paths = [graph.path.parent / name for name in names if isinstance(name, str) and name.endswith(".png")]
        if paths:
            pictures = "".join(f'<img alt="" height="96" src="{inlined(p.read_bytes())}"> ' for p in paths)
            figures.append(f"<figure>{pictures}<figcaption>{escape(parameter.name)}</figcaption></figure>")
    return "".join(figures)
