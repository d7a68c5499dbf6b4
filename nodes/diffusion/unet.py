"""Stable Diffusion's UNet: 1, 2 and XL; with channels beside the latent, with ControlNets."""

from __future__ import annotations

from typing import Any

from flowmm.sockets import Conditioning

from .control import Nets
from .guided import Guided

AESTHETICS = (6.0, 2.5)  # what SDXL's refiner is told of pictures to make and to avoid


class UNet(Guided):
    """diffusers' UNet2DConditionModel. beside: [copies·B, X, h, w], what it sees beside the latent. nets: its ControlNets."""

    beside: Any = None
    nets: Nets | None = None

    def prompt(self, positive: Conditioning, negative: Conditioning | None) -> None:
        """What the network attends to; once for all steps."""
        self.hidden = self.both(negative and _all(negative, "hidden"), _all(positive, "hidden"))
        self.added = None
        if self.module.config.addition_embed_type == "text_time":
            pooled = self.both(negative and _all(negative, "pooled"), _all(positive, "pooled"))
            counts = [len(positive.hidden) * len(one.prompts) for one in (positive, negative or positive)]
            wanted, avoided = (self._times(count, pooled.shape[1], score) for count, score in zip(counts, AESTHETICS))
            self.added = {"text_embeds": pooled, "time_ids": self.both(avoided, wanted)}

    def at_once(self, positive: Conditioning, negative: Conditioning | None) -> None:
        self.avoided = len(negative.prompts) if negative else 0
        self.copies = len(positive.prompts) + self.avoided

    def see(self, channels: Any) -> None:
        import torch

        self.beside = torch.cat([channels] * self.copies)

    def steer_by(self, nets: Nets) -> None:
        self.nets = nets

    def network(self, noisy: Any, timestep: Any, step: int) -> Any:
        import torch

        steered = self.nets(self, noisy, timestep, step) if self.nets else {}
        seen = noisy if self.beside is None else torch.cat([noisy, self.beside], dim=1)
        return self.module(seen, timestep, encoder_hidden_states=self.hidden, added_cond_kwargs=self.added, return_dict=False, **steered)[0]

    def _times(self, count: int, pooled: int, score: float) -> Any:
        """float [B, 6]: the picture's size before it was cut, where it was cut, its size; of the refiner [B, 5], a score for the last."""
        import torch

        config = self.module.config
        places = (config.projection_class_embeddings_input_dim - pooled) // config.addition_time_embed_dim
        told = [*self.size, 0, 0, score] if places == 5 else [*self.size, 0, 0, *self.size]
        return torch.tensor([told], dtype=self.module.dtype).repeat(count, 1)


def _all(said: Conditioning, field: str) -> Any:
    """Of several prompts at once, one after the other as one batch."""
    import torch

    every = [getattr(one, field) for one in said.prompts]
    return every[0] if len(every) == 1 else torch.cat(every)


class Edit(UNet):
    """A UNet that edits the picture it sees; it is led by the text and by that picture, each with a scale of its own."""

    def __init__(self, module: Any, stepper: Any, scale: float, rescale: float = 0.0):
        super().__init__(module, stepper, scale, rescale)
        self.copies, self.avoided = 3 if scale > 1 else 1, 0  # its halves are three, and its own to guide

    def both(self, negative: Any, positive: Any) -> Any:
        """With text and picture, with the picture alone, with neither."""
        import torch

        wanted = [positive] if self.copies == 1 else [positive, negative, negative]
        return torch.cat([one.to(self.module.device, self.module.dtype) for one in wanted])

    def at_once(self, positive: Conditioning, negative: Conditioning | None) -> None:
        raise ValueError("a model that edits by instruction takes one at a time; wire one prompt to it")

    def see(self, channels: Any) -> None:
        import torch

        copies = [channels] if self.copies == 1 else [channels, channels, torch.zeros_like(channels)]
        self.beside = torch.cat(copies)

    def guide(self, prediction: Any) -> Any:
        text, image, unconditional = prediction.chunk(3)
        return unconditional + self.scale * (text - image) + self.image_scale * (image - unconditional)
