"""Questions about pictures, in the form each family was trained on."""

from __future__ import annotations

from flowmm.catalog import Context, node
from flowmm.models.residency import using
from flowmm.sockets import E, Fact, Hidden, Known, Prompt, Text, Tokenizer, V

from .._families import family_of


@node(version=1, title={"en": "Ask about a picture", "zh": "就图提问"}, tags=("vlm",), lane="device")
def prompt(tokenizer: Tokenizer[V], features: Hidden[E], text: Text, history: Text | None = None, *, context: Context) -> Prompt[V, E]:
    """Put a text, and the picture it is about, into the form the model was trained on.

    features: [B, N, D] of B pictures; text: B questions or beginnings, or one for all; the empty text asks for a caption.
    history: what was said before, a question and an answer in turn, for models that chat. Returns B prompts, ids and mask
    int64 [B, L], padded on the left. Numbers that do not match are an error.

    Reference: the processors of transformers (BlipProcessor, Blip2Processor, JanusProcessor); UniToken's inference code.
    """
    pictures, texts = len(features.values), len(text)
    count = max(pictures, texts)
    if {pictures, texts} - {1, count}:
        raise ValueError(f"there are {pictures} pictures, but {texts} texts; one of either, or as many, fit")
    if history is not None and len(history) % 2:
        raise ValueError(f"`history` is a question and an answer in turn; {len(history)} lines leave one without its other")
    values = features.values if pictures == count else features.values.expand(count, -1, -1)
    lines = text if texts == count else Text(text.lines * count)
    with using(context, tokenizer) as words:
        ids, mask = family_of(tokenizer).ask(words, tokenizer, lines, values, history)
    return Prompt(ids, mask, values)


@prompt.describe
def _(known: Known) -> Fact:
    batch = [size for size in (known.batch("features"), known.batch("text")) if size is not None]
    return Fact((max(batch) if len(batch) == 2 else None, None), "int64")
