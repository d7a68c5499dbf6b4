"""The commands `flowmm models ls|pull|rm|convert`."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import typer

app = typer.Typer(help="The models that are here, and how others come.", no_args_is_help=True)

Yes = Annotated[bool, typer.Option("--yes", "-y", help="Agree beforehand; needed where nobody can be asked.")]


@contextmanager
def _spoken() -> Iterator[None]:
    """What a person can cause is one sentence and exit status 1."""
    from ..models.weights import SourceError

    try:
        yield
    except SourceError as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(1)


@app.command()
def ls(as_json: Annotated[bool, typer.Option("--json", help="JSON for programs.")] = False) -> None:
    """List the models that are here: embedded, pulled, converted, and those in your Hugging Face cache."""
    from .models import ls as run

    with _spoken():
        run(as_json)


@app.command()
def pull(
    name: Annotated[str, typer.Argument(help="ORG/REPO or ORG/REPO@REVISION on the Hugging Face hub.", show_default=False)],
    variant: Annotated[str, typer.Option(help="Weights of a variant, as fp16, where there are any.")] = "",
    pickles: Annotated[bool, typer.Option("--pickles", help="Pickled weights too, where there are no others; they must be converted then.")] = False,
    yes: Yes = False,
) -> None:
    """Download a model: the files flowmm can use, resumed if cut off, checked against their checksums.

    Asks first, with size and licence. HF_TOKEN is used for gated models, HF_ENDPOINT names another hub.
    """
    from .models import pull as run

    with _spoken():
        run(name, variant or None, pickles, yes)


@app.command()
def rm(name: Annotated[str, typer.Argument(help="As `flowmm models ls` names it.", show_default=False)], yes: Yes = False) -> None:
    """Remove a pulled or converted model; a repository without @REVISION goes with all its versions."""
    from .models import rm as run

    with _spoken():
        run(name, yes)


@app.command()
def convert(
    source: Annotated[str, typer.Argument(metavar="PATH", help="A pickle (.bin .pt .pth .ckpt .pkl), a folder with some, or a pulled hf:ORG/REPO.")],
    out: Annotated[Path | None, typer.Option("--out", "-o", help="The new folder; else beside the other models, and a pulled one where it lies.")] = None,
) -> None:
    """Make safetensors of pickled weights, once. Nothing in the pickle is run; what is no tensor is left out, and said."""
    from .models import convert as run

    with _spoken():
        run(source, out)
