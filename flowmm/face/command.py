"""`flowmm run GRAPH`: a command made from the graph, each input an option with its type and help."""

from __future__ import annotations

import inspect
import json
import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from ..graph.check import UNSET
from ..graph.problems import GraphError, Problem, listed
from ..graph.signature import Parameter
from ..sockets import Image, Seed, Text
from ..sockets.types import NONE, Choice, ListOf, Plain, Socket, Type, Union
from .axes import written
from .graph import Graph

INPUTS = "Inputs of the graph"
RUNNING = "Running"
SHOWN_FILES = 20  # of a sweep

Out = Annotated[Path, typer.Option("--out", "-o", help="The folder for the outputs; made if needed.", rich_help_panel=RUNNING)]
Set = Annotated[list[str], typer.Option("--set", metavar="NAME=VALUE", help="An input by name, as JSON or plain text; the only way "
                "for one named like an option of run.", rich_help_panel=RUNNING)]  # fmt: skip
Only = Annotated[list[str], typer.Option("--only", metavar="NAME", help="Compute this only: an output, a node, or node.output.", rich_help_panel=RUNNING)]
Until = Annotated[str, typer.Option("--until", metavar="NODE", help="Compute up to this node, and what comes out on the way.", rich_help_panel=RUNNING)]
Each = Annotated[list[str], typer.Option("--each", metavar="NAME=VALUES", help="Run once for each value of an input, and with several of these for "
                 "each combination: seed=0..7, guidance=3,5,7, prompt=@lines.txt, image=folder, or a JSON list.", rich_help_panel=RUNNING)]  # fmt: skip
Zip = Annotated[bool, typer.Option("--zip", help="Take the values of several --each side by side instead.", rich_help_panel=RUNNING)]
Device = Annotated[str, typer.Option("--device", help="cpu, cuda, cuda:1 …; auto takes a GPU if there is one.", rich_help_panel=RUNNING)]
Dtype = Annotated[str, typer.Option("--dtype", help="float32, bfloat16 or float16: what weights are computed in.", rich_help_panel=RUNNING)]
Threads = Annotated[int, typer.Option("--threads", min=0, help="CPU threads for one operation; 0 takes all cores.", rich_help_panel=RUNNING)]
Separate = Annotated[bool, typer.Option("--separate", help="Run nodes in a process of their own.", rich_help_panel=RUNNING)]
NoCache = Annotated[bool, typer.Option("--no-cache", help="Neither read nor write the cache on disk.", rich_help_panel=RUNNING)]
NoEmbed = Annotated[bool, typer.Option("--no-embed", help="Leave graph and inputs out of PNG files.", rich_help_panel=RUNNING)]
Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="No progress.", rich_help_panel=RUNNING)]

OPTIONS: dict[str, tuple[Any, Any]] = {
    "out": (Out, Path("out")), "set": (Set, []), "each": (Each, []), "zip": (Zip, False), "only": (Only, []), "until": (Until, ""), "device": (Device, "auto"), "dtype": (Dtype, "float32"),
    "threads": (Threads, 0),
    "separate": (Separate, False), "no_cache": (NoCache, False), "no_embed": (NoEmbed, False), "quiet": (Quiet, False),
}  # fmt: skip


def run_command(graph: Graph, arguments: list[str]) -> None:
    """Parse the arguments as this graph's options and run it. Raises GraphError, NodeFailed, Cancelled."""

    def command(**given: Any) -> None:
        options = {name: given.pop(name) for name in OPTIONS}
        inputs = {name: _given(value, graph.inputs[name].type) for name, value in given.items() if value is not None and value != []}
        inputs.update(settings(options["set"]))
        _run(graph, inputs, axes(graph, options["each"]), options)

    parameters = {name: parameter for name, parameter in graph.inputs.items() if name not in OPTIONS and name != "help"}
    command.__doc__ = f"{graph.title}\n\n{graph.about}".strip()
    signature = [_option(parameter) for parameter in parameters.values()]
    signature += [inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=default, annotation=hint) for name, (hint, default) in OPTIONS.items()]
    command.__signature__ = inspect.Signature(signature)  # type: ignore[attr-defined]
    command.__annotations__ = {parameter.name: parameter.annotation for parameter in signature}
    app = typer.Typer(add_completion=False, rich_markup_mode="markdown")
    app.command()(command)
    typer.main.get_command(app).main(arguments, prog_name=f"flowmm run {graph.name}", standalone_mode=True)


def settings(pairs: list[str]) -> dict[str, Any]:
    """NAME=VALUE pairs; a value is JSON if it reads as JSON, else text."""
    found = {}
    for pair in pairs:
        name, equals, text = pair.partition("=")
        if not equals:
            raise GraphError([Problem("bad-option", f"--set {pair} has no =", fix="Write --set NAME=VALUE.")])
        try:
            found[name] = json.loads(text)
        except (ValueError, RecursionError):
            found[name] = text
    return found


def axes(graph: Graph, pairs: list[str]) -> dict[str, list[Any]]:
    """NAME=VALUES pairs of --each. Raises GraphError."""
    found = {}
    for pair in pairs:
        name, equals, text = pair.partition("=")
        name = name.replace("-", "_")
        if not equals or name not in graph.inputs:
            message = f"--each {pair} has no =" if not equals else f"the graph has no input `{name}`"
            raise GraphError([Problem("bad-option", message, fix=f"Write --each NAME=VALUES; the inputs are {listed(graph.inputs)}.")])
        found[name] = written(graph.inputs[name], text)
    return found


def _option(parameter: Parameter) -> inspect.Parameter:
    """One graph input as an option. Bounds and choices are checked by the graph itself, so every face says the same."""
    kind, several = python_type(parameter.type)
    shown = parameter.default
    help_ = [parameter.help.rstrip(".") + "." if parameter.help else ""]
    members = parameter.type.members if isinstance(parameter.type, Union) else (parameter.type,)
    choices = [str(value) for member in members if isinstance(member, Choice) for value in member.values]
    if choices:
        help_.append(f"One of {', '.join(choices)}.")
    if parameter.port.between:
        help_.append(f"{parameter.port.between}.")
    if shown is not UNSET and shown is not None:
        help_.append(f"[default: {json.dumps(shown, ensure_ascii=False)}]")
    elif shown is UNSET:
        help_.append("[must be given]")
    flag = "--" + parameter.name.replace("_", "-")
    names = [flag + "/--no-" + flag[2:]] if kind is bool else [flag] + ([f"--{parameter.name}"] if "_" in parameter.name else [])
    option = typer.Option(*names, help=" ".join(filter(None, help_)).replace("[", "\\["), metavar=None if kind is bool else _metavar(parameter.type),
                          show_default=False, rich_help_panel=INPUTS)  # fmt: skip
    hint = list[kind] if several else kind | None
    return inspect.Parameter(parameter.name, inspect.Parameter.KEYWORD_ONLY, default=[] if several else None, annotation=Annotated[hint, option])


def python_type(type_: Type) -> tuple[type, bool]:
    """What the command line parses an input as, of a list its items, and whether it may be given several times."""
    members = type_.members if isinstance(type_, Union) else (type_,)
    items = [python_type(m.item) for m in members if isinstance(m, ListOf)] + [(str, False) for m in members if isinstance(m, Socket) and m.cls in (Text, Image)]
    if items:
        kinds = {str if several or kind is bool else kind for kind, several in items}
        return (str if str in kinds else float if float in kinds else int), True
    plain = [m.cls for m in members if isinstance(m, Plain)] + [int for m in members if isinstance(m, Socket) and m.cls is Seed]
    numbers = [kind for kind in plain if kind in (int, float, bool)]
    if numbers and len(plain) == len(members):
        return (float if float in numbers else numbers[0]), False
    return str, False


def _metavar(type_: Type) -> str:
    members = [m for m in (type_.members if isinstance(type_, Union) else (type_,)) if str(m) != "None"]
    return "|".join(dict.fromkeys(str(m).upper() if not isinstance(m, Choice) else "CHOICE" for m in members))


def _given(value: Any, type_: Type) -> Any:
    """An option's value as the graph is given it: one that was given once is no list, unless a list is all that the input takes."""
    members = type_.members if isinstance(type_, Union) else (type_,)
    lists = all(isinstance(member, ListOf) or member == NONE for member in members)
    return value[0] if isinstance(value, list) and len(value) == 1 and not lists else value


def _run(graph: Graph, inputs: dict[str, Any], each: dict[str, list[Any]], options: dict[str, Any]) -> None:
    from ..engine.runtime import Runtime, choose_device
    from ..engine.workers.base import NodeFailed
    from .progress import watching
    from .sweep import sweep
    from .tables import show
    from .targets import until

    arguments = {"cache": None} if options["no_cache"] else {}
    runtime = Runtime(
        choose_device(options["device"]), dtype=options["dtype"], separate=options["separate"], threads=options["threads"], **arguments,
    )  # fmt: skip
    failed: NodeFailed | None = None
    try:
        only = [*options["only"], *(until(graph, options["until"]) if options["until"] else ())]
        how = {"only": only or None, "runtime": runtime}
        with watching(graph.title, options["quiet"]) as listener:
            if each:
                fixed = {name: value for name, value in inputs.items() if name not in each}
                result: Any = sweep(graph, each, fixed, combine="zip" if options["zip"] else "product", listener=listener, **how)
            else:
                try:
                    result = graph.run(inputs, listener=listener, **how)
                except NodeFailed as error:
                    failed, result = error, error.result
        files = result.save(options["out"], embed=not options["no_embed"])
    except KeyboardInterrupt:
        print("cancelled", file=sys.stderr)
        raise typer.Exit(130) from None
    finally:
        runtime.close()
    if each:
        _swept(result, files)
        return
    for name, value in result.items():
        show(name, value)
    for path in files:
        print(path)
    if failed is not None:
        for other in failed.also:
            print(f"error: {other}", file=sys.stderr)
        raise failed
    cached = "from the cache" if not result.executed else f"{result.executed} node{'s' * (result.executed > 1)} ran"
    print(f"{result.seconds:.2f} s, {cached}", file=sys.stderr)


def _swept(made: Any, files: list[Path]) -> None:
    """Print a sweep's table and its files; exit status 1 if a cell failed."""
    from .tables import print_table

    names = list(dict.fromkeys(key for row in made.table for key in row))
    print_table(names, [[row.get(name, "") for name in names] for row in made.table])
    for path in files[:SHOWN_FILES]:
        print(path)
    if len(files) > SHOWN_FILES:
        print(f"and {len(files) - SHOWN_FILES:,} more")
    ran = sum(cell.result.executed for cell in made if cell.result is not None)
    print(f"{len(made)} cells, {ran} node{'s' * (ran != 1)} ran", file=sys.stderr)
    if made.failed:
        print(f"error: {len(made.failed)} of {len(made)} cells failed; the first: {made.failed[0].error}", file=sys.stderr)
        raise typer.Exit(1)
