"""What a family of vision-language models says of itself. One subclass of Family and one or two of Writer are all a new one costs."""

from __future__ import annotations

from typing import Any, ClassVar

from flowmm.models.source import Source
from flowmm.sockets import Codebook, Fact, Handle, LanguageModel, Prompt, Space, Text, Tokenizer


class Writer:
    """A language model that continues sequences, one id a row at a time.

    module: the network. copies: 2 with guidance, when every row is computed twice, conditional rows first. stops: ids
    that end a row. size: how many logits there are.
    """

    stops: tuple[int, ...] = ()
    size: int = 0

    def __init__(self, module: Any, handle: LanguageModel):
        self.module, self.handle = module, handle

    def begin(self, prompts: list[Prompt]) -> Any:
        """Read the prompts, the positive and maybe the negative one; the logits of what comes next, [copies·B, N]."""
        raise NotImplementedError

    def step(self, ids: Any) -> Any:
        """The logits after one more id a row; ids: int64 [copies·B]."""
        raise NotImplementedError


class Painter(Writer):
    """A language model that writes pictures, code by code."""

    def grid(self, height: int | None, width: int | None) -> tuple[int, int]:
        """Rows and columns of codes for a picture of these pixels, None as the model was trained. Raises ValueError."""
        raise NotImplementedError

    def forced(self, position: int) -> int | None:
        """The id that must come at this position, such as the end of a row; None where the model is free."""
        return None

    def length(self, rows: int, columns: int) -> int:
        """How many ids a picture takes."""
        return rows * columns

    def codes(self, ids: Any, rows: int, columns: int) -> Any:
        """int64 [B, rows, columns] from what was written so far, [B, ≤ length]; what is missing is code 0."""
        import torch

        ids = torch.nn.functional.pad(ids, (0, rows * columns - ids.shape[1]))
        return ids.reshape(len(ids), rows, columns)


class Family:
    """name: of its handles. classes: of the sources it opens. what: in words, for errors."""

    name: ClassVar[str]
    classes: ClassVar[tuple[str, ...]]
    what: ClassVar[str]

    # ── before weights load ─────────────────────────────────────────────────────────────────────

    def understanding(self, source: Source) -> dict[str, Handle]:
        """tokenizer, processor, encoder, model. Raises SourceError where the source lacks one."""
        raise NotImplementedError

    def generating(self, source: Source) -> dict[str, Handle]:
        """tokenizer, model, codebook. Raises SourceError; a family that draws no pictures says so."""
        from flowmm.models.source import SourceError

        raise SourceError(f"`{source.name}` is {self.what}, which reads pictures but draws none; take a model that draws, such as Janus")

    def codebook(self, source: Source) -> Codebook:
        """The codebook alone, for pictures to codes and back."""
        return self.generating(source)["codebook"]

    def spaces(self, source: Source) -> dict[str, Space]:
        """V, E and K, from config files. Raises SourceError."""
        raise NotImplementedError

    def facts(self, source: Source) -> dict[str, Fact]:
        """By output of the loaders: a handle's shape is that of what it makes, with the bytes of its weights."""
        return {}

    # ── with weights ────────────────────────────────────────────────────────────────────────────

    def encode(self, module: Any, pixels: Any) -> Any:
        """[B, 3, H, W] to the features a language model reads, [B, N, D]."""
        raise NotImplementedError

    def ask(self, words: Any, tokenizer: Tokenizer, texts: Text, features: Any, history: Text | None) -> tuple[Any, Any]:
        """ids and mask [B, L] of a prompt about a picture, padded on the left. words: the tokenizer itself."""
        raise NotImplementedError

    def describe_picture(self, words: Any, tokenizer: Tokenizer, texts: Text, conditional: bool) -> tuple[Any, Any]:
        """ids and mask [B, L] of a prompt for a picture; conditional=False: what guidance leads away from."""
        raise NotImplementedError

    def writer(self, module: Any, handle: LanguageModel) -> Writer:
        raise NotImplementedError

    def painter(self, module: Any, handle: LanguageModel) -> Painter:
        raise NotImplementedError

    def to_codes(self, module: Any, codebook: Codebook, pixels: Any) -> Any:
        """Pixels float [B, 3, H, W] in 0…1 to codes int64 [B, h, w]."""
        raise NotImplementedError

    def to_pixels(self, module: Any, codebook: Codebook, codes: Any) -> Any:
        """Codes int64 [B, h, w] to pixels float [B, 3, H, W] in 0…1."""
        raise NotImplementedError
