"""DALL-E 1: a language model continues a text with the codes of a picture. Its codebooks, discrete VAEs and VQ models, also serve alone.

A DALL-E 1 folder is a pipeline of tokenizer, transformer (any causal language model) and codebook. A sequence is `text_length`
ids of text, filled up with the padding token, then `rows` · `columns` codes, row by row; code c is the id c + the number of text ids.
OpenAI's own transformer was never released.
"""

from __future__ import annotations

from typing import Any, ClassVar

from flowmm.models import spaces
from flowmm.models.families import make
from flowmm.models.source import Component, Source, SourceError
from flowmm.sockets import Codebook, Fact, Handle, LanguageModel, Prompt, Space, Text, Tokenizer

from .base import Family, Painter, Reader

NEVER = -1e9  # the logit of an id that is no code: probability 0 in every dtype, and guidance leaves it a number


class CodebookFamily(Family):
    """A model that turns pictures into codes and back, and does nothing else."""

    size: ClassVar[tuple[str, int]]  # where its config says how many codes there are, and what it is if it does not
    side: ClassVar[tuple[str, int]]  # likewise, pixels along the side of the pictures it was trained on

    def codebook(self, source: Source) -> Codebook:
        return self.of(source.component(""))

    def of(self, part: Component) -> Codebook:
        """The handle of a codebook, wherever it lies."""
        settings = {"size": spaces.number(part, *self.size), "factor": self.factor(part), "side": spaces.number(part, *self.side)}
        return make(Codebook, part, self.name, settings)

    def factor(self, part: Component) -> int:
        raise NotImplementedError

    def width(self, part: Component) -> int:
        """Numbers the decoder makes of a code."""
        raise NotImplementedError

    def space(self, part: Component) -> Space:
        return spaces.codebook(part, spaces.number(part, *self.size), self.width(part), self.factor(part))

    def spaces(self, source: Source) -> dict[str, Space]:
        return {"K": self.space(source.component(""))}

    def facts(self, source: Source) -> dict[str, Fact]:
        return {"codebook": Fact(weights=source.component("").weights.loaded_bytes)}


class DiscreteVAE(CodebookFamily):
    name = "dvae"
    classes = ("DVAE",)
    what = "a discrete VAE, a codebook alone"
    size = ("vocab_size", 8192)
    side = ("image_size", 256)

    def factor(self, part: Component) -> int:
        return 8

    def width(self, part: Component) -> int:
        return spaces.number(part, "initial_size", 128)

    def to_codes(self, module: Any, codebook: Codebook, pixels: Any) -> Any:
        return module.encode(pixels)

    def to_pixels(self, module: Any, codebook: Codebook, codes: Any) -> Any:
        return module.decode(codes)


class VQ(CodebookFamily):
    name = "vq"
    classes = ("VQModel",)
    what = "a VQ model, a codebook alone"
    size = ("num_vq_embeddings", 256)
    side = ("sample_size", 32)

    def factor(self, part: Component) -> int:
        return spaces.factor(part)

    def width(self, part: Component) -> int:
        own = part.config.get("vq_embed_dim") is not None
        return spaces.number(part, "vq_embed_dim" if own else "latent_channels", 3)

    def to_codes(self, module: Any, codebook: Codebook, pixels: Any) -> Any:
        latents = module.encode(pixels if _unsigned(module) else 2 * pixels - 1).latents
        ids = module.quantize(latents)[2][2]
        return ids.reshape(len(latents), *latents.shape[2:])

    def to_pixels(self, module: Any, codebook: Codebook, codes: Any) -> Any:
        shape = (*codes.shape, module.quantize.vq_embed_dim)
        quantised = module.quantize.get_codebook_entry(codes.reshape(-1), shape)
        spatial = quantised if module.config.norm_type == "spatial" else None
        made = module.decoder(module.post_quant_conv(quantised), spatial)
        return (made if _unsigned(module) else made / 2 + 0.5).clamp(0, 1)


def _unsigned(module: Any) -> bool:
    """Whether its pixels are 0…1 instead of -1…1, as aMUSEd's are, which alone looks codes up itself."""
    return module.config.lookup_from_codebook


class DallePainter(Painter):
    """Reads text and codes as one sequence of ids, and writes codes alone."""

    def __init__(self, module: Any, handle: LanguageModel):
        super().__init__(module, handle)
        self.first = handle.setting("first")  # the id of code 0

    def grid(self, height: int | None, width: int | None) -> tuple[int, int]:
        rows, columns, factor = (self.handle.setting(name) for name in ("rows", "columns", "factor"))
        if height not in (None, rows * factor) or width not in (None, columns * factor):
            raise ValueError(f"this model draws pictures of {columns * factor}×{rows * factor} and no others; leave width and height out")
        return rows, columns

    def begin(self, prompts: list[Prompt]) -> Any:
        import torch
        from transformers import DynamicCache

        ids, mask = (torch.cat(parts).to(self.module.device) for parts in zip(*((prompt.ids, prompt.mask) for prompt in prompts)))
        self.reader = Reader(self.module, mask, DynamicCache(config=self.module.config))
        return self._codes_alone(self.reader(input_ids=ids))

    def step(self, ids: Any) -> Any:
        return self._codes_alone(self.reader(input_ids=ids[:, None]))

    def codes(self, ids: Any, rows: int, columns: int) -> Any:
        return super().codes(ids - self.first, rows, columns)

    def _codes_alone(self, logits: Any) -> Any:
        """Over the whole vocabulary still, so that the same draw takes the same id as it does in `generate`."""
        logits[:, : self.first] = NEVER
        return logits


class Dalle(Family):
    name = "dalle"
    classes = ("DalleOnePipeline",)
    what = "a DALL-E 1 model, which draws pictures"

    def generating(self, source: Source) -> dict[str, Handle]:
        codebook, length, first = self.codebook(source), _stated(source, "text_length"), self._first(source)
        rows, columns = _stated(source, "rows"), _stated(source, "columns")
        model = source.component("transformer")
        positions = next((spaces.number(model, name) for name in ("max_position_embeddings", "n_positions") if name in model.config), None)
        if positions is not None and length + rows * columns > positions:
            raise SourceError(f"{model} has {positions} positions, but {length} of text and {rows} × {columns} codes are {length + rows * columns}")
        shape = {"first": first, "rows": rows, "columns": columns, "factor": codebook.setting("factor")}
        return {
            "tokenizer": make(Tokenizer, source.component("tokenizer"), self.name, {"length": length}),
            "model": make(LanguageModel, model, self.name, source.settings | shape),
            "codebook": codebook,
        }

    def codebook(self, source: Source) -> Codebook:
        part = source.component("codebook")
        return _kind(part).of(part)

    def spaces(self, source: Source) -> dict[str, Space]:
        part = source.component("codebook")
        words = spaces.vocabulary(self._first(source), source.component("tokenizer"))
        return {"V": words, "E": spaces.no_pictures(), "K": _kind(part).space(part)}

    def facts(self, source: Source) -> dict[str, Fact]:
        return {
            "tokenizer": Fact((None, _stated(source, "text_length"))),
            "model": Fact((None, _stated(source, "rows"), _stated(source, "columns")), weights=source.component("transformer").weights.loaded_bytes),
            "codebook": Fact(weights=source.component("codebook").weights.loaded_bytes),
        }

    def describe_picture(self, words: Any, tokenizer: Tokenizer, texts: Text, conditional: bool) -> tuple[Any, Any]:
        """The padding is part of the text: the model was trained to read it, as DALL-E was."""
        import torch

        if words.pad_token_id is None:
            raise ValueError(f"the tokenizer of `{tokenizer.source}` has no padding token, which fills the text up; name one in its tokenizer_config.json")
        lines = list(texts) if conditional else [""] * len(texts)
        length = tokenizer.setting("length")
        ids = words(lines, padding="max_length", truncation=True, max_length=length, padding_side="right", return_tensors="pt").input_ids
        return ids, torch.ones_like(ids)

    def painter(self, module: Any, handle: LanguageModel) -> Painter:
        return DallePainter(module, handle)

    def _first(self, source: Source) -> int:
        """How many ids are text; the codes come after them."""
        codes, ids = self.codebook(source).setting("size"), spaces.number(source.component("transformer"), "vocab_size")
        if ids <= codes:
            raise SourceError(f"the transformer of `{source.name}` knows {ids} ids, which is no room for text beside the {codes} codes of its codebook")
        return ids - codes


def _stated(source: Source, name: str) -> int:
    value = source.card.get(name)
    if type(value) is not int or value < 1:
        raise SourceError(f"`{source.name}`: its flowmm.json has no sensible `{name}`; for a DALL-E 1 model it states text_length, rows and columns")
    return value


def _kind(part: Component) -> CodebookFamily:
    """The family of a codebook inside a pipeline. Raises SourceError."""
    for family in (DVAE, VQ_MODEL):
        if part.cls in family.classes:
            return family
    raise SourceError(f"{part} is a {part.cls}; a DALL-E 1 model has a DVAE or a VQModel")


DVAE, VQ_MODEL = DiscreteVAE(), VQ()
FAMILIES = (Dalle(), DVAE, VQ_MODEL)
