"""What Stable Diffusion's folder can do, through the saved graphs: text to image, inpainting, image to image.

The judge reads every picture; what the prompt leaves open is not asked for.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from transformers import CLIPModel, CLIPTokenizer

from flowmm.sockets import Image, Mask
from flowmm.zoo import judge, world
from flowmm.zoo.recipes import blip, clip, training

BATCH = 25
CELL = 4  # pixels a latent covers: a mask is widened to whole ones, as what it cuts through cannot be painted anew in part


def prompts(n: int, seed: int, held_out: bool) -> list[str]:
    """Prompts of one thing, evenly over the trained or the held-out pairs, with and without size and background."""
    rng = np.random.default_rng(seed)
    pairs = sorted(world.HELD_OUT) if held_out else world.TRAINED_PAIRS
    told = []
    for number in range(n):
        colour, shape = pairs[number % len(pairs)]
        scene = world.random_scene(rng)
        told.append(world.caption(replace(scene, things=(replace(scene.things[0], colour=colour, shape=shape),)), rng))
    return told


def generate(run: Callable, texts: list[str], seed: int, batch: int = BATCH, **given: np.ndarray) -> np.ndarray:
    """One picture (32, 32, 3) uint8 for each prompt by a graph, each from its own seed: seed, seed + 1, ...

    given: other inputs of the graph, arrays (N, C, 32, 32) uint8 with a row for each prompt.
    """
    made = []
    for start in range(0, len(texts), batch):
        some = slice(start, start + batch)
        inputs = {name: (Mask if name == "mask" else Image)(rows[some]) for name, rows in given.items()}
        image = run(prompt=texts[some], seed=seed + start, **inputs).image
        made += [np.asarray(image.to_pil(number)) for number in range(len(image))]
    return np.stack(made)


def asked(n: int, first: int) -> dict[str, list[str]]:
    """What every painter is asked: n prompts of one thing of trained and of held-out pairs, and a fifth of that many of two things."""
    rng = np.random.default_rng(first)
    return {"one thing, trained pairs": prompts(n, first, False), "one thing, held-out pairs": prompts(n, first, True),
            "two things": [world.caption(world.random_scene(rng, two=1.0), rng) for _ in range(fifth(n))]}  # fmt: skip


def fifth(n: int) -> int:
    """Draws of a figure that is looked at in passing, where n are drawn of those that answer an aim."""
    return max(n // 5, 4)


def right(pictures: np.ndarray, texts: list[str], parse: Callable[[str], world.Facts] = world.parse) -> float:
    """Share of pictures (N, 32, 32, 3) of which the judge finds everything told true."""
    return _share([judge.judge(picture) for picture in pictures], [parse(text) for text in texts])


def seconds_alone(run: Callable, texts: list[str], count: int = 8, **given: np.ndarray) -> dict[str, float]:
    """Seconds a picture that a graph draws alone, of the first few prompts; given as of `generate`."""
    started = time.perf_counter()
    generate(run, texts[:count], 2000, batch=1, **{name: rows[:count] for name, rows in given.items()})
    return {"seconds a picture": (time.perf_counter() - started) / len(texts[:count])}


def measure(folder: Path, n: int = 500, seed: int = 0) -> dict[str, float]:
    """Share of n (prompt, seed) draws the judge finds right, and seconds a picture drawn alone on one thread.

    Where CLIP lies beside the folder, it says apart which of the 48 colours and shapes it sees: a second opinion, as
    the judge's overlap is lenient on blobs.
    """
    run = blip.graph("text-to-image", folder)
    figures = one_thing(run, n, seed, folder.parent / "clip") | two_things(run, n, seed)
    figures |= in_chinese(run, n, seed)
    figures |= inpainting(blip.graph("inpaint", folder), n, seed) | image_to_image(blip.graph("image-to-image", folder), n, seed)
    return figures | seconds_alone(run, prompts(8, 21, False))


def one_thing(run: Callable, n: int, seed: int, beside: Path) -> dict[str, float]:
    """Of a single thing, evenly over the pairs of colour and shape."""
    figures = {}
    for name, held_out in (("trained pairs", False), ("held-out pairs", True)):
        texts = prompts(n, 20 + 1000 * seed, held_out)
        told = [world.parse(text) for text in texts]
        pictures = generate(run, texts, 1000 + 10_000 * seed)
        readings = [judge.judge(picture) for picture in pictures]
        pairs = [(one.things[0].colour, one.things[0].shape) for one in told]
        plain = [world.Facts((world.Wanted(shape, colour),)) for colour, shape in pairs]
        figures[f"{name}: colour and shape right"] = _share(readings, plain)
        figures[f"{name}: size and background too, where told"] = _share(readings, told)
        for attribute in ("colour", "shape"):
            each = [judge.agrees_in(reading, one, attribute) for reading, one in zip(readings, told, strict=True)]
            figures[f"{name}: {attribute} right"] = float(np.mean(each))
        if (beside / "config.json").exists():
            figures[f"{name}: right by CLIP"] = second_opinion(beside, pictures, [world.ALL_PAIRS.index(pair) for pair in pairs])
    return figures


def two_things(run: Callable, n: int, seed: int) -> dict[str, float]:
    """Of two things in a relation: all of it, and all but the relation."""
    figures = {}
    for name, held_out in (("two things", False), ("two things, one of them held out", True)):
        rng = np.random.default_rng(23 + 1000 * seed)
        texts = [world.caption(scene, rng) for scene in blip.apart(n, 1.0, held_out, 24 + 1000 * seed)]
        readings = [judge.judge(picture) for picture in generate(run, texts, 3000 + 10_000 * seed)]
        told = [world.parse(text) for text in texts]
        figures[f"{name}: all right"] = _share(readings, told)
        figures[f"{name}: both things right"] = _share(readings, [replace(one, relation=None) for one in told])
    return figures


def in_chinese(run: Callable, n: int, seed: int) -> dict[str, float]:
    """What is told in Chinese: of one thing, and of two in a relation."""
    figures = {}
    for name, two in (("one thing", 0.0), ("two things", 1.0)):
        rng = np.random.default_rng(27 + 1000 * seed)
        texts = [world.caption_zh(scene, rng) for scene in blip.apart(n, two, False, 28 + 1000 * seed)]
        figures[f"Chinese, {name}: all right"] = right(generate(run, texts, 4000 + 10_000 * seed), texts, world.parse_zh)
    return figures


# --- a part painted anew -------------------------------------------------------------------------------------------


def hole(thing: world.Thing) -> np.ndarray:
    """A mask (1, 32, 32) uint8, 255 over the place of a thing: wide enough for every shape of its size."""
    reach = 1.2 * world.RADII[thing.size] + 0.5  # a triangle's corners lie furthest out
    left, top = (int(max(centre - reach, 0) // CELL * CELL) for centre in (thing.x, thing.y))
    right, bottom = (int(-(-min(centre + reach, world.SIDE) // CELL) * CELL) for centre in (thing.x, thing.y))
    mask = np.zeros((1, world.SIDE, world.SIDE), dtype=np.uint8)
    mask[:, top:bottom, left:right] = 255
    return mask


def repair(rng: np.random.Generator, two: bool) -> tuple[np.ndarray, np.ndarray, str]:
    """A picture (3, 32, 32) uint8, a mask over one thing or over an empty place, and what the whole shall show, background named.

    Of one thing another shape and colour is to come in its place. Of two one is to become another, or to come where nothing is yet.
    """
    after = world.random_scene(rng, two=float(two))
    place = int(rng.integers(len(after.things)))
    thing, others = after.things[place], after.things[:place] + after.things[place + 1 :]
    if two and rng.random() < 0.5:
        before = replace(after, things=others, relation=None)
    else:
        pairs = [pair for pair in world.TRAINED_PAIRS if pair[0] != thing.colour and pair[1] != thing.shape]
        colour, shape = pairs[rng.integers(len(pairs))]
        before = replace(after, things=(replace(thing, colour=colour, shape=shape), *others))
    mask = hole(thing)
    return world.pixels(before).transpose(2, 0, 1), mask, world.caption(after)


def inpainting(run: Callable, n: int, seed: int) -> dict[str, float]:
    """Shares of pictures that show what was asked, and whose pixels outside of the mask are what they were."""
    figures = {}
    for name, two in (("inpainting, one thing", False), ("inpainting, one of two", True)):
        rng = np.random.default_rng(25 + 1000 * seed)
        pictures, masks, texts = zip(*(repair(rng, two) for _ in range(n)), strict=True)
        made = generate(run, list(texts), 5000 + 10_000 * seed, image=np.stack(pictures), mask=np.stack(masks))
        good = [judge.agrees(judge.judge(picture), world.parse(text)) for picture, text in zip(made, texts, strict=True)]
        outside = np.stack(masks)[:, 0] == 0
        kept = [np.array_equal(new[out], old.transpose(1, 2, 0)[out]) for new, old, out in zip(made, pictures, outside, strict=True)]
        figures[f"{name}: right"] = float(np.mean(good))
        figures[f"{name}: unchanged outside"] = float(np.mean(kept))
        figures[f"{name}: right and unchanged outside"] = float(np.mean(np.logical_and(good, kept)))
    return figures


def image_to_image(run: Callable, n: int, seed: int) -> dict[str, float]:
    """Share of pictures that show what was asked, begun from pictures of something else, the background told or not."""
    figures = {}
    for name, tell in (("background told", True), ("background not told", False)):
        rng = np.random.default_rng(26 + 1000 * seed)
        starts = np.stack([world.pixels(world.random_scene(rng)).transpose(2, 0, 1) for _ in range(n)])
        texts = [clip.tell(world.random_scene(rng), True, tell) for _ in range(n)]
        made = generate(run, texts, 7000 + 10_000 * seed, image=starts)
        figures[f"image to image, {name}: right"] = right(made, texts)
    return figures


def _share(readings: list[judge.Reading], told: list[world.Facts]) -> float:
    return float(np.mean([judge.agrees(reading, one) for reading, one in zip(readings, told, strict=True)]))


def second_opinion(folder: Path, pictures: np.ndarray, answers: list[int]) -> float:
    """Share of pictures in which the pack's CLIP, choosing among all 48 prompts, sees the right colour and shape."""
    model = CLIPModel.from_pretrained(folder, dtype=torch.float32).eval()
    return clip.zero_shot(model, CLIPTokenizer.from_pretrained(folder), training.to_tensor(pictures), answers)
