"""A small function for each of ComfyUI's classic node types: what becomes of it here, and what it hands on."""

from __future__ import annotations

import re
from typing import Any

from . import sampling
from .sheet import Box
from .write import LEFT_OUT, Bundle, Primitive, Unmapped, Writer, is_plain, part

FILTERS = {"nearest-exact": "nearest", "bilinear": "bilinear", "area": "box", "bicubic": "bicubic", "lanczos": "lanczos"}
EMPHASIS = re.compile(r"(?<!\\)\((?:[^()]|\\.)+?:\s*[\d.]+\s*\)|(?<!\\)\(\(|embedding:|\{[^{}]*\|[^{}]*\}")
MOST_CONTROLS = 64  # of one prompt
TRANSPARENT = "its mask is what is transparent in the picture; give a mask of its own, white where it is to be painted"
WEIGHT, CONTROL = 4.0, 2.0  # the strongest that a LoRA and a ControlNet may act here


# ── models ──────────────────────────────────────────────────────────────────────────────────────


def _source(w: Writer, box: Box, setting: str, wanted: str) -> Any:
    """A file of a model as an input of the graph, by the name that the other program had for it."""
    name = w.literal(box, setting, "")
    if not isinstance(name, str):
        name = ""
    return w.promote(wanted, name, file=name or box.kind)


def _loaded(w: Writer, box: Box, setting: str, wanted: str, node: str = "parts") -> tuple[Bundle, Bundle, Bundle]:
    """MODEL, CLIP and VAE of a source."""
    name = w.node(box, node, "diffusion.load", source=_source(w, box, setting, wanted))
    wires = {output: {"from": f"{name}.{output}"} for output in ("tokenizer", "text_encoder", "denoiser", "schedule", "autoencoder")}
    return (
        {"denoiser": wires["denoiser"], "schedule": wires["schedule"]},
        {"tokenizer": wires["tokenizer"], "encoder": wires["text_encoder"]},
        {"autoencoder": wires["autoencoder"]},
    )


def checkpoint(w: Writer, box: Box) -> list[Bundle]:
    return list(_loaded(w, box, "ckpt_name", "model"))


def diffusers_folder(w: Writer, box: Box) -> list[Bundle]:
    return list(_loaded(w, box, "model_path", "model"))


def unet(w: Writer, box: Box) -> list[Bundle]:
    w.remark("a denoiser is loaded with its whole model: give a folder or checkpoint that holds all of it")
    return [_loaded(w, box, "unet_name", "model")[0]]


def clip(w: Writer, box: Box) -> list[Bundle]:
    w.remark("a text encoder is loaded with its whole model: give a folder or checkpoint that holds all of it")
    return [_loaded(w, box, "clip_name", "text_model", "text_parts")[1]]


def vae(w: Writer, box: Box) -> list[Bundle]:
    w.remark("an autoencoder is loaded with its whole model: give a folder or checkpoint whose autoencoder it is")
    return [_loaded(w, box, "vae_name", "vae", "vae_parts")[2]]


def lora(w: Writer, box: Box) -> list[Bundle]:
    """One box is two nodes here: the denoiser's part of a LoRA, and the text encoder's."""
    model, text = w.given(box, "model"), w.given(box, "clip")
    source = _source(w, box, "lora_name", "lora")
    strong, words = (w.number(box, name, 1.0, -WEIGHT, WEIGHT) for name in ("strength_model", "strength_clip"))
    weight = w.promoted(box, "strength_model", "lora_weight", strong)
    same = words == strong and "strength_clip" not in box.links and "strength_model" not in box.links
    styled = w.node(box, "styled", "diffusion.with_lora", denoiser=part(model, "denoiser"), source=source, weight=weight)
    made = [model | {"denoiser": {"from": f"{styled}.denoiser"}}]
    if text or "strength_clip" in box.values:
        other = weight if same else w.promoted(box, "strength_clip", "lora_text_weight", words)
        name = w.node(box, "styled_words", "diffusion.with_lora_text", encoder=part(text, "encoder"), source=source, weight=other)
        made.append(text | {"encoder": {"from": f"{name}.text_encoder"}})
    return made


def lora_model_only(w: Writer, box: Box) -> list[Bundle]:
    model = w.given(box, "model")
    weight = w.promoted(box, "strength_model", "lora_weight", w.number(box, "strength_model", 1.0, -WEIGHT, WEIGHT))
    name = w.node(box, "styled", "diffusion.with_lora", denoiser=part(model, "denoiser"), source=_source(w, box, "lora_name", "lora"), weight=weight)
    return [model | {"denoiser": {"from": f"{name}.denoiser"}}]


def last_layer(w: Writer, box: Box) -> list[Bundle]:
    """No node: the prompts are told how many layers to pass over."""
    stop = w.literal(box, "stop_at_clip_layer", -1)
    if type(stop) is not int or not -12 <= stop <= -1:
        raise Unmapped("the layer to stop at is none of the last twelve")
    if stop == -2:
        w.remark("of XL this is what is done anyway: set clip_skip of its prompts to 0")
    return [w.given(box, "clip") | ({"clip_skip": -stop - 1} if stop < -1 else {})]


# ── words ───────────────────────────────────────────────────────────────────────────────────────


def words(w: Writer, box: Box) -> list[Bundle]:
    return _words(w, box, "text")


def words_xl(w: Writer, box: Box) -> list[Bundle]:
    """Here one text is read by both encoders, and the sampler tells the size that it paints."""
    if w.literal(box, "text_g") != w.literal(box, "text_l"):
        w.remark("the second text, for the smaller encoder, is left out: both read the first")
    if any(w.literal(box, name, 0) for name in ("crop_w", "crop_h")):
        w.remark("where the picture was cut is left out: the denoiser is told that it was not")
    w.remark("the denoiser is told the size that is painted, not one of its own")
    return _words(w, box, "text_g")


def words_refiner(w: Writer, box: Box) -> list[Bundle]:
    if w.literal(box, "ascore", 6.0) != (2.5 if box.id in w.negatives else 6.0):
        w.remark("the aesthetic score is the usual one: 6, and 2.5 of what to stay away from")
    return _words(w, box, "text")


def _words(w: Writer, box: Box, setting: str) -> list[Bundle]:
    avoided, found = box.id in w.negatives, w.given(box, "clip")
    text = w.literal(box, setting, "")
    text = text if isinstance(text, str) else ""
    if EMPHASIS.search(text):
        w.remark("emphasis, alternatives and embeddings in the text are read as plain words")
    name = w.node(
        box, "not_words" if avoided else "words", "diffusion.encode_prompt", tokenizer=part(found, "tokenizer"), encoder=part(found, "encoder"),
        text=w.promoted(box, setting, "negative" if avoided else "prompt", text), clip_skip=found.get("clip_skip"),
    )  # fmt: skip
    return [{"conditioning": {"from": f"{name}.conditioning"}}]


def zero(w: Writer, box: Box) -> list[Bundle]:
    found = w.given(box, "conditioning")
    name = w.node(box, "nothing", "diffusion.zero", conditioning=part(found, "conditioning"))
    return [found | {"conditioning": {"from": f"{name}.conditioning"}}]


def combine(w: Writer, box: Box) -> list[Bundle]:
    """Both prompts at once. What steers one of them steers both."""
    first, second = w.given(box, "conditioning_1"), w.given(box, "conditioning_2")
    controls = list(first.get("controls", ()))
    if controls != second.get("controls", []):
        w.remark("a control of one of the prompts steers both")
        controls += [one for one in second.get("controls", ()) if one not in controls]
    _room(controls)
    name = w.node(box, "both", "diffusion.combine", first=part(first, "conditioning"), second=part(second, "conditioning"))
    return [first | second | {"conditioning": {"from": f"{name}.conditioning"}} | ({"controls": controls} if controls else {})]


# ── control ─────────────────────────────────────────────────────────────────────────────────────


def load_control(w: Writer, box: Box) -> list[Bundle]:
    name = w.node(box, "net", "diffusion.load_control", source=_source(w, box, "control_net_name", "control"))
    return [{"net": {"from": f"{name}.control_net"}}]


def _control(w: Writer, box: Box, **span: Any) -> dict[str, str]:
    """A bypassed control is muted: the sampler then does without it."""
    _room(*(w.given(box, name).get("controls", ()) for name in ("conditioning", "positive", "negative")))
    box.mode = box.mode and "mute"
    strength = w.promoted(box, "strength", "control_strength", w.number(box, "strength", 1.0, 0.0, CONTROL))
    net, hint = part(w.given(box, "control_net"), "net"), part(w.given(box, "image"), "image")
    return {"from": f"{w.node(box, 'control', 'diffusion.control', model=net, hint=hint, strength=strength, **span)}.control"}


def _room(*controls: Any) -> None:
    """Raises Unmapped where there are so many that they are no longer meant."""
    if any(len(every) >= MOST_CONTROLS for every in controls):
        raise Unmapped(f"more than {MOST_CONTROLS} controls steer one prompt")


def _with(found: Bundle, control: dict[str, str]) -> Bundle:
    return found | {"controls": [*found.get("controls", ()), control]}


def control(w: Writer, box: Box) -> list[Bundle]:
    return [_with(w.given(box, "conditioning"), _control(w, box))]


def control_advanced(w: Writer, box: Box) -> list[Bundle]:
    """It steers both halves of the guidance, as it does in ComfyUI when both are led through it."""
    span = {"start": "start_percent", "end": "end_percent"}
    numbers = {port: w.number(box, name, float(port == "end"), 0.0, 1.0) for port, name in span.items()}
    made = _control(w, box, **{port: w.setting(box, name, numbers[port]) for port, name in span.items()})
    return [_with(w.given(box, "positive"), made), _with(w.given(box, "negative"), made)]


# ── pictures ────────────────────────────────────────────────────────────────────────────────────


def load_image(w: Writer, box: Box) -> list[Bundle]:
    """No node: the picture is an input of the graph, and so is the mask if something reads it."""
    file = _file(w.literal(box, "image", ""))
    found: list[Bundle] = [{"image": w.promote("image", file=file)}]
    if 1 in w.used.get(box.id, ()):
        w.remark(TRANSPARENT)
        found.append({"mask": w.promote("mask", file=f"mask of {file}")})
    return found


def load_mask(w: Writer, box: Box) -> list[Bundle]:
    if w.literal(box, "channel", "alpha") == "alpha":
        w.remark(TRANSPARENT)
    return [{"mask": w.promote("mask", file=_file(w.literal(box, "image", "")))}]


def _file(name: Any) -> str:
    """The bare name of a picture: no folder, nor in which of ComfyUI's it lies."""
    bare = re.sub(r" \[(input|output|temp)\]$", "", name if isinstance(name, str) else "")
    return re.split(r"[/\\]", bare)[-1][:200] or "a picture"


def scale(w: Writer, box: Box) -> list[Bundle]:
    size = {side: w.literal(box, side) for side in ("width", "height")}
    if not all(side is None or (type(side) is int and side > 0) for side in size.values()):
        raise Unmapped("a side of 0 keeps the proportions there; here both are given")
    if w.literal(box, "crop", "disabled") != "disabled":
        w.remark("nothing is cut off: the picture is stretched to the size")
    method = w.literal(box, "upscale_method", "bicubic")
    chosen = FILTERS.get(method, "bicubic") if isinstance(method, str) else "bicubic"
    sides = {side: w.setting(box, side, w.number(box, side, 512, 1, 16384)) for side in size}
    name = w.node(box, "resized", "image.resize", image=part(w.given(box, "image"), "image"), **sides, filter=chosen)
    return [{"image": {"from": f"{name}.image"}}]


def batch(w: Writer, box: Box) -> list[Bundle]:
    images = [part(w.given(box, name), "image") for name in ("image1", "image2")]
    name = w.node(box, "together", "image.batch", images={"list": [image for image in images if image is not None]})
    return [{"image": {"from": f"{name}.image"}}]


def decode(w: Writer, box: Box) -> list[Bundle]:
    return _decode(w, box)


def decode_tiled(w: Writer, box: Box) -> list[Bundle]:
    return _decode(w, box, tile=True)


def _decode(w: Writer, box: Box, **more: Any) -> list[Bundle]:
    autoencoder, latent = part(w.given(box, "vae"), "autoencoder"), part(w.given(box, "samples"), "latent")
    return [{"image": {"from": f"{w.node(box, 'pixels', 'diffusion.decode', autoencoder=autoencoder, latent=latent, **more)}.image"}}]


def save(w: Writer, box: Box) -> list[Bundle]:
    """An output of the graph; whoever runs it says where it goes."""
    if box.mode:
        w.remark("it is turned off, so it is no output")
        return LEFT_OUT
    name = w.output("image", part(w.given(box, "images"), "image"), box)
    if not name:
        w.remark("nothing is wired to it")
        return LEFT_OUT
    w.made(f"output.{name}")
    return []


# ── wires ───────────────────────────────────────────────────────────────────────────────────────


def reroute(w: Writer, box: Box) -> list[Bundle]:
    """Wired through: what it bends may be several wires here."""
    link = next(iter(box.links.values()), None)
    return [w.at(link)]


def primitive(w: Writer, box: Box) -> list[Bundle]:
    value = w.literal(box, "value")
    if "value" in box.links:
        return [w.given(box, "value")]
    if not is_plain(value):
        raise Unmapped("its value is no number, text or truth value")
    return [{} if value is None else {"value": Primitive(w, value)}]


KINDS = sampling.HANDLERS | {
    "CheckpointLoaderSimple": checkpoint, "CheckpointLoader": checkpoint, "DiffusersLoader": diffusers_folder,
    "UNETLoader": unet, "CLIPLoader": clip, "VAELoader": vae, "LoraLoader": lora, "LoraLoaderModelOnly": lora_model_only, "CLIPSetLastLayer": last_layer,
    "CLIPTextEncode": words, "CLIPTextEncodeSDXL": words_xl, "CLIPTextEncodeSDXLRefiner": words_refiner,
    "ConditioningZeroOut": zero, "ConditioningCombine": combine,
    "ControlNetLoader": load_control, "DiffControlNetLoader": load_control,
    "ControlNetApply": control, "ControlNetApplyAdvanced": control_advanced,
    "LoadImage": load_image, "LoadImageMask": load_mask, "ImageScale": scale, "ImageBatch": batch, "VAEDecode": decode, "VAEDecodeTiled": decode_tiled,
    "SaveImage": save, "PreviewImage": save, "Reroute": reroute,
    "PrimitiveNode": primitive, "PrimitiveInt": primitive, "PrimitiveFloat": primitive, "PrimitiveBoolean": primitive, "PrimitiveString": primitive,
    "PrimitiveStringMultiline": primitive,
}  # fmt: skip

# What a bypass of these means is said by the nodes that they become.
BYPASSED = frozenset({"LoraLoader", "LoraLoaderModelOnly", "ControlNetApply", "ControlNetApplyAdvanced", "ImageScale", "Reroute"})
