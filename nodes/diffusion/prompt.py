"""Prompts to conditioning."""

from __future__ import annotations

from typing import Annotated, Any

from flowmm.catalog import Context, node
from flowmm.models.residency import using
from flowmm.sockets import Between, C, Conditioning, Fact, Help, Known, Text, TextEncoder, Tokenizer, V


@node(version=1, title={"en": "Encode prompt", "zh": "编码提示词"}, tags=("diffusion",))
def encode_prompt(
    tokenizer: Tokenizer[V],
    encoder: TextEncoder[V, C],
    text: Text,
    *,
    negative: Annotated[bool, Help("It is what to stay away from: read in full, and zeros for the empty one where the model wants it so")] = False,
    clip_skip: Annotated[int | None, Between(0, 11), Help("Last layers of the text encoder passed over")] = None,
    context: Context,
) -> Conditioning[C]:
    """Turn prompts into what the denoiser attends to; the empty prompt is the unconditional one.

    text: B prompts; each is padded or cut to the encoder's length L (77 in the published models).
    Returns hidden [B, L, D]; of SDXL the two encoders' last layer but one side by side, and the second one's pooled [B, P].

    Reference: diffusers StableDiffusionPipeline.encode_prompt, StableDiffusionXLPipeline.encode_prompt.
    """
    import torch

    with using(context, tokenizer) as words:
        every = words if isinstance(words, tuple) else (words,)
        length = tokenizer.setting("length", every[0].model_max_length)
        coded = [one(list(text), padding="max_length", max_length=length, truncation=True, return_tensors="pt") for one in every]
    with using(context, encoder) as model:
        models = tuple(model) if isinstance(model, torch.nn.ModuleList) else (model,)
        penultimate, skip = encoder.family.endswith("clip_text_projected"), None if negative else clip_skip
        hidden, pooled = zip(*(_read(one, ids, skip, penultimate) for one, ids in zip(models, coded, strict=True)))
    made = Conditioning(hidden[0] if len(hidden) == 1 else torch.cat(hidden, dim=-1), pooled[-1])
    if negative and encoder.setting("force_zeros") and not all(text):
        spoken = torch.tensor([bool(line) for line in text], device=made.hidden.device)
        made = Conditioning(made.hidden * spoken[:, None, None], None if made.pooled is None else made.pooled * spoken[:, None])
    return made


@encode_prompt.describe
def _(known: Known) -> Fact:
    _, length, width = known.shape("encoder", 3)
    return Fact((known.batch("text"), length, width or known.space("C", "width")), "float32")


def _read(model: Any, coded: Any, skip: int | None, penultimate: bool) -> tuple[Any, Any]:
    """What one text encoder says of every token, and of the whole where it projects that. penultimate: as SDXL reads it."""
    ids = coded.input_ids.to(model.device)
    if penultimate:
        said = model(ids, output_hidden_states=True)
        return said.hidden_states[-2 - (skip or 0)], said[0] if hasattr(model, "text_projection") else None
    mask = coded.attention_mask.to(model.device) if getattr(model.config, "use_attention_mask", None) else None
    if skip is None:
        return model(ids, attention_mask=mask)[0], None
    said = model(ids, attention_mask=mask, output_hidden_states=True)
    return getattr(model, "text_model", model).final_layer_norm(said.hidden_states[-1 - skip]), None
