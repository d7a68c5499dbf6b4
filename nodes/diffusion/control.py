"""ControlNets: what steers a denoiser along outlines, depth or poses."""

from __future__ import annotations

from contextlib import ExitStack
from typing import Annotated, Any

from flowmm.catalog import Context, node
from flowmm.models import spaces
from flowmm.models.families import make
from flowmm.models.residency import using
from flowmm.models.source import Component, SourceError, open_source
from flowmm.sockets import Between, C, Control, ControlNet, Fact, Help, Image, Known, ModelSource, Space

from .pictures import prepared


@node(version=1, title={"en": "Load ControlNet", "zh": "加载 ControlNet"}, tags=("diffusion", "load"))
def load_control(source: Annotated[str, ModelSource(), Help("zoo:NAME, or the folder of a ControlNetModel")]) -> ControlNet[C]:
    """A ControlNet, as a recipe; weights are read when a sampler first needs them.

    A source that is missing, incomplete or of another kind is an error that says so.

    Reference: diffusers ControlNetModel (Zhang et al., 2023).
    """
    found = _open(source)
    levels = found.config.get("conditioning_embedding_out_channels") or [16, 32, 96, 256]
    return make(ControlNet, found, "controlnet", {"factor": 2 ** (len(levels) - 1)})


@load_control.spaces
def _(values: dict[str, Any]) -> dict[str, Space]:
    try:
        found = _open(values["source"])
        embedded = found.config.get("projection_class_embeddings_input_dim")
        pooled = embedded - 6 * spaces.number(found, "addition_time_embed_dim", 256) if embedded else 0  # SDXL: six numbers of size
        return {"C": spaces.conditioning("clip", spaces.number(found, "cross_attention_dim", 1280), pooled)}
    except (KeyError, TypeError, ValueError, OSError):  # SourceError is a ValueError
        return {}


@load_control.describe
def _(known: Known) -> dict[str, Fact]:
    source = known.values.get("source")
    try:
        return {"control_net": Fact(weights=_open(source).weights.loaded_bytes)} if isinstance(source, str) else {}
    except (SourceError, OSError):
        return {}


@node(version=1, title={"en": "Control", "zh": "控制"}, tags=("diffusion",), lane="inline")
def control(
    model: ControlNet[C],
    hint: Image,
    *,
    strength: Annotated[float, Between(0, 2), Help("How strongly the picture rules; 1 as it was trained")] = 1.0,
    start: Annotated[float, Between(0, 1), Help("The part of the steps after which it acts")] = 0.0,
    end: Annotated[float, Between(0, 1), Help("The part of the steps until which it acts")] = 1.0,
    guess: Annotated[bool, Help("The picture alone rules: the conditional half is steered, ever more weakly towards the input")] = False,
) -> Control[C]:
    """A ControlNet with the picture it follows, for the `controls` of diffusion.sample; several act together.

    hint: [B, 3, H, W] of the kind the net was trained on: outlines, depth, poses. It is resized to the picture's size. An
    `end` before `start` is an error. Returns the control, no weights.

    Reference: diffusers StableDiffusionControlNetPipeline.prepare_image; MultiControlNetModel.
    """
    if end < start:
        raise ValueError(f"a control that ends at {end:g} cannot start at {start:g}; swap them")
    return Control(model, hint, strength, start, end, guess)


class Nets:
    """ControlNets beside a denoiser, their weights here until the stack closes. size: of the picture, in pixels; items: in the batch."""

    def __init__(self, controls: list[Control], factor: int, size: tuple[int, int], items: int, total: int, stack: ExitStack, context: Context):
        self.total = total
        self.nets: list[tuple[Any, Any, Control]] = []
        for one in controls:
            if len(one.hint) not in (1, items) and items % len(one.hint):
                raise ValueError(f"there are {items} pictures to paint, but a control has {len(one.hint)} hints; one, or as many, fit")
            if one.model.setting("factor", factor) != factor:
                raise ValueError(f"the ControlNet `{one.model.source}` was made for latents {one.model.setting('factor')} times smaller than "
                                 f"the picture, this model's are {factor} times smaller; take a net made for this model")  # fmt: skip
            module = stack.enter_context(using(context, one.model))
            hint = prepared(one.hint, factor, *size, do_convert_rgb=True, do_normalize=False)
            hint = hint.repeat_interleave(items // len(hint), 0).to(module.device, module.dtype)
            self.nets.append((module, hint, one))

    def __call__(self, denoiser: Any, noisy: Any, timestep: Any, step: int) -> dict[str, Any]:
        """What the nets add inside the denoiser at this step; empty when none acts.

        noisy: [copies·B, C, h, w]. Where a net is out of its steps the pipelines add zeros; here it is not run.
        """
        import torch

        downs: list[Any] = []
        middle = None
        for module, hint, one in self.nets:
            if not one.strength or step / self.total < one.start or (step + 1) / self.total > one.end:
                continue
            guess, copies, avoided = one.guess or module.config.global_pool_conditions, denoiser.copies, denoiser.avoided
            alone = guess and avoided > 0
            told = {"encoder_hidden_states": denoiser.hidden, **(denoiser.added or {})}
            seen = noisy
            if alone:  # the conditional half
                seen, told = _rest(seen, copies, avoided), {name: _rest(value, copies, avoided) for name, value in told.items()}
            shown = copies - avoided if alone else copies
            hint = torch.cat([hint] * shown) if shown > 1 else hint
            hidden = told.pop("encoder_hidden_states")
            down, mid = module(seen, timestep, encoder_hidden_states=hidden, controlnet_cond=hint, conditioning_scale=one.strength,
                               guess_mode=guess, added_cond_kwargs=told or None, return_dict=False)  # fmt: skip
            if alone:
                down, mid = [_behind_zeros(part, shown, avoided) for part in down], _behind_zeros(mid, shown, avoided)
            downs = [before + now for before, now in zip(downs, down)] if downs else down
            middle = mid if middle is None else middle + mid
        return {} if middle is None else {"down_block_additional_residuals": downs, "mid_block_additional_residual": middle}


def _rest(batch: Any, copies: int, avoided: int) -> Any:
    """A batch of copies without its first ones."""
    import torch

    rest = batch.chunk(copies)[avoided:]
    return rest[0] if len(rest) == 1 else torch.cat(rest)


def _behind_zeros(batch: Any, copies: int, avoided: int) -> Any:
    """A batch of copies with zeros for those that nothing is added to."""
    import torch

    return torch.cat([*[torch.zeros_like(batch.chunk(copies)[0])] * avoided, batch])


def _open(source: str) -> Component:
    return open_source(source).want("diffusion.load_control", "a ControlNet", ("ControlNetModel",)).component("")
