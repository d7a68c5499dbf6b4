"""What became of every node of a file: mapped, mapped with a difference, a placeholder, or left out; and what must still be given."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Literal

State = Literal["mapped", "changed", "placeholder", "left out", "missing", "note"]


@dataclass(frozen=True, slots=True)
class Line:
    """state: changed is mapped, with something that could not be kept; missing names a file that is to be given.

    node, type, title: the file's own. became: the nodes, inputs or outputs that were made of it. why: in words.
    """

    state: State
    node: str = ""
    type: str = ""
    title: str = ""
    became: str = ""
    why: str = ""


@dataclass(slots=True)
class Report:
    """missing: by input of the graph, the name of the file that the other program had; found: those whose file lies in a folder of models."""

    lines: list[Line] = field(default_factory=list)
    missing: dict[str, str] = field(default_factory=dict)
    found: dict[str, Path] = field(default_factory=dict)
    _noted: set[str] = field(default_factory=set)

    def of(self, *states: State) -> list[Line]:
        return [line for line in self.lines if line.state in states]

    def note(self, why: str) -> None:
        """Say something of the file as a whole, once."""
        if why not in self._noted:
            self._noted.add(why)
            self.lines.append(Line("note", why=why))

    def as_json(self) -> list[dict[str, str]]:
        return [asdict(line) for line in self.lines]

    def summary(self) -> str:
        """In one sentence."""
        counts = {state: len(self.of(state)) for state in ("mapped", "changed", "placeholder", "left out")}
        made = f"{counts['mapped'] + counts['changed']} nodes mapped"
        rest = [f"{counts['changed']} of them with a difference"] if counts["changed"] else []
        rest += [f"{counts['placeholder']} kept as placeholders"] if counts["placeholder"] else []
        rest += [f"{counts['left out']} left out"] if counts["left out"] else []
        return ", ".join([made, *rest])
