"""`flowmm import` at work: another program's graph becomes a file, and a table says what became of every node."""

from __future__ import annotations

import json
import shlex
import sys
from pathlib import Path

from ..graph.document import save
from ..home import home
from ..importing import opened_file
from ..importing.models import Models
from .tables import print_table


def import_file(file: Path, out: Path | None, folders: list[Path], as_json: bool) -> bool:
    """Convert, save, tell; whether there was anything. Raises Unreadable."""
    made = opened_file(file, Models([*(folder.expanduser() for folder in folders), home() / "models"]))
    report = made.report
    target = out or Path(f"{file.stem}.flowmm.json")
    save(made.document, target)
    if as_json:
        missing, found = report.missing, {name: str(path) for name, path in report.found.items()}
        print(json.dumps({"graph": str(target), "report": report.as_json(), "missing": missing, "found": found}, ensure_ascii=False, indent=2))
        return bool(made.document.nodes)
    rows = [
        [line.state, f"{line.type} {line.node}", line.title, line.became, line.why]
        for line in report.of("mapped", "changed", "placeholder", "left out") + [line for line in report.of("note") if line.type]
    ]
    print_table([made.program, "node", "title", "became", "but"], rows)
    for line in report.of("note"):
        if not line.type:
            print(f"note: {line.why}", file=sys.stderr)
    for line in report.of("missing"):
        print(f"missing: {line.why}", file=sys.stderr)
    print(f"\n{report.summary()}\n{target}\n{_command(target, report.missing, report.found)}")
    return bool(made.document.nodes)


def _command(target: Path, missing: dict[str, str], found: dict[str, Path]) -> str:
    """How to run it, with what it still wants. A graph reaches no model outside the folders that are its own; who runs it does."""
    given = {name: name.upper() for name in missing} | {name: str(path) for name, path in found.items() if not path.is_relative_to(home() / "models")}
    return shlex.join(["flowmm", "run", str(target), *(part for name, value in given.items() for part in (f"--{name}", value))])
