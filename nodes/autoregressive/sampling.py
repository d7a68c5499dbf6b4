"""The autoregressive sampler: text after a prompt, or pictures as codes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Any, Generic, NamedTuple

from flowmm.catalog import Context, node
from flowmm.models.residency import using
from flowmm.sockets import Between, Codebook, Codes, Constraint, E, Fact, Help, Image, K, Known, LanguageModel, Prompt, Seed, Text, Tokenizer, Tokens, V
from flowmm.sockets.facts import times

from .._families import family_of
from .loop import Choice, write

Temperature = Annotated[
    float | None, Between(0, 10), Help("0 takes the likeliest, 1 draws as the model says, more is bolder; left out: what the model recommends")
]
TopK = Annotated[int | None, Between(0), Help("Only the likeliest so many may be drawn; 0 all; left out: what the model recommends")]
TopP = Annotated[float | None, Between(0, 1), Help("Only the likeliest that together have this probability; left out: what the model recommends")]


class Written(NamedTuple, Generic[V]):
    """text: without special tokens, with the beginning that was given.

    tokens: what was written, int64 [B, L], the prompt not counted; the mask is 0 after a row's end.
    """

    text: Text
    tokens: Tokens[V]


@node(version=1, title={"en": "Write text", "zh": "生成文本"}, tags=("autoregressive", "text"))
def sample_text(
    model: LanguageModel[V, E, K],
    prompt: Prompt[V, E],
    tokenizer: Tokenizer[V],
    constraint: Constraint[V] | None = None,
    *,
    seed: Seed | None = None,
    most: Annotated[int | None, Between(1, 4096), Help("Tokens at most; left out: what the model recommends")] = None,
    least: Annotated[int, Between(0, 4096), Help("Tokens at least")] = 0,
    temperature: Temperature = None,
    top_k: TopK = None,
    top_p: TopP = None,
    repetition: Annotated[float, Between(0.01, 10), Help("Above 1 the model avoids tokens it has written already")] = 1.0,
    context: Context,
) -> Written[V]:
    """Continue each prompt, token by token, until the model ends it or `most` tokens are written.

    prompt: B prompts. Row i draws from seed + i (0 if it is left out), alone or in company; at temperature 0 it draws nothing. The text
    streams while it is written. A prompt that leaves no room in the model's context is an error.

    Reference: transformers GenerationMixin.generate, greedy or sampling, with a key-value cache.
    """
    setting = model.setting
    choice = Choice(
        temperature=setting("temperature", 0.0) if temperature is None else temperature,
        top_k=setting("top_k", 0) if top_k is None else top_k,
        top_p=setting("top_p", 1.0) if top_p is None else top_p, repetition=repetition,
    )  # fmt: skip
    with using(context, model) as module, using(context, tokenizer) as words:
        writer = family_of(model).writer(module, model)

        begun = [row[len(row) - count :] for row, count in zip(prompt.ids.tolist(), prompt.begun or [0] * len(prompt.ids))]

        def told(ids: Any) -> Text:
            rows = [start + row.tolist() for start, row in zip(begun, ids)]
            return Text(tuple(line.strip() for line in words.batch_decode(rows, skip_special_tokens=True)))

        ids = write(
            lambda: writer.begin([prompt]), writer.step, choice, context.generators(seed.value if seed else 0, len(prompt.ids)), context,
            most=writer.most(prompt, most or setting("tokens", 64)), least=least, stops=writer.stops, constraint=constraint,
            preview=lambda ids: lambda: told(ids),
        )  # fmt: skip
        mask = _until(ids, writer.stops)
        return Written(told([row[kept.bool()] for row, kept in zip(ids, mask)]), Tokens(ids, mask))


@sample_text.describe
def _(known: Known) -> dict[str, Fact]:
    batch = known.batch("prompt")
    return {"text": Fact((batch,)), "tokens": Fact((batch, None), "int64")}


@node(version=1, title={"en": "Draw codes", "zh": "生成图像编码"}, tags=("autoregressive", "image"))
def sample_codes(
    model: LanguageModel[V, E, K],
    positive: Prompt[V, E],
    negative: Prompt[V, E] | None = None,
    codebook: Codebook[K] | None = None,
    *,
    seed: Seed,
    guidance: Annotated[float | None, Between(0, 100), Help("How strongly the prompt rules; 1 or less: no guidance, half the work")] = None,
    temperature: Temperature = None,
    top_k: TopK = None,
    top_p: TopP = None,
    floor: Annotated[float | None, Between(0, 1), Help("Codes less likely than this share of the likeliest are out before guidance")] = None,
    width: Annotated[int | None, Between(8, 8192), Help("Pixels; left out: as the model was trained")] = None,
    height: Annotated[int | None, Between(8, 8192), Help("Pixels; left out: as the model was trained")] = None,
    count: Annotated[int, Between(1, 64), Help("Pictures a prompt")] = 1,
    context: Context,
) -> Codes[K]:
    """Draw pictures code by code, row by row, guided by a prompt.

    positive: B prompts; negative: what guidance leads away from, B or 1, usually the empty prompt; needed when guidance is
    above 1. codebook: shows the picture while it is drawn, if it is wired. Picture i draws from seed + i, alone or in company.
    Returns int64 [B·count, h, w], the pictures of one prompt next to each other.

    Reference: JanusForConditionalGeneration.generate(generation_mode="image"); DALL-E (Ramesh et al., 2021); guidance on
    logits as in Make-A-Scene (Gafni et al., 2022).
    """
    setting = model.setting
    guidance = setting("guidance", 1.0) if guidance is None else guidance
    if guidance > 1 and negative is None:
        raise ValueError(f"guidance {guidance:g} needs `negative`: wire the empty picture prompt to it, or set guidance to 1")
    choice = Choice(
        temperature=setting("image_temperature", 1.0) if temperature is None else temperature,
        top_k=setting("image_top_k", 0) if top_k is None else top_k, top_p=setting("image_top_p", 1.0) if top_p is None else top_p,
        guidance=max(guidance, 1.0), floor=setting("floor", 0.0) if floor is None else floor,
    )  # fmt: skip
    rows = len(positive.ids) * count
    prompts = [repeated(positive, rows)] + ([repeated(negative, rows)] if guidance > 1 else [])
    with using(context, model) as module:
        painter = family_of(model).painter(module, model)
        size = painter.grid(height, width)
        ids = write(
            lambda: painter.begin(prompts), painter.step, choice, context.generators(seed.value, rows), context,
            most=painter.length(*size),
            preview=None if codebook is None else lambda ids: _shown(codebook, painter.codes(ids, *size), context),
        )  # fmt: skip
        return Codes(painter.codes(ids, *size))


@sample_codes.describe
def _(known: Known) -> Fact:
    _, rows, columns = known.shape("model", 3)
    sized = any(name in known.facts or known.values.get(name) for name in ("width", "height"))
    count = None if "count" in known.facts else known.values.get("count")
    return Fact((times(known.batch("positive"), count), *((None, None) if sized else (rows, columns))), "int64")


def repeated(prompt: Prompt, rows: int) -> Prompt:
    """The prompt's items, each as often as makes `rows` of them. Raises ValueError when that does not come out even."""
    have = len(prompt.ids)
    if rows % have:
        raise ValueError(f"there are {rows} pictures to draw, but {have} prompts; one, or as many, fit")
    every = (None if one is None else one.repeat_interleave(rows // have, 0) for one in (prompt.ids, prompt.mask, prompt.features))
    return Prompt(*every)


def _until(ids: Any, stops: tuple[int, ...]) -> Any:
    """1 up to and with the first id that ends a row."""
    import torch

    ended = torch.isin(ids, torch.tensor(stops)) if stops else torch.zeros_like(ids, dtype=torch.bool)
    return (ended.cumsum(-1) - ended.long() == 0).long()


def _shown(codebook: Codebook, codes: Any, context: Context) -> Callable[[], Image]:
    def draw() -> Image:
        with using(context, codebook) as module:
            return Image(family_of(codebook).to_pixels(module, codebook, codes.to(module.device)).cpu().float())

    return draw
