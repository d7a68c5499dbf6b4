"""Prompts to conditioning."""

from __future__ import annotations

from flowmm.catalog import Context, node
from flowmm.models.residency import using
from flowmm.sockets import C, Conditioning, Fact, Known, Text, TextEncoder, Tokenizer, V


@node(version=1, title={"en": "Encode prompt", "zh": "编码提示词"}, tags=("diffusion",))
def encode_prompt(tokenizer: Tokenizer[V], encoder: TextEncoder[V, C], text: Text, *, context: Context) -> Conditioning[C]:
    """Turn prompts into what the denoiser attends to; the empty prompt is the unconditional one.

    text: B prompts; each is padded or cut to the encoder's length L (77 in the published models).
    Returns hidden float32 [B, L, D].

    Reference: diffusers StableDiffusionPipeline.encode_prompt.
    """
    with using(context, tokenizer) as words:
        length = tokenizer.setting("length", words.model_max_length)
        coded = words(list(text), padding="max_length", max_length=length, truncation=True, return_tensors="pt")
    with using(context, encoder) as model:
        mask = coded.attention_mask.to(model.device) if getattr(model.config, "use_attention_mask", None) else None
        return Conditioning(model(coded.input_ids.to(model.device), attention_mask=mask)[0])


@encode_prompt.describe
def _(known: Known) -> Fact:
    _, length, width = known.shape("encoder", 3)
    return Fact((known.batch("text"), length, width or known.space("C", "width")), "float32")
