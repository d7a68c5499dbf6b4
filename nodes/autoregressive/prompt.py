"""Prompts for pictures, and constraints on what may be written."""

from __future__ import annotations

from typing import Annotated

from flowmm.catalog import Context, node
from flowmm.models.residency import using
from flowmm.sockets import Constraint, E, Fact, Help, Known, Prompt, Text, Tokenizer, V

from .._families import family_of


@node(version=1, title={"en": "Picture prompt", "zh": "绘图提示"}, tags=("autoregressive",), lane="device")
def picture_prompt(
    tokenizer: Tokenizer[V],
    text: Text,
    *,
    conditional: Annotated[bool, Help("Off: what guidance leads away from, a prompt without its words")] = True,
    context: Context,
) -> Prompt[V, E]:
    """What a model that draws continues: the text in the form it was trained on, up to where the picture begins.

    text: B prompts, empty ones too. Returns ids and mask int64 [B, L], padded on the left. A text longer than the model's
    context is cut (DALL-E 1) or an error (models that chat).

    Reference: the conditional and unconditional prompts of Janus, UniToken and DALL-E 1.
    """
    with using(context, tokenizer) as words:
        return Prompt(*family_of(tokenizer).describe_picture(words, tokenizer, text, conditional))


@picture_prompt.describe
def _(known: Known) -> Fact:
    return Fact((known.batch("text"), None), "int64")


@node(version=1, title={"en": "Constrain text", "zh": "限定文本"}, tags=("autoregressive", "text"))
def constrain(
    tokenizer: Tokenizer[V],
    allowed: Text | None = None,
    banned: Text | None = None,
    begins: Annotated[str, Help("What every text begins with")] = "",
    *,
    context: Context,
) -> Constraint[V]:
    """Which tokens a text may be made of, and how it begins.

    allowed: strings whose tokens alone may be written, besides those that end a text; banned: strings whose tokens may never
    be. Returns a constraint for `sample_text`.

    Reference: transformers' SuppressTokensLogitsProcessor, prefix_allowed_tokens_fn and forced decoder ids.
    """
    with using(context, tokenizer) as words:
        first, allow, ban = (
            [words(line, add_special_tokens=False).input_ids for line in lines] for lines in ((begins,), allowed or (), banned or ())
        )
        return Constraint(tuple(first[0]), *(tuple(sorted({i for line in lines for i in line})) for lines in (allow, ban)))
