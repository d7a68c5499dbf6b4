"""What an Annotated[…] may say about a plain parameter: help, range, unit."""

from __future__ import annotations

import math
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Help:
    """One line for people: what the parameter does, and in what unit."""

    text: str


@dataclass(frozen=True, slots=True)
class Between:
    """Inclusive bounds; step and slider are hints for a form."""

    low: float | None = None
    high: float | None = None
    step: float | None = None

    def holds(self, value: float) -> bool:
        if isinstance(value, float) and not math.isfinite(value):
            return False
        return (self.low is None or value >= self.low) and (self.high is None or value <= self.high)

    def __str__(self) -> str:
        if self.low is None:
            return f"at most {self.high:g}"
        return f"{self.low:g} or more" if self.high is None else f"{self.low:g} to {self.high:g}"

    def meet(self, other: Between) -> Between:
        """The intersection, for an input that feeds several ports."""
        lows = [x for x in (self.low, other.low) if x is not None]
        highs = [x for x in (self.high, other.high) if x is not None]
        return Between(max(lows, default=None), min(highs, default=None), self.step or other.step)


@dataclass(frozen=True, slots=True)
class ModelSource:
    """A string that names a model: zoo:NAME, or a folder, which a graph file can name only inside its own folder."""


@dataclass(frozen=True, slots=True)
class Multiline:
    """A text that deserves more than one line of widget."""
