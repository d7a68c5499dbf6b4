"""AUTOMATIC1111's generation parameters, the text that its PNGs carry, as the sheet of the same picture's graph in ComfyUI.

    a lighthouse in fog <lora:ink:0.8>
    Negative prompt: blurry
    Steps: 20, Sampler: DPM++ 2M, Schedule type: Karras, CFG scale: 7, Seed: 1, Size: 512x512, Model hash: …, Model: v1-5, Clip skip: 2

Reference: the wiki of stable-diffusion-webui, "PNG info"; its newer versions name the schedule apart from the sampler.
"""

from __future__ import annotations

import json
import re
from typing import Any

from .sheet import Box, Link, Sheet

LONGEST = 2**20
MOST_LORAS = 100
NEGATIVE = "Negative prompt:"
SETTING = re.compile(r'\s*([\w ./+-]{1,60}):\s*("(?:\\.|[^"\\])*"|[^,]*)(?:,|$)')
LORA = re.compile(r"<lora:([^:>]{1,300}):([^>]{0,60})>")
UNKEPT = {
    "Hires upscale": "the second, larger pass", "Hires upscaler": "the second, larger pass", "ENSD": "the shift of the seed (ENSD)",
    "Eta": "eta", "Variation seed": "the variation of the seed", "Face restoration": "the restoration of faces", "VAE": "an autoencoder of its own",
    "Mask blur": "the blur of the mask", "Refiner": "the refiner", "Tiling": "tiling", "Token merging ratio": "the merging of tokens",
    "ControlNet 0": "ControlNet",
}  # fmt: skip
AUTOMATIC = {"dpmpp": "Karras"}  # what "Automatic" means for samplers that begin so


def recognise(text: str) -> Sheet | None:
    """The sheet of a parameters text, or None if it is none."""
    text = text[:LONGEST].replace("\r\n", "\n").replace("\x00", "")
    lines = text.strip().split("\n")
    settings = _settings(lines[-1])
    if "Steps" not in settings:
        return None
    words = "\n".join(lines[:-1])
    prompt, _, negative = words.partition(f"\n{NEGATIVE}") if f"\n{NEGATIVE}" in words else ("", "", words.removeprefix(NEGATIVE)) \
        if words.startswith(NEGATIVE) else (words, "", "")
    return _sheet(prompt.strip(), negative.strip(), settings)


def _settings(line: str) -> dict[str, str]:
    found: dict[str, str] = {}
    at = 0
    while match := SETTING.match(line, at):
        name, value = match[1].strip(), match[2].strip()
        if value.startswith('"'):
            try:
                value = str(json.loads(value))
            except ValueError:
                value = value.strip('"')
        found.setdefault(name, value)
        if match.end() == at:
            break
        at = match.end()
    return found


def _sheet(prompt: str, negative: str, settings: dict[str, str]) -> Sheet:
    sheet = Sheet()

    def box(id: str, kind: str, links: dict[str, tuple[str, int]] = {}, **values: Any) -> str:  # noqa: B006 (only read)
        sheet.boxes[id] = Box(id, kind, values=values, links={name: Link(*link) for name, link in links.items()})
        return id

    model, text = (box("model", "CheckpointLoaderSimple", ckpt_name=settings.get("Model", settings.get("Model hash", ""))), 0), ("model", 1)
    loras = LORA.findall(prompt)
    for i, (name, weight) in enumerate(loras[:MOST_LORAS]):
        strength = _number(weight.partition(":")[0], 1.0)
        id = box(f"lora {i}", "LoraLoader", {"model": model, "clip": text}, lora_name=name, strength_model=strength, strength_clip=strength)
        model, text = (id, 0), (id, 1)
    skip = _whole(settings.get("Clip skip"), 1)
    if skip > 1:
        text = (box("skip", "CLIPSetLastLayer", {"clip": text}, stop_at_clip_layer=-skip), 0)
    positive = box("prompt", "CLIPTextEncode", {"clip": text}, text=LORA.sub("", prompt).strip())
    avoided = box("negative", "CLIPTextEncode", {"clip": text}, text=negative)
    width, height = _size(settings.get("Size"))
    hires = any(name.startswith("Hires") for name in settings)
    from_picture = "Denoising strength" in settings and not hires
    if from_picture:
        box("picture", "LoadImage", image="the picture it was made from")
        box("size", "ImageScale", {"image": ("picture", 0)}, upscale_method="lanczos", width=width, height=height, crop="disabled")
        start = box("start", "VAEEncode", {"pixels": ("size", 0), "vae": ("model", 2)})
    else:
        start = box("start", "EmptyLatentImage", width=width, height=height, batch_size=1)
    sampler, spacing = settings.get("Sampler", "Euler a"), settings.get("Schedule type", "Normal")
    if spacing == "Automatic":
        short = sampler.casefold().replace("++", "pp").replace(" ", "")
        spacing = next((meant for begin, meant in AUTOMATIC.items() if short.startswith(begin)), "Normal")
    box(
        "sampler", "KSampler",
        {"model": model, "positive": (positive, 0), "negative": (avoided, 0), "latent_image": (start, 0)},
        seed=_whole(settings.get("Seed"), 0), steps=_whole(settings.get("Steps"), 20), cfg=_number(settings.get("CFG scale"), 7.0),
        sampler_name=sampler, scheduler=spacing, denoise=1.0,
    )  # fmt: skip
    if from_picture:  # the web UI too takes only that part of the steps
        sheet.boxes["sampler"].values["strength"] = _number(settings["Denoising strength"], 0.75)
    box("decoded", "VAEDecode", {"samples": ("sampler", 0), "vae": ("model", 2)})
    box("saved", "SaveImage", {"images": ("decoded", 0)})
    if settings.get("RNG") != "CPU":
        sheet.remarks.append("the noise is another: the web UI draws it on the graphics card unless its RNG is set to CPU")
    unkept = dict.fromkeys(words for name, words in UNKEPT.items() if any(one == name or one.startswith(f"{name} ") for one in settings))
    if unkept:
        sheet.remarks.append(f"not kept: {', '.join(unkept)}")
    return sheet


def _number(text: Any, default: float) -> float:
    try:
        made = float(text)
        return made if abs(made) < 2**63 else default
    except (TypeError, ValueError):
        return default


def _whole(text: Any, default: int) -> int:
    match = re.fullmatch(r"\s*(-?\d{1,19})\s*", str(text))
    return int(match[1]) if match else default


def _size(text: Any) -> tuple[int, int]:
    match = re.fullmatch(r"\s*(\d{1,5})\s*[x×]\s*(\d{1,5})\s*", str(text))
    return (int(match[1]), int(match[2])) if match else (512, 512)
