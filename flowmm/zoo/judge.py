"""Reads a picture of the shapes world back into facts, from its pixels alone (numpy only).

Background from the border, things as connected regions that differ from it, colour as the nearest palette entry
in CIE Lab, shape and size as the template with the greatest overlap over shapes, radii and positions.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from flowmm.zoo import world

OVERLAP = 0.75  # soft intersection over union below which a region is no shape
COLOUR_LIMIT = 25.0  # Lab distance beyond which a colour is none of the palette's
BACKGROUND_LIMIT = 20.0
CLUTTER = 5  # pixels that may differ from the background outside all things
SMALLEST = 12  # pixels a region needs to count as a thing
CONTRAST = 45.0  # RGB distance from the background at which a pixel belongs to a thing
WINDOW = 26  # side of the template window, pixels


@dataclass(frozen=True)
class Seen:
    """One thing as read: centre in pixels, radius of the best template, its overlap (0..1) and colour error (Lab)."""

    shape: str
    colour: str
    size: str
    x: float
    y: float
    radius: float
    overlap: float
    colour_error: float


@dataclass(frozen=True)
class Reading:
    """A whole picture as read. `clean`: every region is a good shape in a palette colour, and nothing else is there."""

    background: str
    background_error: float
    things: tuple[Seen, ...]
    clutter: int

    @property
    def clean(self) -> bool:
        """True when the picture is one the world could have drawn, within the limits above."""
        return (
            bool(self.things)
            and self.background_error <= BACKGROUND_LIMIT
            and self.clutter <= CLUTTER
            and all(thing.overlap >= OVERLAP and thing.colour_error <= COLOUR_LIMIT for thing in self.things)
        )


def lab(rgb: np.ndarray) -> np.ndarray:
    """sRGB in 0..255 (..., 3) to CIE Lab, D65."""
    linear = np.asarray(rgb, dtype=np.float64) / 255
    linear = np.where(linear <= 0.04045, linear / 12.92, ((linear + 0.055) / 1.055) ** 2.4)
    matrix = np.array([[0.4124, 0.3576, 0.1805], [0.2126, 0.7152, 0.0722], [0.0193, 0.1192, 0.9505]])
    xyz = linear @ matrix.T / np.array([0.9505, 1.0, 1.089])
    root = np.where(xyz > 0.008856, np.cbrt(xyz), 7.787 * xyz + 16 / 116)
    x, y, z = root[..., 0], root[..., 1], root[..., 2]
    return np.stack([116 * y - 16, 500 * (x - y), 200 * (y - z)], axis=-1)


def nearest(rgb: np.ndarray, palette: dict[str, tuple[int, int, int]]) -> tuple[str, float]:
    """The palette's name nearest to one RGB colour, and its Lab distance."""
    distances = np.linalg.norm(lab(np.array(list(palette.values()))) - lab(rgb), axis=-1)
    best = int(distances.argmin())
    return tuple(palette)[best], float(distances[best])


def judge(picture) -> Reading:
    """Read a picture: a PIL image or an (H, W, 3) array in 0..255, 32x32 or a whole multiple of it."""
    image = _small(picture)
    ground = ground_of(image)
    background, background_error = nearest(ground, world.BACKGROUNDS)
    away = np.linalg.norm(image - ground, axis=-1)
    things, clutter = [], 0
    for region in _regions(away > CONTRAST):
        if region.sum() < SMALLEST:
            clutter += int(region.sum())
        else:
            things.append(_read_thing(image, ground, away, region))
    return Reading(background, background_error, tuple(things), clutter)


def agrees(reading: Reading, told: world.Facts) -> bool:
    """Whether a clean reading shows all that is told: as many things, and every attribute that is named."""
    if not reading.clean or len(reading.things) != len(told.things):
        return False
    if told.background not in (None, reading.background):
        return False
    orders = [reading.things] if len(told.things) == 1 else [reading.things, reading.things[::-1]]
    return any(_told_of(told, order) for order in orders)


def agrees_in(reading: Reading, told: world.Facts, attribute: str) -> bool:
    """Whether the largest thing has the first wanted thing's 'shape', 'colour' or 'size', whatever else is wrong."""
    if not reading.things:
        return False
    thing = max(reading.things, key=lambda seen: seen.radius)
    return getattr(told.things[0], attribute) in (None, getattr(thing, attribute))


def _told_of(told: world.Facts, things: tuple[Seen, ...]) -> bool:
    for want, thing in zip(told.things, things, strict=True):
        if want.shape != thing.shape or want.colour not in (None, thing.colour) or want.size not in (None, thing.size):
            return False
    return told.relation is None or relation(things[0], things[1]) == told.relation


def relation(first: Seen, second: Seen) -> str:
    """Where the first thing is, seen from the second, along the axis on which they are further apart."""
    dx, dy = first.x - second.x, first.y - second.y
    if abs(dx) >= abs(dy):
        return "left of" if dx < 0 else "right of"
    return "above" if dy < 0 else "below"


def _small(picture) -> np.ndarray:
    """The picture as (32, 32, 3) float64 in 0..255, blocks averaged."""
    image = np.asarray(picture, dtype=np.float64)
    side = world.SIDE
    if image.ndim != 3 or image.shape[2] < 3 or image.shape[0] % side or image.shape[1] % side:
        raise ValueError(f"a picture is (H, W, 3) with H and W multiples of {side}, not {image.shape}")
    high, wide = image.shape[0] // side, image.shape[1] // side
    return image[..., :3].reshape(side, high, side, wide, 3).mean(axis=(1, 3))


def _regions(mask: np.ndarray) -> list[np.ndarray]:
    """The connected regions of a boolean picture (diagonals touch), each as a mask."""
    left, regions = mask.copy(), []
    while left.any():
        region = np.zeros_like(mask)
        stack = [tuple(np.argwhere(left)[0])]
        left[stack[0]] = False
        while stack:
            row, column = stack.pop()
            region[row, column] = True
            for r in range(max(row - 1, 0), min(row + 2, mask.shape[0])):
                for c in range(max(column - 1, 0), min(column + 2, mask.shape[1])):
                    if left[r, c]:
                        left[r, c] = False
                        stack.append((r, c))
        regions.append(region)
    return regions


def ground_of(image: np.ndarray) -> np.ndarray:
    """The background's RGB, the median of the border of a (32, 32, 3) picture."""
    return np.median(np.concatenate([image[0], image[-1], image[1:-1, 0], image[1:-1, -1]]), axis=0)


def _read_thing(image: np.ndarray, ground: np.ndarray, away: np.ndarray, region: np.ndarray) -> Seen:
    """Fit one region: its colour from the pixels furthest from the background, then the best template."""
    colour, colour_error, cover = ink_of(image, ground, away, region)
    overlap, shape, radius, x, y = fit(cover, _templates)
    size = "small" if radius < sum(world.RADII.values()) / 2 else "large"
    return Seen(shape, colour, size, x, y, radius, overlap, colour_error)


def ink_of(image: np.ndarray, ground: np.ndarray, away: np.ndarray, region: np.ndarray) -> tuple[str, float, np.ndarray]:
    """A region's colour and its error in Lab, and how much of each pixel in or beside the region that colour covers, (32, 32) in 0..1.

    ground: the background's RGB. away: each pixel's distance from it.
    """
    core = region & (away >= 0.8 * np.quantile(away[region], 0.95))
    ink = np.median(image[core], axis=0)
    colour, colour_error = nearest(ink, world.COLOURS)
    step = ink - ground
    cover = np.clip((image - ground) @ step / (step @ step), 0, 1)
    near = np.zeros_like(region)
    for row, column in np.argwhere(region):
        near[max(row - 1, 0) : row + 2, max(column - 1, 0) : column + 2] = True
    return colour, colour_error, np.where(near, cover, 0)


def fit(cover: np.ndarray, templates: Callable) -> tuple[float, str, float, float, float]:
    """The template with the greatest overlap: overlap, shape, radius, x, y.

    templates: from a sub-pixel phase (x, y) to names (shape, radius), square windows (N, side * side) in 0..1 and their areas.
    """
    grid = np.arange(world.SIDE) + 0.5
    weight = cover.sum()
    centre_x, centre_y = (cover.sum(axis=0) @ grid) / weight, (cover.sum(axis=1) @ grid) / weight
    best = (0.0, "", 0.0, 0.0, 0.0)
    half = math.isqrt(templates(0.0, 0.0)[1].shape[1]) // 2
    padded = np.pad(cover, 2 * half)
    for x in (np.round(centre_x * 2) + np.arange(-2, 3)) / 2:
        for y in (np.round(centre_y * 2) + np.arange(-2, 3)) / 2:
            names, windows, areas = templates(float(x % 1), float(y % 1))
            left, top = int(x) + half, int(y) + half
            window = padded[top : top + 2 * half, left : left + 2 * half].reshape(-1)
            shared = np.minimum(windows, window).sum(axis=1)
            overlaps = shared / (areas + weight - shared)
            top_one = int(overlaps.argmax())
            if overlaps[top_one] > best[0]:
                best = (float(overlaps[top_one]), *names[top_one], float(x), float(y))
    return best


@lru_cache(maxsize=4)
def _templates(phase_x: float, phase_y: float) -> tuple[list[tuple[str, float]], np.ndarray, np.ndarray]:
    """Every shape at every radius, centred at one sub-pixel phase: names, (N, 676) coverages in 0..1, (N,) areas."""
    middle = WINDOW // 2
    names = [(shape, radius) for shape in world.SHAPES for radius in np.arange(4.5, 11.6, 0.5).tolist()]
    covers = [world.coverage(shape, radius, middle + phase_x, middle + phase_y, WINDOW) for shape, radius in names]
    flat = np.stack(covers).reshape(len(names), -1) / (world.SUB * world.SUB)
    return names, flat, flat.sum(axis=1)
