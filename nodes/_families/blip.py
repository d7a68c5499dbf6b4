"""BLIP: a vision transformer and a text transformer that attends to it, as writer of captions, answerer of questions, and judge of pairs."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from typing import Any

from flowmm.models import spaces
from flowmm.models.families import make
from flowmm.models.source import Source
from flowmm.sockets import Fact, Handle, ImageEncoder, ImageProcessor, LanguageModel, Prompt, Scorer, Space, Text, Tokenizer

from .base import Family, Reader, Writer, filled

TOKENS = 20  # what `generate` writes at most unless told otherwise


class BlipWriter(Writer):
    """The text decoder, attending to the picture."""

    def __init__(self, module: Any, handle: LanguageModel):
        super().__init__(module, handle)
        text = module.config.text_config
        self.stops, self.context = (text.sep_token_id,), text.max_position_embeddings

    def begin(self, prompts: list[Prompt]) -> Any:
        (prompt,) = prompts
        return self._read(prompt.ids.to(self.module.device), prompt.mask.to(self.module.device), self._seen(prompt), None)

    def step(self, ids: Any) -> Any:
        return self.reader(input_ids=ids[:, None])

    def _seen(self, prompt: Prompt) -> Any:
        return prompt.features.to(self.module.device, self.module.dtype)

    def _read(self, ids: Any, mask: Any, states: Any, states_mask: Any) -> Any:
        from transformers import DynamicCache, EncoderDecoderCache

        states_mask = ones(states) if states_mask is None else states_mask
        self.reader = Reader(
            self.module.text_decoder, mask, EncoderDecoderCache(DynamicCache(), DynamicCache()),
            encoder_hidden_states=states, encoder_attention_mask=states_mask, is_decoder=True,
        )  # fmt: skip
        return self.reader(input_ids=ids)


class BlipAnswerer(BlipWriter):
    """The decoder, attending to the question, which the text encoder has read while attending to the picture."""

    def most(self, prompt: Prompt, wanted: int) -> int:
        return min(wanted, self.context - 1)  # the question is no part of what the decoder continues

    def begin(self, prompts: list[Prompt]) -> Any:
        import torch

        (prompt,) = prompts
        ids, mask, features = prompt.ids.to(self.module.device), prompt.mask.to(self.module.device), self._seen(prompt)
        question = self.module.text_encoder(
            input_ids=ids, attention_mask=mask, position_ids=(mask.cumsum(-1) - 1).clamp(min=0),
            encoder_hidden_states=features, encoder_attention_mask=ones(features),
        ).last_hidden_state  # fmt: skip
        first = torch.full_like(ids[:, :1], self.module.decoder_start_token_id)
        # BlipForQuestionAnswering.generate attends to the padding of shorter questions too; here an answer does not hang on its company.
        self.heeding = heeding if (mask == 0).any() else nullcontext
        with self.heeding(self.module.text_decoder):
            return self._read(first, torch.ones_like(first), question, mask)

    def step(self, ids: Any) -> Any:
        with self.heeding(self.module.text_decoder):
            return super().step(ids)


class _Blip(Family):
    """What the three kinds share."""

    def spaces(self, source: Source) -> dict[str, Space]:
        model = source.component("")
        return {
            "V": spaces.vocabulary(spaces.number(model, "vocab_size", 30524, "text_config"), source.component("tokenizer")),
            "E": spaces.encoder(model, "blip", spaces.number(model, "hidden_size", 768, "vision_config")),
            "K": spaces.no_codes(),
        }

    def facts(self, source: Source) -> dict[str, Fact]:
        model = source.component("")
        side, patch = (spaces.number(model, name, default, "vision_config") for name, default in (("image_size", 384), ("patch_size", 16)))
        weights = Fact(weights=model.weights.loaded_bytes)
        return {
            "tokenizer": Fact((None, spaces.context_length(model, source.component("tokenizer"), "text_config", 512))),
            "processor": Fact((None, 3, *processed(source, side))),
            "encoder": Fact((None, (side // patch) ** 2 + 1, spaces.number(model, "hidden_size", 768, "vision_config"))),
            "model": weights, "scorer": weights,
        }  # fmt: skip

    def encode(self, module: Any, pixels: Any) -> Any:
        return module.vision_model(pixel_values=pixels).last_hidden_state

    def _parts(self, source: Source) -> dict[str, Handle]:
        model, tokenizer = source.component(""), source.component("tokenizer")
        words = {
            "length": spaces.context_length(model, tokenizer, "text_config", 512),
            "begin": spaces.number(model, "bos_token_id", 30522, "text_config"),
        }  # fmt: skip
        return {
            "tokenizer": make(Tokenizer, tokenizer, self.name, words),
            "processor": make(ImageProcessor, source.component("image_processor"), "blip"),
            "encoder": make(ImageEncoder, model, self.name),
        }


class _Writing(_Blip):
    writes: type[Writer]

    def understanding(self, source: Source) -> dict[str, Handle]:
        return self._parts(source) | {"model": make(LanguageModel, source.component(""), self.name, {"tokens": TOKENS} | source.settings)}

    def writer(self, module: Any, handle: LanguageModel) -> Writer:
        return self.writes(module, handle)


class BlipCaptioner(_Writing):
    name = "blip"
    classes = ("BlipForConditionalGeneration",)
    what = "a BlipForConditionalGeneration, which writes captions"
    writes = BlipWriter

    def ask(self, words: Any, tokenizer: Tokenizer, texts: Text, features: Any, history: Text | None) -> tuple[Any, Any]:
        raise ValueError(
            f"`{tokenizer.source}` is {self.what}, but answers no questions: take a BlipForQuestionAnswering for them, "
            "or give a caption its beginning with `vlm.caption_prompt`"
        )

    def caption(self, words: Any, tokenizer: Tokenizer, beginnings: Text, features: Any) -> tuple[Any, Any, tuple[int, ...]]:
        """As BlipForConditionalGeneration.generate changes what its processor gives: [CLS] is replaced, [SEP] taken away."""
        coded = words(list(beginnings), add_special_tokens=False).input_ids
        ids, mask = filled([[tokenizer.setting("begin"), *row] for row in coded], words.pad_token_id or 0)
        return ids, mask, tuple(map(len, coded))


class BlipAnswers(_Writing):
    name = "blip_vqa"
    classes = ("BlipForQuestionAnswering",)
    what = "a BlipForQuestionAnswering, which answers questions"
    writes = BlipAnswerer

    def ask(self, words: Any, tokenizer: Tokenizer, texts: Text, features: Any, history: Text | None) -> tuple[Any, Any]:
        if history is not None:
            raise ValueError(f"`{tokenizer.source}` is {self.what} one at a time and does not chat; leave `history` out")
        if not all(map(str.strip, texts)):
            raise ValueError(f"`{tokenizer.source}` is {self.what}; a question is empty: ask something, or take a BlipForConditionalGeneration for captions")
        return filled(read_within(words, tokenizer, texts), words.pad_token_id or 0)

    def caption(self, words: Any, tokenizer: Tokenizer, beginnings: Text, features: Any) -> tuple[Any, Any, tuple[int, ...]]:
        raise ValueError(f"`{tokenizer.source}` is {self.what}, but writes no captions: ask it something, or take a BlipForConditionalGeneration")


class BlipMatch(_Blip):
    name = "blip_match"
    classes = ("BlipForImageTextRetrieval",)
    what = "a BlipForImageTextRetrieval, which scores how well texts fit pictures"

    def matching(self, source: Source) -> dict[str, Handle]:
        return self._parts(source) | {"scorer": make(Scorer, source.component(""), self.name)}

    def match(self, module: Any, ids: Any, mask: Any, features: Any) -> Any:
        read = module.text_encoder(input_ids=ids, attention_mask=mask, encoder_hidden_states=features, encoder_attention_mask=ones(features))
        return module.itm_head(read.last_hidden_state[:, 0])

    def text_vectors(self, module: Any, ids: Any, mask: Any) -> Any:
        return normal(module.text_proj(module.text_encoder(input_ids=ids, attention_mask=mask).last_hidden_state[:, 0]))

    def picture_vectors(self, module: Any, features: Any) -> Any:
        return normal(module.vision_proj(features[:, 0]))[:, None]


@contextmanager
def heeding(decoder: Any) -> Iterator[None]:
    """Cross-attention heeds its mask. transformers 5.24's BlipTextAttention hands it on as that of self-attention, which is not looked at."""

    def hand_on(module: Any, args: tuple, given: dict[str, Any]) -> tuple[tuple, dict[str, Any]]:
        return args, given | {"encoder_attention_mask": given.get("attention_mask")}

    hooks = [layer.crossattention.self.register_forward_pre_hook(hand_on, with_kwargs=True) for layer in decoder.bert.encoder.layer]
    try:
        yield
    finally:
        for hook in hooks:
            hook.remove()


def read_within(words: Any, tokenizer: Tokenizer, texts: Text) -> list[list[int]]:
    """The ids of texts that fit the model's context. Raises ValueError for a longer one."""
    rows, length = words(list(texts)).input_ids, tokenizer.setting("length")
    longest = max(map(len, rows))
    if longest > length:
        raise ValueError(f"a text has {longest:,} tokens where the model's context holds {length:,}; shorten it")
    return rows


def processed(source: Source, side: int) -> tuple[int | None, int | None]:
    """Height and width of what the image processor makes. Raises SourceError."""
    size = source.component("image_processor").config.get("size", {"height": side, "width": side})
    return (size.get("height"), size.get("width")) if isinstance(size, dict) else (None, None)


def ones(states: Any) -> Any:
    """A mask [B, L] over all of [B, L, D]."""
    return states.new_ones(states.shape[:2], dtype=int)


def normal(vectors: Any) -> Any:
    """At length 1."""
    import torch

    return torch.nn.functional.normalize(vectors, dim=-1)


FAMILIES = (BlipCaptioner(), BlipAnswers(), BlipMatch())
