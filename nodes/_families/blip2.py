"""BLIP-2: a Q-Former asks a frozen vision transformer, and a frozen language model (OPT or T5) reads its answers as if they were words."""

from __future__ import annotations

from typing import Any

from flowmm.models import spaces
from flowmm.models.families import make
from flowmm.models.source import Component, Source
from flowmm.sockets import Fact, Handle, ImageEncoder, ImageProcessor, LanguageModel, Prompt, Scorer, Space, Text, Tokenizer

from .base import Family, Reader, Writer, filled, remembered
from .blip import TOKENS, normal, ones, processed, read_within

QUESTION = "Question: {} Answer:"  # Li et al., 2023, section 4.1
SAID = "Question: {} Answer: {}."


class _Blip2Writer(Writer):
    def __init__(self, module: Any, handle: LanguageModel):
        super().__init__(module, handle)
        ends = module.config.text_config.eos_token_id
        self.stops = tuple(ends) if isinstance(ends, (list, tuple)) else (ends,)

    def _embedded(self, prompt: Prompt) -> tuple[Any, Any, Any]:
        """ids, mask, and the embeddings with the picture in its place."""
        ids, mask = prompt.ids.to(self.module.device), prompt.mask.to(self.module.device)
        embeds = self.module.get_input_embeddings()(ids)
        place = (ids == self.module.config.image_token_index)[..., None]
        return ids, mask, embeds.masked_scatter(place, prompt.features.to(embeds.device, embeds.dtype))


class OptWriter(_Blip2Writer):
    """A decoder, which continues the prompt."""

    def __init__(self, module: Any, handle: LanguageModel):
        super().__init__(module, handle)
        self.context = module.config.text_config.max_position_embeddings

    def begin(self, prompts: list[Prompt]) -> Any:
        from transformers import DynamicCache

        (prompt,) = prompts
        _, mask, embeds = self._embedded(prompt)
        self.reader = Reader(self.module.language_model, mask, DynamicCache())
        return self.reader(inputs_embeds=embeds)

    def step(self, ids: Any) -> Any:
        return self.reader(input_ids=ids[:, None])


class T5Writer(_Blip2Writer):
    """An encoder, which reads the prompt, and a decoder, which begins anew."""

    def begin(self, prompts: list[Prompt]) -> Any:
        from transformers import DynamicCache, EncoderDecoderCache

        (prompt,) = prompts
        ids, self.mask, embeds = self._embedded(prompt)
        model = self.module.language_model
        self.read = model.get_encoder()(inputs_embeds=embeds, attention_mask=self.mask)
        self.cache = EncoderDecoderCache(DynamicCache(), DynamicCache())
        return self.step(ids.new_full((len(ids),), model.config.decoder_start_token_id))

    def step(self, ids: Any) -> Any:
        model = self.module.language_model
        more = remembered(model, self.cache)
        return model(encoder_outputs=self.read, attention_mask=self.mask, decoder_input_ids=ids[:, None], use_cache=True, **more).logits[:, -1]


class Blip2(Family):
    name = "blip2"
    classes = ("Blip2ForConditionalGeneration",)
    what = "a Blip2ForConditionalGeneration, which writes captions and answers questions"

    def understanding(self, source: Source) -> dict[str, Handle]:
        model, tokenizer = source.component(""), source.component("tokenizer")
        words = {"length": _context(model), "image": spaces.number(model, "image_token_index"), "continues": not _is_t5(model)}
        return {
            "tokenizer": make(Tokenizer, tokenizer, self.name, words),
            "processor": make(ImageProcessor, source.component("image_processor"), "blip"),
            "encoder": make(ImageEncoder, model, self.name),
            "model": make(LanguageModel, model, self.name, {"tokens": TOKENS} | source.settings),
        }

    def spaces(self, source: Source) -> dict[str, Space]:
        model = source.component("")
        return {
            "V": spaces.vocabulary(spaces.number(model, "vocab_size", 32128 if _is_t5(model) else 50272, "text_config"), source.component("tokenizer")),
            "E": spaces.encoder(model, "blip2", _width(model)),
            "K": spaces.no_codes(),
        }

    def facts(self, source: Source) -> dict[str, Fact]:
        model = source.component("")
        return {
            "tokenizer": Fact((None, _context(model))),
            "processor": Fact((None, 3, *processed(source, 224))),
            "encoder": Fact((None, spaces.number(model, "num_query_tokens", 32), _width(model))),
            "model": Fact(weights=model.weights.loaded_bytes),
        }

    def encode(self, module: Any, pixels: Any) -> Any:
        return module.get_image_features(pixels).pooler_output

    def ask(self, words: Any, tokenizer: Tokenizer, texts: Text, features: Any, history: Text | None) -> tuple[Any, Any]:
        """As the paper has it; the empty question asks for a caption."""
        lines = history.lines if history is not None else ()
        said = "".join(SAID.format(*turn) + " " for turn in zip(lines[::2], lines[1::2]))
        asked = Text(tuple(said + QUESTION.format(text) if text.strip() or said else "" for text in texts))
        return self._after_the_picture(words, tokenizer, asked, features)

    def caption(self, words: Any, tokenizer: Tokenizer, beginnings: Text, features: Any) -> tuple[Any, Any, tuple[int, ...]]:
        ids, mask = self._after_the_picture(words, tokenizer, beginnings, features)
        if not tokenizer.setting("continues"):  # T5 reads the beginning, and writes what follows alone
            return ids, mask, ()
        return ids, mask, tuple(map(len, words(list(beginnings), add_special_tokens=False).input_ids))

    def writer(self, module: Any, handle: LanguageModel) -> Writer:
        return (OptWriter if module.config.use_decoder_only_language_model else T5Writer)(module, handle)

    def _after_the_picture(self, words: Any, tokenizer: Tokenizer, texts: Text, features: Any) -> tuple[Any, Any]:
        image = tokenizer.setting("image")
        rows = read_within(words, tokenizer, texts)
        if any(image in row for row in rows):
            raise ValueError(f"a text holds {words.convert_ids_to_tokens(image)!r}, which stands for the picture itself; leave it out")
        return filled([[image] * features.shape[1] + row for row in rows], words.pad_token_id or 0)


class Blip2Match(Family):
    name = "blip2_match"
    classes = ("Blip2ForImageTextRetrieval",)
    what = "a Blip2ForImageTextRetrieval, which scores how well texts fit pictures"

    def matching(self, source: Source) -> dict[str, Handle]:
        model = source.component("")
        return {
            "tokenizer": make(Tokenizer, source.component("tokenizer"), self.name, {"length": self._length(source)}),
            "processor": make(ImageProcessor, source.component("image_processor"), "blip"),
            "encoder": make(ImageEncoder, model, self.name),
            "scorer": make(Scorer, model, self.name),
        }

    def spaces(self, source: Source) -> dict[str, Space]:
        model = source.component("")
        return {
            "V": spaces.vocabulary(spaces.number(model, "vocab_size", 30522, "qformer_config"), source.component("tokenizer")),
            "E": spaces.encoder(model, "blip2 vision", spaces.number(model, "hidden_size", 1408, "vision_config")),
            "K": spaces.no_codes(),
        }

    def facts(self, source: Source) -> dict[str, Fact]:
        model = source.component("")
        side, patch = (spaces.number(model, name, default, "vision_config") for name, default in (("image_size", 224), ("patch_size", 14)))
        return {
            "tokenizer": Fact((None, self._length(source))),
            "processor": Fact((None, 3, *processed(source, side))),
            "encoder": Fact((None, (side // patch) ** 2 + 1, spaces.number(model, "hidden_size", 1408, "vision_config"))),
            "scorer": Fact(weights=model.weights.loaded_bytes),
        }

    def encode(self, module: Any, pixels: Any) -> Any:
        """What the Q-Former reads: with a text it looks at the picture anew."""
        return module.vision_model(pixel_values=pixels).last_hidden_state

    def match(self, module: Any, ids: Any, mask: Any, features: Any) -> Any:
        import torch

        queries = module.query_tokens.expand(len(features), -1, -1)
        count = queries.shape[1]
        read = module.qformer(
            query_embeds=module.embeddings(input_ids=ids, query_embeds=queries), query_length=count,
            attention_mask=torch.cat([mask.new_ones(len(mask), count), mask], dim=1),
            encoder_hidden_states=features, encoder_attention_mask=ones(features),
        ).last_hidden_state  # fmt: skip
        return module.itm_head(read.to(module.itm_head.weight.dtype)[:, :count]).mean(dim=1)

    def text_vectors(self, module: Any, ids: Any, mask: Any) -> Any:
        read = module.qformer(query_embeds=module.embeddings(input_ids=ids), query_length=0, attention_mask=mask).last_hidden_state
        return normal(module.text_projection(read.to(module.text_projection.weight.dtype)[:, 0]))

    def picture_vectors(self, module: Any, features: Any) -> Any:
        queries = module.query_tokens.expand(len(features), -1, -1)
        read = module.qformer(query_embeds=queries, encoder_hidden_states=features, encoder_attention_mask=ones(features)).last_hidden_state
        return normal(module.vision_projection(read.to(module.vision_projection.weight.dtype)))

    def _length(self, source: Source) -> int:
        return spaces.context_length(source.component(""), source.component("tokenizer"), "qformer_config", 512)


def _is_t5(model: Component) -> bool:
    return "t5" in str(model.config.get("text_config", {}).get("model_type", "opt"))


def _context(model: Component) -> int:
    """Tokens the language model reads."""
    return spaces.number(model, "n_positions", 512, "text_config") if _is_t5(model) else spaces.number(model, "max_position_embeddings", 2048, "text_config")


def _width(model: Component) -> int:
    """Of the language model's embeddings."""
    return spaces.number(model, "d_model", 512, "text_config") if _is_t5(model) else spaces.number(model, "hidden_size", 768, "text_config")


FAMILIES = (Blip2(), Blip2Match())
