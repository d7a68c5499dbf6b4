"""Spaces: the facts two parts must share to fit together, read from config files alone."""

from __future__ import annotations

from dataclasses import dataclass

Scalar = str | int | float | bool

# How a space reads in a table, by kind; others show all their facts.
SHOWN = {
    "latent": "{channels} channels ÷{factor}", "encoder": "{family} {width}", "conditioning": "{family} {width}",
    "vocabulary": "{size} tokens", "extra": "+{channels}", "prediction": "{predicts}", "codebook": "{size} codes",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Space:
    """A known space, as in Latent[4 channels, factor 8].

    kind: "latent", "encoder", "vocabulary", "conditioning", "codebook", "prediction", "extra".
    facts: what must agree exactly. prints: fingerprints; where only they differ the wire is allowed and warned about.
    """

    kind: str
    facts: tuple[tuple[str, Scalar], ...]
    prints: tuple[tuple[str, str], ...] = ()

    @classmethod
    def of(cls, kind: str, prints: dict[str, str] | None = None, **facts: Scalar) -> Space:
        return cls(kind, tuple(sorted(facts.items())), tuple(sorted((prints or {}).items())))

    def __str__(self) -> str:
        """Short, for tables; where two differ, `differences` says in what."""
        if self.kind in SHOWN:
            try:
                return SHOWN[self.kind].format(**dict(self.facts))
            except KeyError:  # a pack's own facts
                pass
        return " ".join(f"{name} {_short(value)}" for name, value in self.facts)

    def differences(self, other: Space) -> list[str]:
        """The facts that disagree, each as a readable phrase."""
        if self.kind != other.kind:
            return [f"{self.kind} space, not {other.kind} space"]
        mine, theirs = dict(self.facts), dict(other.facts)
        return [
            f"{name} {_short(mine.get(name, '–'))}, not {_short(theirs.get(name, '–'))}"
            for name in sorted(mine | theirs)
            if mine.get(name) != theirs.get(name)
        ]

    def same_prints(self, other: Space) -> bool:
        mine, theirs = dict(self.prints), dict(other.prints)
        return all(mine[name] == theirs[name] for name in mine.keys() & theirs.keys())


def _short(value: Scalar) -> str:
    return f"{value:g}" if isinstance(value, float) else str(value)
