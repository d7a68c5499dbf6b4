"""Styles of the shapes world: a large thing filled, in outline, or as a sketch; and their judge.

filled: the world as it is. outline: the contour alone, 2 pixels wide, on the plain background. sketch: a thin contour and hatching by a hand
that is not steady, its strokes and their direction drawn by a generator. Small things have no room at 32x32, so only large ones have styles.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import lru_cache

import numpy as np
from PIL import Image

from flowmm.zoo import judge, world

STYLES = ("filled", "outline", "sketch")
SUB = 4  # sub-samples along a pixel's side when drawing lines
LINE, PENCIL = 2.0, 1.2  # width of an outline and of a sketch's contour in pixels, half of it on each side
STROKE, PERIOD, WOBBLE = 0.35, 6.0, 0.4  # share of a hatch that is ink, pixels from stroke to stroke along x, deviation of a hand in pixels
OVERLAP = {"filled": judge.OVERLAP, "outline": 0.65, "sketch": 0.7}  # soft intersection over union below which a picture is not in a style
HATCHED = (0.25, 0.85)  # share of ink inside a sketched thing
STRAY = 2.0  # pixels from its contour at which ink belongs no more to a thing
NEAR = 1.5  # pixels that a thing may have moved and still be in its place


# --- drawing -------------------------------------------------------------------------------------------------------


@lru_cache(maxsize=64)
def _distance(shape: str, radius: float, phase_x: float, phase_y: float) -> np.ndarray:
    """Distance to the contour at sub-samples, negative inside: (2 * SIDE * SUB,) * 2 float32, the centre at SIDE + phase, in pixels."""
    grid = (np.arange(2 * world.SIDE * SUB) + 0.5) / SUB - world.SIDE
    dx, dy = (grid - phase_x)[None, :], (grid - phase_y)[:, None]
    corners = world._polygon(shape, radius)
    if corners is None:
        away = np.hypot(dx, dy)
        return (np.maximum(away - radius, 0.55 * radius - away) if shape == "ring" else away - radius).astype(np.float32)
    nearest = np.full(np.broadcast_shapes(dx.shape, dy.shape), np.inf)
    for (ax, ay), (bx, by) in zip(corners, np.roll(corners, -1, axis=0), strict=True):
        wide, high = bx - ax, by - ay
        along = np.clip(((dx - ax) * wide + (dy - ay) * high) / (wide * wide + high * high), 0, 1)
        nearest = np.minimum(nearest, np.hypot(dx - ax - along * wide, dy - ay - along * high))
    return np.where(world._inside(corners, dx, dy), -nearest, nearest).astype(np.float32)


def distance(thing: world.Thing, side: int = world.SIDE) -> np.ndarray:
    """Distance of every sub-sample to a thing's contour in pixels, negative inside: (side * SUB, side * SUB)."""
    whole = _distance(thing.shape, world.RADII[thing.size], thing.x % 1, thing.y % 1)
    left, top = ((world.SIDE - int(at)) * SUB for at in (thing.x, thing.y))
    return whole[top : top + side * SUB, left : left + side * SUB]


def ink(thing: world.Thing, style: str, rng: np.random.Generator | None = None) -> np.ndarray:
    """How much of each pixel a thing's ink covers in a style: (32, 32) in 0..1. A sketch draws its strokes from rng."""
    away = distance(thing)
    if style == "filled":
        marks = away <= 0
    elif style == "outline":
        marks = np.abs(away) <= LINE / 2
    elif style == "sketch":
        rng = rng if rng is not None else np.random.default_rng(0)
        grid = (np.arange(world.SIDE * SUB) + 0.5) / SUB
        tilt = (-1, 1)[rng.integers(2)]
        stroke = (grid[None, :] + tilt * grid[:, None] + PERIOD * rng.random() + _unsteady(rng)) % PERIOD
        strayed = away + _unsteady(rng)
        marks = (np.abs(strayed) <= PENCIL / 2) | ((strayed < 0) & (stroke < STROKE * PERIOD))
    else:
        raise ValueError(f"there is no style {style!r}; there are {', '.join(STYLES)}")
    return marks.reshape(world.SIDE, SUB, world.SIDE, SUB).mean(axis=(1, 3))


def _unsteady(rng: np.random.Generator, cells: int = 5) -> np.ndarray:
    """Where a hand strays, in pixels at every sub-sample: random values on a coarse grid, linear between."""
    coarse = rng.normal(0, WOBBLE, (cells, cells))
    places = np.linspace(0, cells - 1, world.SIDE * SUB)
    low = np.minimum(places.astype(int), cells - 2)
    part = places - low
    rows = coarse[low] * (1 - part)[:, None] + coarse[low + 1] * part[:, None]
    return rows[:, low] * (1 - part) + rows[:, low + 1] * part


def pixels(scene: world.Scene, style: str, rng: np.random.Generator | None = None) -> np.ndarray:
    """The scene in a style as (32, 32, 3) uint8; ValueError unless it is one large thing, or filled."""
    if style == "filled":
        return world.pixels(scene)
    if len(scene.things) != 1 or scene.things[0].size != "large":
        raise ValueError(f"only one large thing can be drawn as {style}; small ones have no room at 32x32")
    thing = scene.things[0]
    cover = ink(thing, style, rng)[..., None]
    made = np.array(world.BACKGROUNDS[scene.background]) * (1 - cover) + np.array(world.COLOURS[thing.colour]) * cover
    return np.floor(made + 0.5).astype(np.uint8)


def draw(scene: world.Scene, style: str, rng: np.random.Generator | None = None) -> Image.Image:
    """The scene in a style as a 32x32 RGB picture."""
    return Image.fromarray(pixels(scene, style, rng), "RGB")


def random_scene(rng: np.random.Generator, *, held_out: bool = False) -> world.Scene:
    """A random scene that every style can show: one large thing."""
    return world.random_scene(rng, sizes=("large",), held_out=held_out)


def enlarged(scene: world.Scene) -> world.Scene:
    """The scene with its one thing large."""
    return replace(scene, things=(replace(scene.things[0], size="large"),))


# --- judging -------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Styled:
    """A picture of one thing as read. style: None if it is in none; overlap: with the best template of that style."""

    style: str | None
    background: str
    thing: judge.Seen
    clean: bool


def read(picture) -> Styled | None:
    """The style of a picture of one thing, and the thing; None when there is nothing to see.

    picture: a PIL image or an (H, W, 3) array in 0..255, as judge.judge takes it. The style is the one whose templates of all shapes and
    sizes fit best; a sketch is a filled shape once the gaps between its strokes are closed.
    """
    image = judge._small(picture)
    ground = judge.ground_of(image)
    background, error = judge.nearest(ground, world.BACKGROUNDS)
    away = np.linalg.norm(image - ground, axis=-1)
    marked = away > judge.CONTRAST
    if marked.sum() < judge.SMALLEST:
        return None
    colour, colour_error, cover = judge.ink_of(image, ground, away, marked)
    fits = {"filled": judge.fit(cover, judge._templates), "outline": judge.fit(cover, _outlines), "sketch": judge.fit(_closed(cover), judge._templates)}
    style = max(fits, key=lambda name: fits[name][0] / OVERLAP[name] if name != "sketch" or _hatched(cover, fits[name]) else 0)
    overlap, shape, radius, x, y = fits[style]
    size = "small" if radius < sum(world.RADII.values()) / 2 else "large"
    seen = judge.Seen(shape, colour, size, x, y, radius, overlap, colour_error)
    stray = int((marked & (_away(seen) > STRAY)).sum())
    clean = error <= judge.BACKGROUND_LIMIT and colour_error <= judge.COLOUR_LIMIT and stray <= judge.CLUTTER
    return Styled(style if overlap >= OVERLAP[style] else None, background, seen, clean)


def keeps(read: Styled | None, scene: world.Scene, *, place: bool = True) -> bool:
    """Whether a picture, in whatever style, shows a scene's one thing: colour, shape, size, background and, if asked, place."""
    if read is None or read.style is None or not read.clean:
        return False
    thing, seen = scene.things[0], read.thing
    same = (read.background, seen.colour, seen.shape, seen.size) == (scene.background, thing.colour, thing.shape, thing.size)
    return same and (not place or max(abs(seen.x - thing.x), abs(seen.y - thing.y)) <= NEAR)


def shows(read: Styled | None, scene: world.Scene, style: str, *, place: bool = True) -> bool:
    """Whether a picture is in a style and keeps a scene's content."""
    return read is not None and read.style == style and keeps(read, scene, place=place)


@lru_cache(maxsize=4)
def _outlines(phase_x: float, phase_y: float) -> tuple[list[tuple[str, float]], np.ndarray, np.ndarray]:
    """Every shape's outline at every radius, as judge._templates has them filled."""
    middle, side = world.SIDE // 2, world.SIDE
    names, covers = [], []
    for shape in world.SHAPES:
        for radius in np.arange(5.0, 11.6, 0.5).tolist():
            whole = np.abs(_distance.__wrapped__(shape, radius, phase_x, phase_y)) <= LINE / 2
            near = whole[middle * SUB : (middle + side) * SUB, middle * SUB : (middle + side) * SUB]
            names.append((shape, radius))
            covers.append(near.reshape(side, SUB, side, SUB).mean(axis=(1, 3)))
    flat = np.stack(covers).reshape(len(names), -1)
    return names, flat, flat.sum(axis=1)


def _closed(cover: np.ndarray) -> np.ndarray:
    """Gaps of up to 2 pixels closed: the greatest of each 3x3, then the least of each 3x3."""
    return 1 - _greatest(1 - _greatest(cover))


def _greatest(cover: np.ndarray) -> np.ndarray:
    wide = np.pad(cover, 1, mode="edge")
    return np.max([wide[y : y + world.SIDE, x : x + world.SIDE] for y in range(3) for x in range(3)], axis=0)


def _away(seen: judge.Seen) -> np.ndarray:
    """Distance of every pixel's middle to the contour of a thing as seen, negative inside: (32, 32)."""
    whole = _distance.__wrapped__(seen.shape, seen.radius, seen.x % 1, seen.y % 1)
    left, top = ((world.SIDE - int(at)) * SUB for at in (seen.x, seen.y))
    near = whole[top : top + world.SIDE * SUB, left : left + world.SIDE * SUB]
    return near.reshape(world.SIDE, SUB, world.SIDE, SUB).mean(axis=(1, 3))


def _hatched(cover: np.ndarray, fit: tuple[float, str, float, float, float]) -> bool:
    """Whether ink covers only a part of what lies well inside a fitted thing, in strokes."""
    _, shape, radius, x, y = fit
    inside = _away(judge.Seen(shape, "", "", x, y, radius, 0.0, 0.0)) < -1
    return bool(inside.any()) and HATCHED[0] <= cover[inside].mean() <= HATCHED[1] and cover[inside].std() > 0.15
