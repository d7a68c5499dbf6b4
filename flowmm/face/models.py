"""`flowmm models …` at work: what is shown before a download, its progress, and the table of what is here."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from .tables import print_table, size


def pull(name: str, variant: str | None, pickles: bool, yes: bool) -> None:
    """Say what would be downloaded, ask, download. Raises SourceError."""
    from ..models import hub

    plan = hub.plan(name, variant, pickles)
    if not plan.missing:
        hub.fetch(plan)  # a branch may have a new name for the same commit
        print(f"{plan.repo} is here already ({plan.folder})")
        return
    hub.need_space(plan.folder, plan.bytes, f"`{plan.repo}`")
    _show(plan)
    _consent(f"Download {size(plan.bytes)}?", yes)
    try:
        with _progress(plan) as report:
            folder = hub.fetch(plan, report)
    except KeyboardInterrupt:
        print(f"error: interrupted; what came is kept, and `flowmm models pull {name.removeprefix('hf:')}` goes on from there", file=sys.stderr)
        sys.exit(1)
    print(f"{plan.repo} is here: {folder}")
    if plan.pickles:
        print(f"its weights are pickles, which are not loaded as they are; now type: flowmm models convert {plan.repo}")


def ls(as_json: bool) -> None:
    from ..models import shelf

    entries = shelf.entries()
    if as_json:
        print(json.dumps([entry.as_json() for entry in entries], ensure_ascii=False, indent=2))
        return
    rows = [[entry.name, entry.kind, entry.cls or "-", size(entry.bytes), entry.commit[:12], entry.licence] for entry in entries]
    print_table(["model", "", "class", "size", "commit", "licence"], rows)


def rm(name: str, yes: bool) -> None:
    """Ask, then remove. Raises SourceError."""
    from ..models import shelf

    paths = shelf.removal(name)
    total = sum(map(shelf.size, paths))
    for path in paths:
        if not path.is_file():
            print(f"{path} ({size(shelf.size(path))})")
    _consent(f"Remove {size(total)}?", yes)
    shelf.remove(paths)
    print(f"{size(total)} removed")


def convert(source: str, out: Path | None) -> None:
    """Convert, and say what was left out and how to use the result. Raises SourceError."""
    from ..models.convert import convert as make
    from ..models.shelf import size as bytes_of

    made = make(source, out, lambda line: print(line, file=sys.stderr, flush=True))
    for words in made.dropped:
        print(f"left out: {words}")
    for path in made.written:
        print(f"{path} ({size(bytes_of(path))})")
    given = source if source.startswith("hf:") and out is None else made.source
    print(f"read back and equal; use it as --model {given}")


def _show(plan: Any) -> None:
    rows: list[list[Any]] = [
        ["model", plan.repo], ["commit", plan.commit], ["licence", plan.licence or "not stated: read the model's page"],
        ["files", f"{len(plan.missing)} of {len(plan.files)}, {size(sum(file.size for file in plan.missing))}"],
    ]  # fmt: skip
    if plan.here:
        rows.append(["here already", size(plan.here)])
    rows += [["largest", ", ".join(f"{file.name} ({size(file.size)})" for file in sorted(plan.missing, key=lambda file: -file.size)[:3])], ["to", plan.folder]]
    print_table(["", ""], rows)


def _consent(question: str, yes: bool) -> None:
    """Go on only if the person says so; a program must have said --yes."""
    if yes:
        return
    if not sys.stdin.isatty():
        print("error: nobody is here to be asked; add --yes to agree", file=sys.stderr)
        sys.exit(1)
    try:
        answer = input(f"{question} [y/N] ")
    except EOFError:
        answer = ""
    if answer.strip().lower() not in ("y", "yes", "j", "ja", "是"):
        print("nothing was done")
        sys.exit(1)


@contextmanager
def _progress(plan: Any) -> Iterator[Callable[[str, int], None]]:
    """Something to report bytes to: a bar in a terminal, a line now and then in a pipe."""
    total = sum(file.size for file in plan.missing)
    if not sys.stderr.isatty():
        yield _Lines(plan.here, total)
        return
    from rich.console import Console
    from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn, TransferSpeedColumn

    columns = (TextColumn("{task.description}"), BarColumn(), DownloadColumn(), TransferSpeedColumn(), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task(str(plan.repo), total=total, completed=plan.here)
        yield lambda file, count: bar.update(task, advance=count, description=file)


class _Lines:
    """A line at most every five seconds, and one at the end."""

    def __init__(self, done: int, total: int):
        self.done, self.total, self.last = done, total, time.monotonic()

    def __call__(self, file: str, count: int) -> None:
        self.done += count
        now = time.monotonic()
        if now - self.last >= 5 or self.done >= self.total:
            self.last = now
            print(f"{file}: {size(self.done)} of {size(self.total)}", file=sys.stderr, flush=True)
