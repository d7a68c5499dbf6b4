"""The discrete VAE of DALL-E 1 as one module: transformers' FlavaImageCodebook is its encoder, the decoder is here.

Layers are named as in OpenAI's package `dall_e`, but for weight and bias, which it calls w and b.

Reference: Ramesh et al. 2021, Zero-shot text-to-image generation (arXiv 2102.12092); github.com/openai/DALL-E.
"""

from __future__ import annotations

from collections import OrderedDict

import torch
from torch import nn
from transformers import FlavaImageCodebook, FlavaImageCodebookConfig, PreTrainedModel

FACTOR = 8  # pixels along a code's side: three of the four groups halve the picture
EPSILON = 0.1  # keeps pixels off 0 and 1, where the logit-Laplace likelihood it was trained with has no value


class DVAEConfig(FlavaImageCodebookConfig):
    """hidden_size: of the first group of the encoder and the last of the decoder. initial_size: what the decoder makes of a code.

    image_size: pixels along a side, as it was trained.
    """

    model_type = "dvae"
    initial_size: int = 128
    image_size: int = 256


class Block(nn.Module):
    """A residual block: a bottleneck of four convolutions, added with a small gain."""

    def __init__(self, width_in: int, width_out: int, gain: float):
        super().__init__()
        narrow = width_out // 4
        layers = ((width_in, narrow, 1), (narrow, narrow, 3), (narrow, narrow, 3), (narrow, width_out, 3))
        self.gain = gain
        self.id_path = nn.Identity() if width_in == width_out else nn.Conv2d(width_in, width_out, 1)
        self.res_path = nn.Sequential(OrderedDict(
            part for i, (one, other, kernel) in enumerate(layers, 1)
            for part in ((f"relu_{i}", nn.ReLU()), (f"conv_{i}", nn.Conv2d(one, other, kernel, padding=kernel // 2)))
        ))  # fmt: skip

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.id_path(x) + self.gain * self.res_path(x)


class Decoder(nn.Module):
    """Codes int64 [B, h, w] to the location and the scale of each pixel's logit-Laplace distribution, [B, 6, 8h, 8w]."""

    def __init__(self, config: DVAEConfig):
        super().__init__()
        gain = 1 / (config.num_groups * config.num_blocks_per_group) ** 2
        widths = [config.initial_size, *(config.hidden_size * times for times in (8, 4, 2, 1))]
        blocks: OrderedDict[str, nn.Module] = OrderedDict(input=nn.Conv2d(config.vocab_size, config.initial_size, 1))
        for i in range(1, 5):
            group = OrderedDict((f"block_{j + 1}", Block(widths[i] if j else widths[i - 1], widths[i], gain)) for j in range(config.num_blocks_per_group))
            if i < 4:
                group["upsample"] = nn.Upsample(scale_factor=2, mode="nearest")
            blocks[f"group_{i}"] = nn.Sequential(group)
        blocks["output"] = nn.Sequential(OrderedDict(relu=nn.ReLU(), conv=nn.Conv2d(config.hidden_size, 2 * config.input_channels, 1)))
        self.blocks = nn.Sequential(blocks)

    def forward(self, codes: torch.Tensor) -> torch.Tensor:
        first, *rest = self.blocks
        # A 1×1 convolution of one-hot codes picks columns of its weight; picking them is the same, without 8192 channels. As in
        # the original the channels lie innermost in memory.
        x = (first.weight.flatten(1).t()[codes] + first.bias).permute(0, 3, 1, 2)
        for block in rest:
            x = block(x)
        return x


class DVAE(PreTrainedModel):
    """encoder: FlavaImageCodebook; decoder: as above."""

    config_class = DVAEConfig
    main_input_name = "pixel_values"

    def __init__(self, config: DVAEConfig):
        super().__init__(config)
        self.encoder = FlavaImageCodebook(config)
        self.decoder = Decoder(config)
        self.post_init()

    def encode(self, pixels: torch.Tensor) -> torch.Tensor:
        """Pixels [B, 3, H, W] in 0…1, sides multiples of 8, to the likeliest codes int64 [B, H/8, W/8]."""
        return self.encoder.get_codebook_indices((1 - 2 * EPSILON) * pixels + EPSILON)

    def decode(self, codes: torch.Tensor) -> torch.Tensor:
        """Codes int64 [B, h, w] to pixels [B, 3, 8h, 8w] in 0…1."""
        location = self.decoder(codes)[:, : self.config.input_channels]
        return ((location.sigmoid() - EPSILON) / (1 - 2 * EPSILON)).clamp(0, 1)
