"""Vision transformers by themselves: ViT, and the vision tower of CLIP."""

from __future__ import annotations

import copy
from typing import Any

from .base import Family

MOST_BYTES = 2**32  # of attention maps, which grow with the fourth power of a picture's side


class Tower(Family):
    """part: of the module that is the vision transformer; "" for all of it."""

    classes = ()  # none that writes about pictures: `vit.load` opens them
    what = "a vision transformer"

    def __init__(self, name: str, part: str = ""):
        self.name, self.part = name, part

    def tower(self, module: Any) -> Any:
        return getattr(module, self.part) if self.part else module

    def encode(self, module: Any, pixels: Any) -> Any:
        tower = self.tower(module)
        return tower(pixel_values=pixels, **sized(tower.config, pixels)).last_hidden_state

    def attend(self, module: Any, pixels: Any) -> tuple[Any, tuple[int, int]]:
        """What heeds what, float32 [B, layers, heads, N, N] on the CPU, and the patches' rows and columns. Raises ValueError."""
        import torch

        tower = self.tower(module)
        config, options, (rows, columns) = tower.config, sized(tower.config, pixels), grid(tower.config, pixels)
        needed = 4 * len(pixels) * config.num_hidden_layers * config.num_attention_heads * (rows * columns + 1) ** 2
        if needed > MOST_BYTES:
            raise ValueError(f"the attention maps of {len(pixels)} × {rows}×{columns} patches would take {needed / 2**30:.1f} GB: "
                             "take fewer or smaller pictures")  # fmt: skip
        maps = _step_by_step(tower)(pixel_values=pixels, output_attentions=True, **options).attentions
        return torch.stack([layer.float().cpu() for layer in maps], dim=1), (rows, columns)


def sized(config: Any, pixels: Any) -> dict[str, bool]:
    """The options a vision transformer needs for pictures of this size. Raises ValueError for sizes it cannot take."""
    height, width = pixels.shape[-2:]
    trained, patch = pair(config.image_size), pair(config.patch_size)
    if (height, width) == trained:
        return {}
    if trained[0] != trained[1] or patch[0] != patch[1]:  # the library interpolates square grids only
        raise ValueError(f"this encoder takes pictures of {trained[1]}×{trained[0]} pixels only, not {width}×{height}: leave the size out when preprocessing")
    if min(height, width) < patch[0]:
        raise ValueError(f"pictures of {width}×{height} pixels are smaller than a patch of this encoder, {patch[0]} pixels: preprocess them larger")
    return {"interpolate_pos_encoding": True}


def grid(config: Any, pixels: Any) -> tuple[int, int]:
    """Rows and columns of patches."""
    (height, width), (down, across) = pixels.shape[-2:], pair(config.patch_size)
    return height // down, width // across


def pair(size: Any) -> tuple[int, int]:
    """Height and width of a config's size, which is one number where they are alike."""
    return (size, size) if isinstance(size, int) else (size[0], size[1])


def _step_by_step(tower: Any) -> Any:
    """The same network on the same tensors, with attention computed so that its maps exist; fused attention never forms them.

    The module itself stays as it is: others may be using it.
    """
    tensors = {id(tensor): tensor for tensor in (*tower.parameters(), *tower.buffers())}
    twin = copy.deepcopy(tower, tensors)
    twin.set_attn_implementation("eager")
    return twin


FAMILIES = (Tower("vit", "vit"), Tower("vit_base"), Tower("clip", "vision_model"), Tower("clip_vision"))
