"""Questions about pictures, in the form each family was trained on."""

from __future__ import annotations

from flowmm.catalog import Context, node
from flowmm.models.residency import using
from flowmm.sockets import E, Fact, Hidden, Known, Prompt, Text, Tokenizer, V

from .._families import family_of


@node(version=1, title={"en": "Ask about a picture", "zh": "就图提问"}, tags=("vlm",), lane="device")
def prompt(tokenizer: Tokenizer[V], features: Hidden[E], text: Text, history: Text | None = None, *, context: Context) -> Prompt[V, E]:
    """Put a text, and the picture it is about, into the form the model was trained on.

    features: [B, N, D] of B pictures; text: B questions, or one for all; the empty text asks for a caption, where the model
    writes some. history: what was said before, a question and an answer in turn, for models that chat. Returns B prompts,
    ids and mask int64 [B, L], padded on the left. Numbers that do not match are an error.

    Reference: the processors of transformers (BlipProcessor, Blip2Processor, JanusProcessor); UniToken's inference code.
    """
    if history is not None and len(history) % 2:
        raise ValueError(f"`history` is a question and an answer in turn; {len(history)} lines leave one without its other")
    lines, seen = _paired(text, features)
    with using(context, tokenizer) as words:
        return family_of(tokenizer).prompt(words, tokenizer, lines, seen, history)


@node(version=1, title={"en": "Begin a caption", "zh": "开始描述图片"}, tags=("vlm",), lane="device")
def caption_prompt(tokenizer: Tokenizer[V], features: Hidden[E], beginning: Text | None = None, *, context: Context) -> Prompt[V, E]:
    """Ask for a caption, maybe one that begins as given ("a picture of").

    features: [B, N, D] of B pictures; beginning: B beginnings, or one for all, empty ones too. Returns B prompts, ids and
    mask int64 [B, L], padded on the left. Numbers that do not match are an error; a model that only answers questions says so.

    Reference: the conditional and unconditional captions of BlipForConditionalGeneration and Blip2ForConditionalGeneration.
    """
    lines, seen = _paired(beginning or Text(("",)), features)
    with using(context, tokenizer) as words:
        return family_of(tokenizer).caption_prompt(words, tokenizer, lines, seen)


def _paired(text: Text, features: Hidden) -> tuple[Text, Hidden]:
    """As many texts as pictures. Raises ValueError."""
    pictures, texts = len(features.values), len(text)
    count = max(pictures, texts)
    if {pictures, texts} - {1, count}:
        raise ValueError(f"there are {pictures} pictures, but {texts} texts; one of either, or as many, fit")
    parts = (None if part is None else part.expand(count, *part.shape[1:]) for part in (features.values, features.mask, features.codes))
    return text if texts == count else Text(text.lines * count), Hidden(*parts)


@caption_prompt.describe
def _(known: Known) -> Fact:
    batch = known.batch("features"), known.batch("beginning") if "beginning" in known.facts else 1
    return Fact((None if None in batch else max(batch), None), "int64")


@prompt.describe
def _(known: Known) -> Fact:
    batch = [size for size in (known.batch("features"), known.batch("text")) if size is not None]
    return Fact((max(batch) if len(batch) == 2 else None, None), "int64")
