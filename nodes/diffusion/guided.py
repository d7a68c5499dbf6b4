"""Classifier-free guidance, one for every family of denoisers."""

from __future__ import annotations

from typing import Any

from flowmm.sockets import Conditioning


class Guided:
    """Classifier-free guidance round a network; a family says how its network is called and what a prompt is to it.

    module: the network. stepper: the scheduler. scale: of guidance; above 1 every step is computed with and without the
    prompt, in one batch, unconditional items first. rescale: tames contrast (Lin et al., 2023). size: height and width of the
    picture in pixels; image_scale: how closely an edited picture keeps to the one it was; for families that want them.
    """

    size: tuple[int, int] = (0, 0)
    image_scale: float = 1.5

    def __init__(self, module: Any, stepper: Any, scale: float, rescale: float = 0.0):
        self.module, self.stepper, self.scale, self.rescale = module, stepper, scale, rescale
        self.copies = 2 if scale > 1 else 1
        self.avoided = self.copies - 1  # of the copies, those that are told what to stay away from

    @property
    def channels(self) -> int:
        """Of the network's input."""
        return self.module.config.in_channels

    def __call__(self, latents: Any, timestep: Any, step: int) -> Any:
        """The guided prediction, [B, …] like the latents."""
        import torch

        noisy = torch.cat([latents] * self.copies) if self.copies > 1 else latents
        prediction = self.network(self.stepper.scale_model_input(noisy, timestep), timestep, step)
        return self.guide(prediction) if self.copies > 1 else prediction

    def see(self, channels: Any) -> None:
        """Channels [B, X, h, w] beside the latent, for all steps."""
        raise ValueError(f"a {type(self.module).__name__} sees nothing beside the latent; leave `extra` out")

    def tell(self, positive: Conditioning, negative: Conditioning | None) -> None:
        """The prompts, for all steps; before anything else."""
        if any(one is not None and len(one.prompts) > 1 for one in (positive, negative)):
            self.at_once(positive, negative)
        self.prompt(positive, negative)

    def prompt(self, positive: Conditioning, negative: Conditioning | None) -> None:
        """What the network attends to."""
        raise NotImplementedError

    def at_once(self, positive: Conditioning, negative: Conditioning | None) -> None:
        """Several prompts, whose predictions are averaged; before `prompt`."""
        raise ValueError(f"a {type(self.module).__name__} takes no combined prompts; wire one prompt to it")

    def steer_by(self, nets: Any) -> None:
        """ControlNets, for all steps."""
        raise ValueError(f"no ControlNet can steer a {type(self.module).__name__}; leave `controls` out")

    def network(self, noisy: Any, timestep: Any, step: int) -> Any:
        """The network's prediction for the whole batch of copies."""
        raise NotImplementedError

    def guide(self, prediction: Any) -> Any:
        """One prediction out of the whole batch of copies."""
        copies = prediction.chunk(self.copies)
        avoided, wanted = copies[: self.avoided], copies[self.avoided :]
        conditional = wanted[0] if len(wanted) == 1 else sum(wanted) / len(wanted)
        if not avoided:
            return conditional
        return self.steer(avoided[0] if len(avoided) == 1 else sum(avoided) / len(avoided), conditional)

    def steer(self, unconditional: Any, conditional: Any) -> Any:
        """Away from the unconditional prediction, towards the conditional one."""
        guided = unconditional + self.scale * (conditional - unconditional)
        if self.rescale > 0:
            axes = list(range(1, guided.ndim))
            tamed = guided * (conditional.std(dim=axes, keepdim=True) / guided.std(dim=axes, keepdim=True))
            guided = self.rescale * tamed + (1 - self.rescale) * guided
        return guided

    def both(self, negative: Any, positive: Any) -> Any:
        """Tensors of the two halves as one batch on the module's device and in its dtype; without guidance the positive alone."""
        import torch

        wanted = [negative, positive] if self.avoided else [positive]
        wanted = [one.to(self.module.device, self.module.dtype) for one in wanted]
        return torch.cat(wanted) if len(wanted) > 1 else wanted[0]
