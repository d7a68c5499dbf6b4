"""Janus and Janus-Pro: one language model that reads pictures through SigLIP and draws them with the codes of a VQ model.

What transformers (5.23, 5.24) does otherwise than deepseek's own code, and where that is put right; tests/parity/test_upstream_faults.py
fails when it is mended there:
1. `generate` keeps the 50 likeliest codes unless told otherwise: GENERATING says none are cut off.
2. `generate` drops a caller's logits processors when it writes text: constraints are applied by autoregressive/loop.py.
3. `generation_config` may lack the id that begins a picture: it is the tokenizer's, by `special`.
4. The VQ model looks codes up without normalising: `nearest` does.
5. `postprocess` raises on what `decode_image_tokens` gives: `to_pixels` scales by itself.
"""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

from flowmm.models import spaces
from flowmm.models.families import make
from flowmm.models.source import Source, SourceError, read_json
from flowmm.sockets import Codebook, Fact, Handle, ImageEncoder, ImageProcessor, LanguageModel, Prompt, Space, Text, Tokenizer

from .base import Family, Painter, Reader, Writer, filled
from .blip import processed

BEGIN, PICTURE, END = "<begin_of_image>", "<image_placeholder>", "<end_of_image>"
PAD, STOP = "<｜▁pad▁｜>", "<｜end▁of▁sentence｜>"
CAPTION = "Describe this image."  # what an empty question asks
WRITING = {"tokens": 512}  # as in deepseek's own inference code, like the next line
GENERATING = {"guidance": 5.0, "image_temperature": 1.0, "image_top_k": 0}


class JanusWriter(Writer):
    """The language model, reading the picture in the place of its placeholders."""

    def __init__(self, module: Any, handle: LanguageModel):
        super().__init__(module, handle)
        text = module.config.text_config
        ends = module.generation_config.eos_token_id or text.eos_token_id
        self.stops = tuple(ends) if isinstance(ends, (list, tuple)) else () if ends is None else (ends,)
        self.context = text.max_position_embeddings

    def begin(self, prompts: list[Prompt]) -> Any:
        (prompt,) = prompts
        ids, mask, cache = together(self.module, prompts)
        embeds = self.module.get_input_embeddings()(ids)
        if prompt.features is not None:
            place = (ids == self.module.config.image_token_id)[..., None]
            embeds = embeds.masked_scatter(place, prompt.features.to(embeds.device, embeds.dtype))
        self.reader = Reader(self.module, mask, cache)
        return self.reader(inputs_embeds=embeds)

    def step(self, ids: Any) -> Any:
        return self.reader(input_ids=ids[:, None])


class JanusPainter(Painter):
    """The same language model with another head and other embeddings: those of codes."""

    def grid(self, height: int | None, width: int | None) -> tuple[int, int]:
        rows, factor = self.handle.setting("rows"), self.handle.setting("factor")
        if {height, width} - {None, rows * factor}:
            raise ValueError(f"this model draws pictures of {rows * factor}×{rows * factor} and no others; leave width and height out")
        return rows, rows

    def begin(self, prompts: list[Prompt]) -> Any:
        ids, mask, cache = together(self.module, prompts)
        self.reader = Reader(_Codes(self.module.model), mask, cache)
        return self.reader(inputs_embeds=self.module.get_input_embeddings()(ids))

    def step(self, ids: Any) -> Any:
        return self.reader(inputs_embeds=self.module.prepare_embeddings_for_image_generation(ids[:, None]))


class _Codes:
    """The language model as a Reader wants it, with logits of codes instead of words."""

    def __init__(self, model: Any):
        self.model, self.forward = model, model.language_model.forward

    def __call__(self, logits_to_keep: int, **inputs: Any) -> Any:
        hidden = self.model.language_model(**inputs).last_hidden_state[:, -logits_to_keep:]
        return SimpleNamespace(logits=self.model.generation_head(hidden))


def together(module: Any, prompts: list[Prompt]) -> tuple[Any, Any, Any]:
    """ids and mask [copies·B, L] of all prompts, the shorter ones filled up on the left, and an empty cache."""
    import torch
    from transformers import DynamicCache

    longest = max(prompt.ids.shape[1] for prompt in prompts)
    both = zip(*((torch.nn.functional.pad(one, (longest - one.shape[1], 0)) for one in (prompt.ids, prompt.mask)) for prompt in prompts))
    ids, mask = (torch.cat(parts).to(module.device) for parts in both)
    return ids, mask, DynamicCache(config=module.config.text_config)


class Janus(Family):
    name = "janus"
    classes = ("JanusForConditionalGeneration",)
    what = "a Janus model, which reads and draws pictures"

    # ── before weights load ─────────────────────────────────────────────────────────────────────

    def understanding(self, source: Source) -> dict[str, Handle]:
        model = source.component("")
        return {
            "tokenizer": self._tokenizer(source),
            "processor": make(ImageProcessor, source.component("image_processor"), self.name),
            "encoder": make(ImageEncoder, model, self.name),
            "model": self._model(source),
        }

    def generating(self, source: Source) -> dict[str, Handle]:
        return {"tokenizer": self._tokenizer(source), "model": self._model(source), "codebook": self.codebook(source)}

    def codebook(self, source: Source) -> Codebook:
        rows, factor = _grid(source)
        return make(Codebook, source.component(""), self.name, {"size": _codes(source), "factor": factor, "side": rows * factor})

    def spaces(self, source: Source) -> dict[str, Space]:
        model = source.component("")
        return {
            "V": spaces.vocabulary(spaces.number(model, "vocab_size", 32000, "text_config"), source.component("tokenizer")),
            "E": spaces.encoder(model, self.name, _width(source)),
            "K": spaces.codebook(model, _codes(source), spaces.number(model, "embed_dim", 8, "vq_config"), _grid(source)[1]),
        }

    def facts(self, source: Source) -> dict[str, Fact]:
        model, (rows, factor) = source.component(""), _grid(source)
        found = {
            "tokenizer": Fact((None, _context(source))),
            "encoder": Fact((None, rows * rows, _width(source))),
            "model": Fact((None, rows, rows), weights=model.weights.loaded_bytes),
        }
        if "image_processor" in source.components:
            found["processor"] = Fact((None, 3, *processed(source, rows * factor)))
        return found

    def _model(self, source: Source) -> LanguageModel:
        rows, factor = _grid(source)
        return make(LanguageModel, source.component(""), self.name, WRITING | GENERATING | source.settings | {"rows": rows, "factor": factor})

    def _tokenizer(self, source: Source) -> Tokenizer:
        """system: whether what is said begins with the system prompt. room: ids a prompt may have before a picture's codes."""
        context = _context(source)
        settings = {"length": context, "room": context - _grid(source)[0] ** 2, "system": _system(source)}
        return make(Tokenizer, source.component("tokenizer"), self.name, settings)

    # ── with weights ────────────────────────────────────────────────────────────────────────────

    def encode(self, module: Any, pixels: Any) -> Any:
        return module.model.get_image_features(pixels).pooler_output

    def ask(self, words: Any, tokenizer: Tokenizer, texts: Text, features: Any, history: Text | None) -> tuple[Any, Any]:
        """As JanusProcessor and its chat template put it; the picture belongs to what the user said first."""
        from transformers.models.janus.processing_janus import DEFAULT_SYSTEM_PROMPT

        user, assistant = roles(words)
        said = history.lines if history is not None else ()
        count = features.shape[1]

        def chat(question: str) -> str:
            asked = [*said[::2], question if question.strip() else CAPTION]
            asked[0] = f"{BEGIN}{PICTURE * count}{END}\n{asked[0].rstrip()}"
            answers = [f" {answer.strip()}{STOP}" for answer in said[1::2]] + [""]
            turns = "".join(f"{user}: {one.strip()}\n\n{assistant}:{answer}" for one, answer in zip(asked, answers))
            return (DEFAULT_SYSTEM_PROMPT if tokenizer.setting("system") else "") + turns

        rows, place = words([chat(text) for text in texts]).input_ids, special(words, tokenizer, PICTURE)
        if any(row.count(place) != count for row in rows):
            raise ValueError(f"a text holds {PICTURE}, which stands for the picture and is put there by itself; leave it out")
        return filled(rows, pad(words))

    def describe_picture(self, words: Any, tokenizer: Tokenizer, texts: Text, conditional: bool) -> tuple[Any, Any]:
        """As JanusProcessor puts it with generation_mode="image"; for guidance all but the ids that begin text and picture is padding."""
        import torch

        user, assistant = roles(words)
        rows = words([f"{user}: {text.strip()}\n\n{assistant}:{BEGIN}" for text in texts]).input_ids
        longest, room = max(map(len, rows)), tokenizer.setting("room")
        if longest > room:
            raise ValueError(f"a prompt has {longest:,} tokens where the model has room for {room:,} before a picture; shorten it")
        ids, mask = filled(rows, pad(words))
        if not conditional:
            kept = torch.tensor([words.bos_token_id, special(words, tokenizer, BEGIN)])
            ids = ids.masked_fill(~torch.isin(ids, kept), pad(words))
        return ids, mask

    def writer(self, module: Any, handle: LanguageModel) -> Writer:
        return JanusWriter(module, handle)

    def painter(self, module: Any, handle: LanguageModel) -> Painter:
        return JanusPainter(module, handle)

    def to_codes(self, module: Any, codebook: Codebook, pixels: Any) -> Any:
        vq = module.model.vqmodel
        return nearest(vq.quant_conv(vq.encoder(2 * pixels - 1)), vq.quantize.embedding.weight)

    def to_pixels(self, module: Any, codebook: Codebook, codes: Any) -> Any:
        """For a grid of any size, which JanusVQVAE.decode does not take."""
        import torch

        vq = module.model.vqmodel
        entries = torch.nn.functional.normalize(vq.quantize.embedding(codes), dim=-1).permute(0, 3, 1, 2).contiguous()
        return (vq.decoder(vq.post_quant_conv(entries)).float() / 2 + 0.5).clamp(0, 1)


def nearest(latents: Any, entries: Any) -> Any:
    """Codes [B, h, w] of latents [B, D, h, w]: the entry [N, D] at the smallest angle, in float32, since many lie close together."""
    import torch

    directions, known = (torch.nn.functional.normalize(one.float(), dim=dim) for one, dim in ((latents, 1), (entries, 1)))
    return torch.einsum("bdhw,nd->bhwn", directions, known).argmax(dim=-1)


def special(words: Any, tokenizer: Tokenizer, token: str) -> int:
    """The id of a token Janus cannot do without. Raises ValueError."""
    found = words.convert_tokens_to_ids(token)
    if found is None or found == words.unk_token_id:
        raise ValueError(f"the tokenizer of `{tokenizer.source}` has no {token}: it is not the tokenizer of a Janus model")
    return found


def pad(words: Any) -> int:
    """The id Janus was trained to read as nothing, whatever the tokenizer fills batches up with."""
    found = words.convert_tokens_to_ids(PAD)
    return next(i for i in (found if found != words.unk_token_id else None, words.pad_token_id, words.eos_token_id, 0) if i is not None)


def roles(words: Any) -> tuple[str, str]:
    """Who speaks: tokens of their own in Janus-Pro, words in the first Janus."""
    known = words.convert_tokens_to_ids("<|User|>") not in (None, words.unk_token_id)
    return ("<|User|>", "<|Assistant|>") if known else ("User", "Assistant")


def _codes(source: Source) -> int:
    return spaces.number(source.component(""), "num_embeddings", 16384, "vq_config")


def _context(source: Source) -> int:
    return spaces.number(source.component(""), "max_position_embeddings", 2048, "text_config")


def _width(source: Source) -> int:
    return spaces.number(source.component(""), "hidden_size", 4096, "text_config")


def _grid(source: Source) -> tuple[int, int]:
    """Rows of codes in a picture, as many as columns, and pixels along a code's side. Raises SourceError."""
    model = source.component("")
    side, patch = (spaces.number(model, name, default, "vision_config") for name, default in (("image_size", 384), ("patch_size", 16)))
    levels = (model.config.get("vq_config") or {}).get("channel_multiplier") or (1, 1, 2, 2, 4)
    if not patch or not isinstance(levels, (list, tuple)):
        raise SourceError(f"{model}: its config has no sensible `vision_config.patch_size` or `vq_config.channel_multiplier`")
    return side // patch, 2 ** (len(levels) - 1)


def _system(source: Source) -> bool:
    """Whether conversations begin with the system prompt: deepseek's own processor always says it, transformers' as its config has it."""
    part = source.components.get("image_processor")
    path = part.folder / "processor_config.json" if part is not None else None
    if part is not None and part.layout == "janus":
        return True
    return bool(path is not None and path.is_file() and read_json(path, source.name).get("use_default_system_prompt"))


FAMILIES = (Janus(),)
