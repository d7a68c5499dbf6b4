"""Latents and samplers: what ComfyUI's KSampler is told, as diffusion.sample understands it."""

from __future__ import annotations

from typing import Any

from ..graph.problems import shorten
from .schedules import scheduler
from .sheet import Box
from .write import Bundle, Unmapped, Writer, part

MOST_STEPS, MOST_GUIDANCE, MOST_PIXELS, MOST_PICTURES = 1000, 100.0, 8192, 64
LAST_SEED = 2**53 - 1
LAST = 10_000  # ComfyUI's end_at_step for "to the end"
MODES = {"randomize": "random", True: "random", "increment": "next", "decrement": "next"}


def empty_latent(w: Writer, box: Box) -> list[Bundle]:
    """No node: the sampler is told the size, and how many pictures."""
    size = {side: w.promoted(box, side, side, w.number(box, side, 512, 8, MOST_PIXELS)) for side in ("width", "height")}
    return [size | {"count": w.promoted(box, "batch_size", "count", w.number(box, "batch_size", 1, 1, MOST_PICTURES))}]


def repeated(w: Writer, box: Box) -> list[Bundle]:
    found = w.given(box, "samples")
    if "latent" not in found:
        raise Unmapped("only a latent of a picture is repeated here")
    return [found | {"count": w.promoted(box, "amount", "count", w.number(box, "amount", 1, 1, MOST_PICTURES))}]


def encode(w: Writer, box: Box) -> list[Bundle]:
    image, autoencoder = part(w.given(box, "pixels"), "image"), part(w.given(box, "vae"), "autoencoder")
    name = w.node(box, "start", "diffusion.encode", autoencoder=autoencoder, image=image)
    return [{"latent": {"from": f"{name}.latent"}, "picture": image, "autoencoder": autoencoder}]


def encode_for_inpaint(w: Writer, box: Box) -> list[Bundle]:
    if w.literal(box, "grow_mask_by", 6):
        w.remark("the mask is not grown: give one that is a few pixels larger")
    found = _hole(w, box, part(w.given(box, "pixels"), "image"), part(w.given(box, "vae"), "autoencoder"))
    w.remark("the picture under the mask is not greyed out; at strength 1 the noise hides it all the same")
    return [found]


def masked(w: Writer, box: Box) -> list[Bundle]:
    """The mask of a latent: known only where it was encoded from a picture."""
    found = w.given(box, "samples")
    if "picture" not in found:
        raise Unmapped("a mask is laid over a latent only where it was encoded from a picture just before")
    return [found | _hole(w, box, found["picture"], found["autoencoder"])]


def inpaint(w: Writer, box: Box) -> list[Bundle]:
    """Positive, negative and latent, with what a denoiser made for inpainting sees beside them."""
    found = _hole(w, box, part(w.given(box, "pixels"), "image"), part(w.given(box, "vae"), "autoencoder"))
    beside = {"extra": found["extra"]}
    return [w.given(box, "positive") | beside, w.given(box, "negative") | beside, found]


def _hole(w: Writer, box: Box, image: Any, autoencoder: Any) -> Bundle:
    name = w.node(box, "hole", "diffusion.encode_masked", autoencoder=autoencoder, image=image, mask=part(w.given(box, "mask"), "mask"))
    latent, extra = ({"from": f"{name}.{output}"} for output in ("latent", "extra"))
    return {"latent": latent, "extra": extra, "picture": image, "autoencoder": autoencoder}


def sampler(w: Writer, box: Box) -> list[Bundle]:
    """KSampler: all of the steps, or with `denoise` the last part of more of them."""
    latent = w.given(box, "latent_image")
    steps, denoise = w.number(box, "steps", 20, 1, MOST_STEPS), w.number(box, "denoise", 1.0, 0.0, 1.0)
    strength = None
    if "strength" in box.values:  # of the web UI, which takes that part of the steps as it is done here
        denoise = w.number(box, "strength", 0.75, 0.0, 1.0)
    elif "denoise" in box.links and w.literal(box, "denoise") is None:
        w.remark("denoise comes by a wire: as strength it takes that part of the steps, ComfyUI takes all of them")
    elif part(latent, "latent") is None:
        if denoise < 1:
            w.remark("denoise below 1 of an empty latent is not known here: it starts from pure noise")
    elif denoise < 1:
        told, steps = steps, _stretched(steps, denoise)
        if steps != told:
            w.remark(f"ComfyUI takes all {told} steps of a denoise of {denoise:g}; here they are that part of {steps}")
    if part(latent, "latent") is not None:
        strength = w.promoted(box, "denoise", "strength", denoise)
    return [_sample(w, box, "seed", steps, strength=strength)]


def _stretched(steps: int, denoise: float) -> int:
    """How many steps there are in all when this part of them is to be `steps`."""
    whole = int(steps / denoise) if denoise else MOST_STEPS
    return min(whole if int(whole * denoise) >= steps else whole + 1, MOST_STEPS)


def sampler_advanced(w: Writer, box: Box) -> list[Bundle]:
    """KSamplerAdvanced: from a step to a step, with noise added before or not, and noise left after or not."""
    latent = w.given(box, "latent_image")
    steps = w.number(box, "steps", 20, 1, MOST_STEPS)
    begin = w.literal(box, "start_at_step", 0)
    until = w.literal(box, "end_at_step", LAST)
    if type(begin) is not int or type(until) is not int:
        raise Unmapped("its first and last step come by a wire, or are no whole numbers")
    begin, more = max(0, begin), {}
    if begin >= steps or until <= begin:
        raise Unmapped(f"from step {begin} to step {until} of {steps} leaves nothing to do")
    adds = w.literal(box, "add_noise", "enable") != "disable"
    if until < steps:
        more["end"] = until
        if w.literal(box, "return_with_leftover_noise", "disable") != "enable":
            w.remark(f"the noise that is left at step {until} stays, where ComfyUI takes all of it away in the last step")
    if part(latent, "latent") is None:
        if not adds or begin:
            w.remark("an empty latent always starts from pure noise at the first step here")
    elif not adds and begin:
        more["start"] = begin
    else:
        if not adds:
            w.remark("noise is added to the latent, which ComfyUI was told not to do: here that is for a later step alone")
        more["strength"] = _part(steps - begin, steps)
    return [_sample(w, box, "noise_seed", steps, **more)]


def _part(taken: int, steps: int) -> float:
    """The strength that takes so many of the steps, whatever the rounding."""
    strength = round(taken / steps, 6)
    return strength if int(steps * strength) == taken else min(1.0, (taken + 0.5) / steps)


def _sample(w: Writer, box: Box, seed: str, steps: int, **more: Any) -> Bundle:
    model, positive, negative, latent = (w.given(box, name) for name in ("model", "positive", "negative", "latent_image"))
    chosen, remarks = _scheduler(w, box)
    for text in remarks:
        w.remark(text)
    controls = [one for found in (positive, negative) for one in found.get("controls", ())]
    controls = [one for i, one in enumerate(controls) if one not in controls[:i]]
    started = part(latent, "latent") is not None
    if not started and "width" not in latent:
        w.remark("no latent is wired to it: the size is what the model recommends")
    source = _seed(w, box, seed)
    name = w.node(
        box, "paint", "diffusion.sample", denoiser=part(model, "denoiser"), schedule=part(model, "schedule"),
        positive=part(positive, "conditioning"), negative=part(negative, "conditioning"), latent=latent.get("latent", latent.get("*")),
        extra=latent.get("extra", positive.get("extra")), controls={"list": controls} if controls else None, seed=source,
        steps=w.promoted(box, "steps", "steps", steps), guidance=w.promoted(box, "cfg", "guidance", w.number(box, "cfg", 8.0, 0.0, MOST_GUIDANCE)),
        **{side: None if started else latent.get(side) for side in ("width", "height")}, scheduler=chosen, count=latent.get("count"), **more,
    )  # fmt: skip
    w.report.note(NUMERICS)
    return {"latent": {"from": f"{name}.latent"}}


def _scheduler(w: Writer, box: Box) -> tuple[Any, list[str]]:
    sampler, spacing = (w.literal(box, name, default) for name, default in (("sampler_name", "euler"), ("scheduler", "normal")))
    if not isinstance(sampler, str) or not isinstance(spacing, str):
        return w.promote("scheduler", None), ["the sampler comes by a wire: the model's own is used"]
    name, remarks = scheduler(sampler, spacing)
    return w.promote("scheduler", name), remarks


def _seed(w: Writer, box: Box, name: str) -> Any:
    value = w.literal(box, name, 0)
    value = int(value) if type(value) in (int, float) else 0
    if not 0 <= value <= LAST_SEED:
        w.remark(f"the seed {shorten(str(value))} became {value % (LAST_SEED + 1)}: seeds here are below 2⁵³, and it draws other noise")
        value %= LAST_SEED + 1
    source = w.promoted(box, name, "seed", value)
    control = box.values.get("control_after_generate")
    if isinstance(control, (str, bool)) and control in MODES and isinstance(source, dict):
        w.seeds[source["from"]] = MODES[control]
    return source


# What can be equal, and what not: README.md beside this file has the figures.
NUMERICS = (
    "the noise of the first picture that is made from text is ComfyUI's to the bit, from the same seed; further pictures of a batch draw from seed + i, where "
    "ComfyUI goes on drawing from the one seed. The levels of noise are diffusers' own, with most samplers within 0.004 % of ComfyUI's: "
    "pictures are alike, not equal"
)

HANDLERS = {
    "EmptyLatentImage": empty_latent, "RepeatLatentBatch": repeated, "VAEEncode": encode, "VAEEncodeForInpaint": encode_for_inpaint,
    "SetLatentNoiseMask": masked, "InpaintModelConditioning": inpaint, "KSampler": sampler, "KSamplerAdvanced": sampler_advanced,
}  # fmt: skip
