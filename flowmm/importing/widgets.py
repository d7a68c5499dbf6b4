"""The settings of ComfyUI's node types in the order in which a saved workflow lists their values.

Reference: INPUT_TYPES in ComfyUI's nodes.py; the editor adds a control to every seed, and an upload button to every picture.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

CONTROL = "control_after_generate"
CONTROLS = ("fixed", "increment", "decrement", "randomize", True, False)  # the first versions only knew whether a seed is drawn anew
SEEDS = ("seed", "noise_seed")

_LORA = ("lora_name", "strength_model")
_SIZE = ("width", "height")
WIDGETS: dict[str, tuple[str, ...]] = {
    "CheckpointLoader": ("config_name", "ckpt_name"),
    "CheckpointLoaderSimple": ("ckpt_name",),
    "CLIPLoader": ("clip_name", "type", "device"),
    "CLIPSetLastLayer": ("stop_at_clip_layer",),
    "CLIPTextEncode": ("text",),
    "CLIPTextEncodeSDXL": (*_SIZE, "crop_w", "crop_h", "target_width", "target_height", "text_g", "text_l"),
    "CLIPTextEncodeSDXLRefiner": ("ascore", *_SIZE, "text"),
    "ControlNetApply": ("strength",),
    "ControlNetApplyAdvanced": ("strength", "start_percent", "end_percent"),
    "ControlNetLoader": ("control_net_name",),
    "DiffControlNetLoader": ("control_net_name",),
    "DiffusersLoader": ("model_path",),
    "EmptyLatentImage": (*_SIZE, "batch_size"),
    "ImageScale": ("upscale_method", *_SIZE, "crop"),
    "InpaintModelConditioning": ("noise_mask",),
    "KSampler": ("seed", CONTROL, "steps", "cfg", "sampler_name", "scheduler", "denoise"),
    "KSamplerAdvanced": (
        "add_noise", "noise_seed", CONTROL, "steps", "cfg", "sampler_name", "scheduler", "start_at_step", "end_at_step",
        "return_with_leftover_noise",
    ),
    "LoadImage": ("image", "upload"),
    "LoadImageMask": ("image", "channel", "upload"),
    "LoraLoader": (*_LORA, "strength_clip"),
    "LoraLoaderModelOnly": _LORA,
    "PreviewImage": (),
    "PrimitiveNode": ("value", CONTROL),
    "RepeatLatentBatch": ("amount",),
    "SaveImage": ("filename_prefix",),
    "UNETLoader": ("unet_name", "weight_dtype"),
    "VAEEncodeForInpaint": ("grow_mask_by",),
    "VAEDecodeTiled": ("tile_size",),
    "VAELoader": ("vae_name",),
}  # fmt: skip


def named(kind: str, values: Any, told: Iterable[str]) -> tuple[dict[str, Any], list[Any]]:
    """A node's settings by name, and those whose names cannot be known. told: names of settings as the file itself tells them, in order."""
    if isinstance(values, dict):
        return {str(name): value for name, value in values.items()}, []
    if not isinstance(values, list):
        return {}, []
    if kind in WIDGETS:
        names = WIDGETS[kind]
        if CONTROL in names and (at := names.index(CONTROL)) < len(values) and not _is_control(values[at]):  # saved without the control
            names = names[:at] + names[at + 1 :]
        return dict(zip(names, values)), list(values[len(names) :])
    found: dict[str, Any] = {}
    rest = iter(values)
    for name in told:
        value = next(rest, rest)
        if value is rest:
            return {}, list(values)  # fewer than there are names: which of them is missing is not known
        if found and next(reversed(found)) in SEEDS and _is_control(value):
            found[CONTROL] = value
            value = next(rest, rest)
            if value is rest:
                return {}, list(values)
        found[name] = value
    left = list(rest)
    if left and found and next(reversed(found)) in SEEDS and _is_control(left[0]):
        found[CONTROL] = left.pop(0)
    return ({}, list(values)) if left else (found, [])


def _is_control(value: Any) -> bool:
    return isinstance(value, (str, bool)) and value in CONTROLS
