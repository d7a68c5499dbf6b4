"""DiT: a transformer over patches of the latent, told a class."""

from __future__ import annotations

from typing import Any

from flowmm.sockets import Conditioning

from .guided import Guided


class DiT(Guided):
    """diffusers' DiTTransformer2DModel. In a batch of both halves the classes come first and the null class after, as in DiTPipeline."""

    def prompt(self, positive: Conditioning, negative: Conditioning | None) -> None:
        """The class of every item; once for all steps."""
        import torch

        wanted = [positive.hidden] if self.copies == 1 else [positive.hidden, negative.hidden]
        self.classes = torch.cat(wanted).reshape(-1).to(self.module.device)

    def network(self, noisy: Any, timestep: Any, step: int) -> Any:
        if noisy.shape[-2] != noisy.shape[-1]:
            raise ValueError(f"a DiT paints squares, not {noisy.shape[-1]} × {noisy.shape[-2]} latents: give the same width and height")
        timesteps = timestep.reshape(1).to(noisy.device).expand(len(noisy))
        predicted = self.module(noisy, timestep=timesteps, class_labels=self.classes, return_dict=False)[0]
        return predicted[:, : self.channels]  # the rest is the learned variance, which none of these schedulers uses

    def guide(self, prediction: Any) -> Any:
        conditional, unconditional = prediction.chunk(2)
        return self.steer(unconditional, conditional)
