"""What a family of vision-language models says of itself. One subclass of Family and one or two of Writer are all a new one costs."""

from __future__ import annotations

import inspect
from typing import Any, ClassVar

from flowmm.models.source import Source, SourceError
from flowmm.sockets import Codebook, Fact, Handle, Hidden, LanguageModel, Pixels, Prompt, Space, Text, Tokenizer


class Writer:
    """A language model that continues sequences, one id a row at a time.

    module: the network. copies: 2 with guidance, when every row is computed twice, conditional rows first. stops: ids
    that end a row. context: how many ids a prompt and what follows may have together; None: as many as memory holds.
    """

    stops: tuple[int, ...] = ()
    context: int | None = None

    def __init__(self, module: Any, handle: LanguageModel):
        self.module, self.handle = module, handle

    def begin(self, prompts: list[Prompt]) -> Any:
        """Read the prompts, the positive and maybe the negative one; the logits of what comes next, [copies·B, N]."""
        raise NotImplementedError

    def step(self, ids: Any) -> Any:
        """The logits after one more id a row; ids: int64 [copies·B]."""
        raise NotImplementedError

    def most(self, prompt: Prompt, wanted: int) -> int:
        """How many ids fit, at most `wanted`. Raises ValueError when none does."""
        length = prompt.ids.shape[1]
        if self.context is None:
            return wanted
        if length >= self.context:
            raise ValueError(f"the prompt has {length:,} tokens where the model's context holds {self.context:,}, so nothing can be written; shorten it")
        return min(wanted, self.context - length)


class Reader:
    """A causal network that remembers what it has read; called with more of it, it gives the logits of what comes next, [B, N].

    mask: [B, L] of what is read first, 0 where a row is filled up on the left. more: what the network is told every time.
    """

    def __init__(self, network: Any, mask: Any, cache: Any, **more: Any):
        self.network, self.more = network, more | remembered(network, cache)
        # As `generate` does: without a mask, where none is needed, attention takes its quick way.
        self.mask = mask if (mask == 0).any() else None
        self.positions = (mask.cumsum(-1) - 1).clamp(min=0)
        self.begun = False

    def __call__(self, **inputs: Any) -> Any:
        """inputs: input_ids [B, L], or inputs_embeds [B, L, D]."""
        import torch

        if self.begun:
            count = next(iter(inputs.values())).shape[1]
            self.positions = self.positions[:, -1:] + torch.arange(1, count + 1, device=self.positions.device)
            if self.mask is not None:
                self.mask = torch.cat([self.mask, self.mask.new_ones(len(self.mask), count)], dim=-1)
        self.begun = True
        return self.network(attention_mask=self.mask, position_ids=self.positions, use_cache=True, logits_to_keep=1, **inputs, **self.more).logits[:, -1]


def remembered(network: Any, cache: Any) -> dict[str, Any]:
    """A key-value cache under the name the network's forward has for it: transformers 5.24 calls it `cache`."""
    return {"cache" if "cache" in inspect.signature(network.forward).parameters else "past_key_values": cache}


def filled(rows: list[list[int]], pad: int) -> tuple[Any, Any]:
    """ids and mask int64 [B, L] of rows of ids, the shorter ones filled up on the left."""
    import torch

    length = max(map(len, rows))
    ids = torch.tensor([[pad] * (length - len(row)) + row for row in rows])
    mask = torch.tensor([[0] * (length - len(row)) + [1] * len(row) for row in rows])
    return ids, mask


class Painter(Writer):
    """A language model that writes pictures, code by code."""

    def grid(self, height: int | None, width: int | None) -> tuple[int, int]:
        """Rows and columns of codes for a picture of these pixels, None as the model was trained. Raises ValueError."""
        raise NotImplementedError

    def length(self, rows: int, columns: int) -> int:
        """How many ids a picture takes."""
        return rows * columns

    def codes(self, ids: Any, rows: int, columns: int) -> Any:
        """int64 [B, rows, columns] from what was written so far, [B, ≤ length]; what is missing is code 0."""
        import torch

        ids = torch.nn.functional.pad(ids, (0, rows * columns - ids.shape[1]))
        return ids.reshape(len(ids), rows, columns)


class Family:
    """name: of its handles. classes: of the sources it opens. what: in words, for errors ("a Janus model, which …")."""

    name: ClassVar[str]
    classes: ClassVar[tuple[str, ...]]
    what: ClassVar[str]

    # ── before weights load ─────────────────────────────────────────────────────────────────────

    def understanding(self, source: Source) -> dict[str, Handle]:
        """tokenizer, processor, encoder, model. Raises SourceError where the source lacks one, or the family writes no text."""
        raise SourceError(f"`{source.name}` is {self.what}; it writes no text about pictures: take a BLIP, BLIP-2, Janus or UniToken model that does")

    def generating(self, source: Source) -> dict[str, Handle]:
        """tokenizer, model, codebook. Raises SourceError; a family that draws no pictures says so."""
        raise SourceError(f"`{source.name}` is {self.what}; it draws no pictures: take a model that does, such as Janus")

    def matching(self, source: Source) -> dict[str, Handle]:
        """tokenizer, processor, encoder, scorer. Raises SourceError; a family that scores no texts says so."""
        raise SourceError(
            f"`{source.name}` is {self.what}; it has no heads that score texts against pictures: "
            "take a BlipForImageTextRetrieval or a Blip2ForImageTextRetrieval"
        )

    def codebook(self, source: Source) -> Codebook:
        """The codebook alone, for pictures to codes and back."""
        return self.generating(source)["codebook"]

    def spaces(self, source: Source) -> dict[str, Space]:
        """V, E and K, from config files; spaces.no_codes() where a model has none. Raises SourceError."""
        raise NotImplementedError

    def facts(self, source: Source) -> dict[str, Fact]:
        """By output of the loaders: a handle's shape is that of what it makes, with the bytes of its weights."""
        return {}

    # ── with weights ────────────────────────────────────────────────────────────────────────────
    # The nodes call see, prompt and caption_prompt, which a family overrides whose pictures are more than one tensor.

    def see(self, module: Any, pixels: Pixels) -> Hidden:
        """What an encoder makes of pictures."""
        return Hidden(self.encode(module, pixels.values.to(module.device, module.dtype)))

    def prompt(self, words: Any, tokenizer: Tokenizer, texts: Text, seen: Hidden, history: Text | None) -> Prompt:
        """A question about each picture. words: the tokenizer itself. Raises ValueError."""
        return Prompt(*self.ask(words, tokenizer, texts, seen.values, history), seen.values)

    def caption_prompt(self, words: Any, tokenizer: Tokenizer, beginnings: Text, seen: Hidden) -> Prompt:
        """What asks for a caption of each picture. Raises ValueError."""
        ids, mask, begun = self.caption(words, tokenizer, beginnings, seen.values)
        return Prompt(ids, mask, seen.values, begun=begun)

    def encode(self, module: Any, pixels: Any) -> Any:
        """[B, 3, H, W] to the features a language model reads, [B, N, D]."""
        raise NotImplementedError

    def ask(self, words: Any, tokenizer: Tokenizer, texts: Text, features: Any, history: Text | None) -> tuple[Any, Any]:
        """ids and mask [B, L] of a question about a picture, padded on the left. words: the tokenizer itself. Raises ValueError."""
        raise NotImplementedError

    def caption(self, words: Any, tokenizer: Tokenizer, beginnings: Text, features: Any) -> tuple[Any, Any, tuple[int, ...]]:
        """ids, mask, and how many of each row's last ids are the beginning of its text. Models that chat are asked."""
        return *self.ask(words, tokenizer, beginnings, features, None), ()

    def describe_picture(self, words: Any, tokenizer: Tokenizer, texts: Text, conditional: bool) -> tuple[Any, Any]:
        """ids and mask [B, L] of a prompt for a picture; conditional=False: what guidance leads away from."""
        raise NotImplementedError

    def match(self, module: Any, ids: Any, mask: Any, features: Any) -> Any:
        """Logits [B, 2] of "does not fit" and "fits", a text and a picture a row."""
        raise NotImplementedError

    def text_vectors(self, module: Any, ids: Any, mask: Any) -> Any:
        """[B, D] of length 1, to compare with those of pictures."""
        raise NotImplementedError

    def picture_vectors(self, module: Any, features: Any) -> Any:
        """[B, Q, D] of length 1; the one that fits a text best counts."""
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
