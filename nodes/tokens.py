"""Texts to ids and back."""

from __future__ import annotations

from typing import Annotated, Literal

from flowmm.catalog import Context, node
from flowmm.models.residency import using
from flowmm.sockets import Fact, Help, Known, Text, Tokenizer, Tokens, V


@node(version=1, title={"en": "Tokenize", "zh": "分词"}, tags=("text",))
def encode(
    tokenizer: Tokenizer[V],
    text: Text,
    *,
    padding: Annotated[Literal["longest", "max_length"], Help("How far shorter texts are filled up")] = "longest",
    context: Context,
) -> Tokens[V]:
    """Turn texts into ids; what is longer than the model's context is cut.

    text: B strings, empty ones too. Returns int64 [B, L], L ≤ the context length (77 in the published CLIP models).

    Reference: a transformers tokenizer called with padding=True, truncation=True.
    """
    with using(context, tokenizer) as made:
        length = tokenizer.setting("length", made.model_max_length)
        coded = made(list(text), padding=padding, truncation=True, max_length=length, return_tensors="pt")
    return Tokens(coded.input_ids, coded.attention_mask)


@encode.describe
def _(known: Known) -> Fact:
    length = known.shape("tokenizer", 2)[1] if known.values.get("padding") == "max_length" else None
    return Fact((known.batch("text"), length), "int64")


@node(version=1, title={"en": "Tokens to text", "zh": "还原文本"}, tags=("text",))
def decode(tokenizer: Tokenizer[V], tokens: Tokens[V], *, context: Context) -> Text:
    """Turn ids back into texts, without special tokens and the spaces around.

    tokens: int64 [B, L]; returns B strings.

    Reference: transformers PreTrainedTokenizer.batch_decode with skip_special_tokens=True.
    """
    with using(context, tokenizer) as made:
        kept = [ids[mask.bool()] for ids, mask in zip(tokens.ids, tokens.mask)]
        return Text(tuple(line.strip() for line in made.batch_decode(kept, skip_special_tokens=True)))


@decode.describe
def _(known: Known) -> Fact:
    return Fact((known.batch("tokens"),))
