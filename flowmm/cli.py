"""The command line. Every command answers bad input with one readable message and exit status 1 or 2."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from .face.models_cli import app as models_app
from .face.sharing_cli import app as sharing_app

app = typer.Typer(
    name="flowmm", no_args_is_help=True, add_completion=False, rich_markup_mode="markdown", pretty_exceptions_enable=False,
    help="Image-text models as typed, cached node graphs: one JSON file from editor to endpoint.",
)  # fmt: skip
cache_app = typer.Typer(help="The cache on disk.", no_args_is_help=True)
app.add_typer(cache_app, name="cache")
app.add_typer(models_app, name="models")
app.add_typer(sharing_app)

Name = Annotated[str, typer.Argument(help="A graph file, the name of a graph, or a PNG that flowmm made.", show_default=False)]
AsJson = Annotated[bool, typer.Option("--json", help="JSON for programs.")]
Set = Annotated[list[str], typer.Option("--set", metavar="NAME=VALUE", help="A graph input.")]


def main() -> None:
    """The entry point: runs a command and turns what a user can cause into a message and an exit status."""
    from .graph.problems import GraphError, Unreadable

    try:
        app()
    except Unreadable as error:
        _fail(error.problems, 2)
    except GraphError as error:
        _fail(error.problems, 1)
    except KeyboardInterrupt:
        print("cancelled", file=sys.stderr)
        sys.exit(130)
    except BrokenPipeError:  # the reader of a pipe has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(1)
    except OSError as error:
        print(f"error: {error.strerror or error}: {error.filename}" if error.filename else f"error: {error}", file=sys.stderr)
        sys.exit(1)
    except Exception as error:
        from .engine.workers.base import NodeFailed

        if not isinstance(error, NodeFailed) or os.environ.get("FLOWMM_TRACEBACK"):
            raise
        print(f"error: {error}", file=sys.stderr)
        sys.exit(1)


def _fail(problems: list, status: int) -> None:
    for problem in problems:
        print(f"{problem.level}: {problem}", file=sys.stderr)
    sys.exit(status)


@app.command(
    context_settings={"allow_extra_args": True, "ignore_unknown_options": True, "help_option_names": []}, rich_help_panel="Graphs",
)  # fmt: skip
def run(context: typer.Context) -> None:
    """Run a graph: `flowmm run GRAPH --help` lists its inputs, each of which is an option."""
    if not context.args or context.args[0] in ("--help", "-h"):
        print("Usage: flowmm run GRAPH [OPTIONS]\n\nRun a saved graph; GRAPH is a file, a name, or a PNG that flowmm made."
              "\n`flowmm graphs` lists the names, `flowmm run GRAPH --help` a graph's own options.")  # fmt: skip
        return
    from .face.command import run_command
    from .face.find import load

    run_command(load(context.args[0]), context.args[1:])


@app.command(rich_help_panel="Graphs")
def check(
    name: Name, as_json: AsJson = False, strict: Annotated[bool, typer.Option("--strict", help="Unknowns are problems too.")] = False,
    set_: Set = [],  # noqa: B006 (typer copies it)
) -> None:
    """Type every wire and predict shapes, bytes and memory, without loading a model.

    Exit status: 0 fine (unknowns are listed), 1 problems, 2 unreadable.
    """
    from .face import tables
    from .face.command import settings
    from .face.find import load
    from .graph.describe import describe
    from .graph.signature import check_inputs

    graph = load(name)
    given = settings(set_)
    checked = graph.check(**given)
    _, values = check_inputs(graph.wiring, given, graph.folder, graph.inputs)
    described = describe(checked, values)
    problems = checked.problems + described.problems
    rows = tables.edges(checked, described)
    if as_json:
        memory = {"peak": described.peak, "weights": described.weights, "at_least": described.at_least}
        print(json.dumps({"problems": [p.as_json() for p in problems], "edges": rows, "memory": memory}, ensure_ascii=False, indent=2))
    else:
        tables.print_edges(rows, described)
        for problem in problems:
            print(f"{problem.level}: {problem}", file=sys.stderr)
    wrong = {"error", "unknown"} if strict else {"error"}
    sys.exit(1 if any(problem.level in wrong for problem in problems) else 0)


@app.command(rich_help_panel="Graphs")
def why(name: Name, node: Annotated[str, typer.Argument(help="The node's name in the graph.")], set_: Set = [], device: str = "auto") -> None:  # noqa: B006
    """Explain why a node would be answered from the cache, or not."""
    from .engine.runtime import Runtime, choose_device
    from .engine.why import why as explain
    from .face.command import settings
    from .face.find import load

    runtime = Runtime(choose_device(device))
    print(explain(runtime, *load(name).explainable(node, settings(set_), runtime)))


@app.command(rich_help_panel="Graphs")
def graphs(as_json: AsJson = False) -> None:
    """List the graphs that can be run by name."""
    from .face.find import load, names, place
    from .face.tables import print_table

    rows = []
    for name, path in names().items():
        try:
            graph = load(path)
            rows.append([name, graph.title, ", ".join(graph.document.tags), ", ".join(graph.inputs), ", ".join(graph.outputs)])
        except ValueError as error:  # one broken file must not hide the others
            rows.append([name, f"unreadable: {error}", "", "", ""])
    rows.sort(key=lambda row: place(row[2].split(", ")))
    if as_json:
        print(json.dumps([dict(zip(("name", "title", "tags", "inputs", "outputs"), row)) for row in rows], ensure_ascii=False, indent=2))
    else:
        print_table(["name", "title", "tags", "outputs"], [[name, title, tags, outputs] for name, title, tags, _, outputs in rows])


@app.command(rich_help_panel="Graphs")
def demo(
    out: Annotated[Path, typer.Option("--out", "-o", help="The folder for pictures and page.")] = Path("demo"),
    sheet: Annotated[Path | None, typer.Option(help="Write instead one small sheet of what they give, with its index, into this folder.")] = None,
) -> None:
    """Run every shipped graph on the embedded models, and make a page of what they answer."""
    if sheet is not None:
        from .face.sheet import write_sheet

        print(*write_sheet(sheet), sep="\n")
        return
    from .face.demo import demo as run_all

    sys.exit(0 if run_all(out) else 1)


@app.command(rich_help_panel="Graphs")
def serve(
    host: Annotated[str, typer.Option(help="The address to listen at.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65535, help="0 takes any free one.")] = 8383,
    device: Annotated[list[str], typer.Option("--device", help="cpu, cuda, cuda:1 …; several share one queue.")] = [],  # noqa: B006
    token: Annotated[str, typer.Option(help="Choose the token yourself; better from $FLOWMM_TOKEN than here.", envvar="FLOWMM_TOKEN")] = "",
    no_token: Annotated[bool, typer.Option("--no-token", help="Let everyone on this machine in.")] = False,
    allow_host: Annotated[list[str], typer.Option(help="A name that this server is reached by.")] = [],  # noqa: B006
    root: Annotated[list[Path], typer.Option(help="A folder whose pictures and models graphs may name.")] = [],  # noqa: B006
    threads: Annotated[int, typer.Option(min=0, help="CPU threads for one operation; 0 takes all cores.")] = 0,
    dtype: Annotated[str, typer.Option(help="float32, bfloat16 or float16: what weights are computed in.")] = "float32",
    log_json: Annotated[bool, typer.Option("--log-json", help="Log as JSON lines.")] = False,
    dev: Annotated[bool, typer.Option("--dev", help="A node's file that is saved counts at once.", envvar="FLOWMM_DEV")] = False,
) -> None:
    """Serve graphs, runs and forms over HTTP; prints the address with its token."""
    from .server.serve import serve as run_server

    if dev:
        os.environ["FLOWMM_DEV"] = "1"  # for the worker processes as well
    chosen = "" if no_token else token or None
    run_server(host, port, device, token=chosen, hosts=allow_host, roots=root, threads=threads, dtype=dtype, as_json=log_json)


@app.command("import", rich_help_panel="Graphs")
def import_(
    file: Annotated[Path, typer.Argument(help="A workflow of ComfyUI, or a PNG that ComfyUI or AUTOMATIC1111 saved.", show_default=False)],
    out: Annotated[Path | None, typer.Option("--out", "-o", help="The graph's file; left out: NAME.flowmm.json, here.", show_default=False)] = None,
    models: Annotated[list[Path], typer.Option(help="A folder to look for its models in, with all folders inside it.")] = [],  # noqa: B006
    as_json: AsJson = False,
) -> None:
    """Make a flowmm graph of a workflow of ComfyUI, and say what became of every node.

    Exit status: 0 if anything was made, 2 if the file is unreadable.
    """
    from .face.importing import import_file

    sys.exit(0 if import_file(file, out, models, as_json) else 1)


@app.command(rich_help_panel="Graphs")
def draw(name: Name, out: Annotated[Path, typer.Option("--out", "-o", help="The SVG file.")] = Path("graph.svg")) -> None:
    """Draw a graph as SVG."""
    from .face.draw import svg
    from .face.find import load

    out.write_text(svg(load(name)), "utf-8")
    print(out)


@app.command(rich_help_panel="Graphs")
def schema() -> None:
    """Print the JSON Schema of the graph format."""
    from .graph.document import schema as make

    print(json.dumps(make(), indent=2))


@app.command(rich_help_panel="Installation")
def nodes(op: Annotated[str, typer.Argument(help="A type id, as in diffusion.sample.", show_default=False)] = "", as_json: AsJson = False) -> None:
    """List the node types, or show one."""
    from .catalog import UnknownOp, catalogue, find, packs
    from .face import tables
    from .graph.document import words

    if op:
        try:
            spec = find(op)
        except UnknownOp as error:
            print(f"error: {error}", file=sys.stderr)
            sys.exit(1)
        if as_json:
            print(json.dumps(catalogue.describe(spec), ensure_ascii=False, indent=2))
            return
        print(f"{spec.op}  version {spec.version}  ({spec.module})\n\n{words(spec.help)}\n")
        rows: list[list[Any]] = []
        for port in spec.inputs.values():
            default = "" if port.required else json.dumps(port.default, ensure_ascii=False)
            rows.append(["in", port.name, tables.full(port.type), default, port.between or "", port.help])
        rows += [["out", output.name, tables.full(output.type), "", "", output.help] for output in spec.outputs.values()]
        tables.print_table(["", "port", "type", "default", "range", "help"], rows)
        if spec.reference:
            print(f"\nReference: {spec.reference}")
    elif as_json:
        print(json.dumps(catalogue.catalogue(), ensure_ascii=False, indent=2))
    else:
        specs = packs.all_specs()
        tables.print_table(["type", "title", "in", "out"], [[s.op, words(s.title), ", ".join(s.inputs), ", ".join(s.outputs)] for s in specs])
        _import_errors()


@app.command("packs", rich_help_panel="Installation")
def list_packs(as_json: AsJson = False) -> None:
    """List the installed packs. A pack is trusted code: it runs as you."""
    from .catalog import catalogue, packs
    from .face.tables import print_table

    packs.all_specs()
    found = catalogue.list_packs()
    if as_json:
        print(json.dumps(found, indent=2))
        return
    print_table(["pack", "package", "from", "version"], [[p["name"], p["package"], p["distribution"], p["version"]] for p in found])
    _import_errors()


def _import_errors() -> None:
    from .catalog import packs

    for pack in packs.packs().values():
        for module, reason in pack.errors.items():
            print(f"warning: {pack.package}.{module} is disabled: {reason}", file=sys.stderr)


@app.command(rich_help_panel="Installation")
def doctor() -> None:
    """Versions, devices, disk, and known traps."""
    from .face.doctor import examine
    from .face.tables import print_table

    rows, warnings = examine()
    print_table(["", ""], rows)
    for warning in warnings:
        print(f"warning: {warning}", file=sys.stderr)
    sys.exit(1 if warnings else 0)


def _disk() -> Any:
    from .home import home
    from .store.disk import DiskTier

    return DiskTier(home() / "cache", on_problem=lambda text: print(f"note: {text}", file=sys.stderr))


@cache_app.command("ls")
def cache_ls(limit: Annotated[int, typer.Option(min=1)] = 50, as_json: AsJson = False) -> None:
    """The most recent entries, newest first."""
    import datetime

    from .face.tables import print_table, size

    rows = _disk().ls(limit)
    if as_json:
        print(json.dumps([{"key": r.key.hex(), "op": r.op, "seconds": r.seconds, "bytes": r.bytes, "created": r.created, "used": r.used} for r in rows], indent=2))
        return
    when = [datetime.datetime.fromtimestamp(r.created).isoformat(" ", "seconds") for r in rows]
    print_table(["created", "node type", "took", "size", "key"], [[w, r.op, f"{r.seconds:.2f} s", size(r.bytes), r.key.hex()[:16]] for w, r in zip(when, rows)])


@cache_app.command("stats")
def cache_stats(as_json: AsJson = False) -> None:
    """How much there is, and what it saved."""
    from .face.tables import print_table, size

    found = _disk().stats()
    if as_json:
        print(json.dumps(found, indent=2, default=str))
        return
    print_table(["", ""], [[name.replace("_", " "), size(value) if name in ("bytes", "budget") else value] for name, value in found.items()])


@cache_app.command("verify")
def cache_verify() -> None:
    """Check every entry; damaged and orphaned ones are removed. Exit status 1 if there were damaged ones."""
    from .face.tables import size

    report = _disk().verify()
    print(f"{report.checked} entries checked, {report.damaged} damaged and {report.orphans} orphaned files removed, {size(report.bytes)} freed")
    sys.exit(1 if report.damaged else 0)


@cache_app.command("prune")
def cache_prune(to: Annotated[str, typer.Option(help="What to keep at most: 500MB, 2GB, or 0.")] = "0") -> None:
    """Remove entries until at most this much is left, least worth keeping first."""
    from .face.tables import size

    units = {"B": 1, "KB": 10**3, "MB": 10**6, "GB": 10**9, "TB": 10**12}
    text = to.strip().upper()
    unit = next((u for u in sorted(units, key=len, reverse=True) if text.endswith(u)), "")
    try:
        target = int(float(text.removesuffix(unit)) * units.get(unit, 1))
    except (ValueError, OverflowError):
        print(f"error: {to!r} is no size; write 500MB, 2GB or 0", file=sys.stderr)
        sys.exit(2)
    report = _disk().prune(target)
    print(f"{report.evicted} entries removed, {size(report.bytes)} freed")


if __name__ == "__main__":
    main()
