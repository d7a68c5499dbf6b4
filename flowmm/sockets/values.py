"""The values that flow between nodes.

What a person sees (Image, Mask, Score, Labels …) is kept as numpy arrays; what only models see (Latent, Hidden …)
as torch tensors. Nothing here imports torch.
"""

from __future__ import annotations

from typing import Any, Generic

from .images import Image, Mask
from .value import C, E, K, NotAccepted, S, V, Value, X, socket

__all__ = [
    "Attention", "Codes", "Conditioning", "Constraint", "Control", "Embedding", "Extra", "FeatureMap", "HeatMap", "Hidden", "Image", "Labels",
    "Latent", "Logits", "LogitScale", "Mask", "Pixels", "Posterior", "Prompt", "Score", "Seed", "Text", "Tokens",
]  # fmt: skip

LARGEST_SEED = 2**53 - 1  # the largest integer JavaScript keeps exactly
LONGEST_TEXT = 2**20


@socket
class Text(Value):
    """B strings."""

    lines: tuple[str, ...]
    colour = "#369653"
    accepts = "a string, or a list of strings"

    @classmethod
    def accept(cls, plain: Any) -> Text:
        lines = (plain,) if isinstance(plain, str) else plain
        if not isinstance(lines, (list, tuple)) or not lines or not all(isinstance(line, str) for line in lines):
            raise NotAccepted(f"a Text is {cls.accepts}, not {_described(plain)}")
        if sum(map(len, lines)) > LONGEST_TEXT:
            raise NotAccepted(f"a Text holds at most {LONGEST_TEXT:,} characters; this one has {sum(map(len, lines)):,}")
        return cls(tuple(lines))

    def __str__(self) -> str:
        return "\n".join(self.lines)

    def __len__(self) -> int:
        return len(self.lines)

    def __iter__(self):
        return iter(self.lines)


@socket
class Seed(Value):
    """An integer 0…2⁵³−1. Item i of a batch draws from seed + i."""

    value: int
    colour = "#847967"
    accepts = f"an integer from 0 to {LARGEST_SEED}"

    @classmethod
    def accept(cls, plain: Any) -> Seed:
        if isinstance(plain, float) and plain.is_integer():  # JavaScript writes 1 as it likes
            plain = int(plain)
        if type(plain) is not int or not 0 <= plain <= LARGEST_SEED:
            raise NotAccepted(f"a Seed is {cls.accepts}, not {_described(plain)}")
        return cls(plain)

    def __str__(self) -> str:
        return str(self.value)


@socket
class Pixels(Value, Generic[E]):
    """Pictures as an encoder wants them: float [B, 3, H, W], resized and normalised.

    Where a family sees more: coded: float [B, 3, h, w] in 0…1, what its codebook reads; tiles: float [T, 3, H, W], finer cuts
    of all pictures, one picture after another; sizes: int64 [B, 2], height and width of the pictures that were cut.
    """

    values: Any
    coded: Any = None
    tiles: Any = None
    sizes: Any = None
    colour = "#1c8bb9"


@socket
class Tokens(Value, Generic[V]):
    """ids: int64 [B, L]; mask: int64 [B, L], 1 where a token counts."""

    ids: Any
    mask: Any
    colour = "#369375"


@socket
class Prompt(Value, Generic[V, E]):
    """What a language model continues. ids, mask: int64 [B, L], padded on the left.

    features: float [B, N, D], what the pictures say in space E: read where ids hold the picture placeholder, or attended
    to, as the model's family has it; None without a picture.
    begun: how many of each row's last ids are already the beginning of the text that follows; empty where none is.
    """

    ids: Any
    mask: Any
    features: Any = None
    begun: tuple[int, ...] = ()
    colour = "#689241"


@socket
class Constraint(Value, Generic[V]):
    """What a language model may write. forced: ids of the first positions, -1 where it is free. allowed: the only ids
    it may choose where it is free, besides those that end a text; all if empty. banned: ids it never writes."""

    forced: tuple[int, ...] = ()
    allowed: tuple[int, ...] = ()
    banned: tuple[int, ...] = ()
    colour = "#56805f"


@socket
class Hidden(Value, Generic[E]):
    """One vector a token or patch: [B, L, D].

    mask: int64 [B, L], 1 where a vector counts; None where all do. codes: int64 [B, h, w], the same pictures as entries of a
    codebook, where a family reads them so too.
    """

    values: Any
    mask: Any = None
    codes: Any = None
    colour = "#8d6cc2"


@socket
class FeatureMap(Value, Generic[E]):
    """One vector a place of a picture: [B, D, rows, columns]."""

    values: Any
    colour = "#7a76bf"


@socket
class Embedding(Value, Generic[E]):
    """One vector an item: [B, D]. Two embeddings compare only in the same encoder space."""

    values: Any
    colour = "#9156d6"


@socket
class LogitScale(Value, Generic[E]):
    """The factor a contrastive model multiplies cosines with: a scalar tensor."""

    value: Any
    colour = "#927c5f"


@socket
class Conditioning(Value, Generic[C]):
    """What a prompt says to a denoiser. hidden: [B, L, D], or class ids int64 [B, 1]; pooled: [B, P] where the family has one.

    mask: [B, L], 1 where a token counts, where the denoiser is told.
    """

    hidden: Any
    pooled: Any = None
    mask: Any = None
    colour = "#7d5cd6"

    @property
    def prompts(self) -> tuple[Conditioning, ...]:
        """What is said at once: itself, and what is combined with it."""
        return (self,)

    def repeated(self, times: int) -> Conditioning:
        """Each item several times, one after the other."""
        if times == 1:
            return self
        return Conditioning(*(None if part is None else part.repeat_interleave(times, 0) for part in (self.hidden, self.pooled, self.mask)))


@socket
class Combined(Conditioning[C], Generic[C]):
    """Several prompts at once: a denoiser's predictions for them are averaged. others: Conditioning of the same shape, beside the first."""

    others: tuple = ()
    colour = "#8a5fe0"

    @property
    def prompts(self) -> tuple[Conditioning, ...]:
        return (Conditioning(self.hidden, self.pooled, self.mask), *self.others)

    def repeated(self, times: int) -> Conditioning:
        first, *others = (one.repeated(times) for one in self.prompts)
        return Combined(first.hidden, first.pooled, first.mask, tuple(others))


@socket
class Latent(Value, Generic[S]):
    """Pictures in an autoencoder's space: [B, C, h, w], scaled as the denoiser sees them."""

    values: Any
    colour = "#d34080"


@socket
class Posterior(Latent[S], Generic[S]):
    """What an encoder says of pictures: a Gaussian round each of their latents. values: its mode, scaled like every latent.

    mean, std: [B, C, h, w], as the encoder says them; a sample of them less `shift` times `scale` is a latent. A sampler
    draws it anew for each item, so that one encoding serves every seed.
    """

    mean: Any
    std: Any
    scale: float
    shift: float = 0.0
    colour = "#bc598c"


@socket
class Extra(Value, Generic[S, X]):
    """What a denoiser of X extra input channels sees beside the noise. latent: the picture to edit, or what is left of it
    under the mask; mask: float [B, 1, h, w], 1 where it is to be painted, None where the whole picture is edited."""

    latent: Any
    mask: Any = None
    colour = "#bf4a5c"


@socket
class Control(Value, Generic[C]):
    """What a ControlNet adds to a denoiser told C. hint: the picture it follows, an Image; strength: 1 as it was trained;
    start, end: the part of the steps it acts in, 0…1; guess: it acts on the conditional half alone, and ever weaker."""

    model: Any
    hint: Any
    strength: float = 1.0
    start: float = 0.0
    end: float = 1.0
    guess: bool = False
    colour = "#6970c6"


@socket
class Codes(Value, Generic[K]):
    """Pictures as codebook entries: int64 [B, h, w]."""

    ids: Any
    colour = "#ba47ae"


@socket
class Logits(Value):
    """Unnormalised scores of classes or tokens: [B, N] or [B, L, N]."""

    values: Any
    colour = "#967d46"


@socket
class Score(Value):
    """A table of numbers: float [R, C]. rows and columns name them, where names are known."""

    values: Any
    rows: tuple[str, ...] = ()
    columns: tuple[str, ...] = ()
    host = ("values",)
    colour = "#b67c0d"

    def __str__(self) -> str:
        if self.values.shape[0] == 1 and self.values.shape[1] > 1:  # one row reads better as a column
            return str(Score(self.values.T, self.columns, self.rows))
        names = self.rows or numbered(self.values.shape[0])
        columns = self.columns or numbered(self.values.shape[1])
        width = max(map(len, names), default=0)
        widths = [max(8, len(column)) for column in columns]
        head = " " * width + "  " + "  ".join(c.rjust(w) for c, w in zip(columns, widths))
        body = [
            name.ljust(width) + "  " + "  ".join(f"{x:.3f}".rjust(w) for x, w in zip(row, widths))
            for name, row in zip(names, self.values)
        ]
        return "\n".join([head, *body])

    def _repr_html_(self) -> str:
        from .html import score_table

        return score_table(self)


@socket
class Attention(Value):
    """What heeds what inside an encoder: float32 [B, layers, heads, N, N], each row summing to 1, the class token before the
    patches. grid: rows and columns of the patches, rows · columns = N - 1."""

    maps: Any
    grid: tuple[int, int]
    host = ("maps",)
    colour = "#c26030"


@socket
class HeatMap(Value):
    """How much each place of a picture counts: float32 [B, rows, columns], 0 or more."""

    values: Any
    host = ("values",)
    colour = "#d24f39"

    def _repr_html_(self) -> str:
        from .html import heat_pictures

        return heat_pictures(self)


def numbered(count: int) -> tuple[str, ...]:
    """What rows and columns without names are called."""
    return tuple(f"#{i + 1}" for i in range(count))


@socket
class Labels(Value):
    """The best labels of each item, best first: names[i][k] with probabilities float [B, K]."""

    names: tuple[tuple[str, ...], ...]
    probabilities: Any
    host = ("probabilities",)
    colour = "#9c7c0b"

    def __str__(self) -> str:
        blocks = []
        for names, row in zip(self.names, self.probabilities):
            width = max(map(len, names), default=0)
            blocks.append("\n".join(f"{n.ljust(width)}  {p:6.1%}  {'█' * round(float(p) * 30)}" for n, p in zip(names, row)))
        return "\n\n".join(blocks)

    def _repr_html_(self) -> str:
        from .html import label_bars

        return label_bars(self)


def _described(plain: Any) -> str:
    if isinstance(plain, str):
        return repr(plain if len(plain) <= 40 else plain[:37] + "…")
    if isinstance(plain, (bool, int, float, type(None))):
        return repr(plain)
    return f"a {type(plain).__name__}"
