"""`flowmm bundle`, `diff`, `export`: commands for graphs that go to others."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Annotated

import typer

app = typer.Typer(add_completion=False)

Name = Annotated[str, typer.Argument(help="A graph file, the name of a graph, or a PNG that flowmm made.", show_default=False)]


@app.command(rich_help_panel="Sharing")
def bundle(
    name: Name, out: Annotated[Path | None, typer.Option("--out", "-o", help="NAME.json, or NAME.png for a picture that carries the graph.")] = None,
) -> None:
    """Write a graph and all that it uses as one file, which says what else it needs: packs, models and files with their sha256.

    `flowmm check` of that file on another machine says what is missing there and how to get it.
    """
    from .bundle import doubts, write
    from .find import load

    graph = load(name)
    path = out or Path(f"{graph.name}-bundle.json")
    if path.suffix.lower() not in (".json", ".png"):
        print(f"error: `{path}` is neither .json nor .png; a bundle is one of them", file=sys.stderr)
        sys.exit(2)
    made = graph.bundle()
    for problem in doubts(made):
        print(f"{problem.level}: {problem}", file=sys.stderr)
    print(write(made, path))


@app.command(rich_help_panel="Sharing")
def diff(before: Name, after: Name, as_json: Annotated[bool, typer.Option("--json", help="JSON for programs.")] = False) -> None:
    """Say in words how two graphs differ.

    Exit status: 0 the same, but for the layout; 1 different; 2 unreadable.
    """
    from ..graph.diff import LAYOUT
    from ..graph.diff import diff as compare
    from .find import load

    changes = compare(load(before).document, load(after).document)
    differ = any(change.kind != LAYOUT for change in changes)
    if as_json:
        print(json.dumps({"same": not differ, "changes": [change.as_json() for change in changes]}, ensure_ascii=False, indent=2))
    elif not differ:
        print("only the layout differs" if changes else "they are the same")
    else:
        print(*(change.text for change in changes), sep="\n")
    sys.exit(1 if differ else 0)


@app.command(rich_help_panel="Sharing")
def export(
    name: Name, python: Annotated[bool, typer.Option("--python", help="As a Python script; there is no other form so far.")] = True,
    out: Annotated[Path | None, typer.Option("--out", "-o", help="The script; left out: it is printed.")] = None,
) -> None:
    """Write a graph as a readable Python script that calls its nodes one after another and gives the same."""
    from ..files import write_whole
    from .export import export as script
    from .find import load

    text = script(load(name), out)
    if out is None:
        print(text, end="")
        return
    print(write_whole(out, text.encode()))


@app.command("new-pack", rich_help_panel="Installation")
def new_pack(
    name: Annotated[str, typer.Argument(help="Letters, digits, - and _, as in my-nodes.", show_default=False)],
    folder: Annotated[Path, typer.Option(help="Where its folder is made.")] = Path(),
) -> None:
    """Make a pack of nodes that works, to begin with: one node, its test, its entry point."""
    from .new_pack import new_pack as make

    for path in make(name, folder):
        print(path)
    print(f"\nNext: pip install -e {folder / name}, then `flowmm packs` lists it.", file=sys.stderr)
