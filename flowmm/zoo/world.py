"""The shapes world: 32x32 pictures of coloured shapes, their captions and their exact ground truth.

8 colours x 6 shapes x 3 plain backgrounds, two sizes, a jittered centre; one thing, or two in a relation.
Everything is integer arithmetic over numpy's PCG64, so one seed gives the same bytes on any machine.
Coordinates are pixels, x to the right and y down; pixel i covers [i, i + 1).
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path

import numpy as np
from PIL import Image

SIDE = 32
SUB = 8  # sub-samples along a pixel's side when covering it

# Spread in CIE Lab: no two entries, backgrounds included, are nearer than 39, and no colour is within 130 of a
# background in RGB, where a codec would lose the edge.
COLOURS = {
    "red": (210, 20, 40),
    "orange": (255, 130, 0),
    "yellow": (250, 225, 30),
    "green": (20, 140, 40),
    "cyan": (30, 215, 225),
    "blue": (20, 60, 230),
    "purple": (125, 0, 140),
    "pink": (255, 110, 195),
}
SHAPES = ("circle", "square", "triangle", "star", "cross", "ring")
BACKGROUNDS = {"white": (248, 248, 248), "grey": (140, 140, 140), "black": (12, 12, 12)}
RADII = {"small": 6.0, "large": 10.0}
RELATIONS = ("left of", "right of", "above", "below")

# Never drawn and never said in training, alone or in pairs: what a model does with them is composition.
HELD_OUT = frozenset({("red", "star"), ("green", "square"), ("blue", "ring"), ("yellow", "triangle"), ("purple", "cross")})
ALL_PAIRS = tuple((colour, shape) for colour in COLOURS for shape in SHAPES)
TRAINED_PAIRS = tuple(pair for pair in ALL_PAIRS if pair not in HELD_OUT)

# In Chinese; of several words for the same, the first is said when everything is told.
CHINESE = {
    "red": ("红色",), "orange": ("橙色", "橘色"), "yellow": ("黄色",), "green": ("绿色",), "cyan": ("青色",), "blue": ("蓝色",), "purple": ("紫色",),
    "pink": ("粉色", "粉红色"), "circle": ("圆形", "圆"), "square": ("方块", "正方形"), "triangle": ("三角形",), "star": ("星形", "五角星", "星星"),
    "cross": ("十字", "十字形"), "ring": ("圆环",), "small": ("小",), "large": ("大",), "white": ("白色背景",), "grey": ("灰色背景",),
    "black": ("黑色背景",), "left of": ("左边", "左侧"), "right of": ("右边", "右侧"), "above": ("上面", "上方"), "below": ("下面", "下方"),
}  # fmt: skip
_MEANT = {word: name for name, words in CHINESE.items() for word in words}
_CHINESE_WORD = re.compile("|".join(sorted(_MEANT, key=len, reverse=True)))  # the longest first: 粉红色 is not 红色

_SYNONYMS = {"big": "large", "little": "small", "tiny": "small", "gray": "grey", "violet": "purple", "plus": "cross"}
OPPOSITE = {"left of": "right of", "right of": "left of", "above": "below", "below": "above"}


@dataclass(frozen=True)
class Thing:
    """One shape: its size class and the centre of its mass in pixels (multiples of a half)."""

    shape: str
    colour: str
    size: str
    x: float
    y: float


@dataclass(frozen=True)
class Scene:
    """A whole picture. `relation` says where things[0] is, seen from things[1]; None for a single thing."""

    background: str
    things: tuple[Thing, ...]
    relation: str | None = None


@dataclass(frozen=True)
class Wanted:
    """What a caption asks of one thing; None means it does not say."""

    shape: str
    colour: str | None = None
    size: str | None = None


@dataclass(frozen=True)
class Facts:
    """What a caption asks of a picture; None means it does not say."""

    things: tuple[Wanted, ...]
    relation: str | None = None
    background: str | None = None


# --- drawing -------------------------------------------------------------------------------------------------------


def _polygon(shape: str, radius: float) -> np.ndarray | None:
    """The corners (N, 2) of a polygonal shape around its centre of mass, or None for round ones."""
    if shape == "square":
        return radius * 0.86 * np.array([(-1, -1), (1, -1), (1, 1), (-1, 1)])
    if shape == "triangle":
        turns, reach = np.arange(3) / 3, np.full(3, 1.2)
    elif shape == "star":
        turns, reach = np.arange(10) / 10, np.where(np.arange(10) % 2, 0.5, 1.15)
    elif shape == "cross":
        arm = 0.34
        corners = [(-arm, -1), (arm, -1), (arm, -arm), (1, -arm), (1, arm), (arm, arm)]
        return radius * np.array(corners + [(-x, -y) for x, y in corners])
    else:
        return None
    angle = 2 * np.pi * turns
    return radius * reach[:, None] * np.stack([np.sin(angle), -np.cos(angle)], axis=1)


def _inside(corners: np.ndarray, x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Even-odd test of points against a closed polygon; broadcasts over x and y."""
    inside = np.zeros(np.broadcast_shapes(x.shape, y.shape), dtype=bool)
    for (ax, ay), (bx, by) in zip(corners, np.roll(corners, -1, axis=0), strict=True):
        if ay != by:
            inside ^= ((ay > y) != (by > y)) & (x < (bx - ax) * (y - ay) / (by - ay) + ax)
    return inside


@lru_cache(maxsize=16384)
def coverage(shape: str, radius: float, x: float, y: float, side: int = SIDE) -> np.ndarray:
    """How many of each pixel's 64 sub-samples the shape covers: (side, side) uint8 in 0..64, read-only."""
    grid = (np.arange(side * SUB) + 0.5) / SUB
    dx, dy = (grid - x)[None, :], (grid - y)[:, None]
    corners = _polygon(shape, radius)
    if corners is not None:
        mask = _inside(corners, dx, dy)
    else:
        distance = dx * dx + dy * dy
        mask = distance <= radius * radius
        if shape == "ring":
            mask &= distance > (0.55 * radius) ** 2
    counts = mask.reshape(side, SUB, side, SUB).sum(axis=(1, 3)).astype(np.uint8)
    counts.flags.writeable = False
    return counts


def pixels(scene: Scene) -> np.ndarray:
    """The scene as (32, 32, 3) uint8."""
    full = SUB * SUB
    canvas = np.empty((SIDE, SIDE, 3), dtype=np.int32)
    canvas[:] = BACKGROUNDS[scene.background]
    for thing in scene.things:
        cover = coverage(thing.shape, RADII[thing.size], thing.x, thing.y).astype(np.int32)[..., None]
        canvas = (canvas * (full - cover) + np.array(COLOURS[thing.colour]) * cover + full // 2) // full
    return canvas.astype(np.uint8)


def draw(scene: Scene) -> Image.Image:
    """The scene as an anti-aliased 32x32 RGB picture."""
    return Image.fromarray(pixels(scene), "RGB")


# --- scenes --------------------------------------------------------------------------------------------------------


def random_pair(rng: np.random.Generator, held_out: bool = False) -> tuple[str, str]:
    """A colour and a shape, uniform over the trained pairs, or over all 48 when held_out is allowed."""
    pairs = ALL_PAIRS if held_out else TRAINED_PAIRS
    return pairs[rng.integers(len(pairs))]


def random_scene(
    rng: np.random.Generator,
    *,
    two: float = 0.0,
    jitter: float = 3.0,
    sizes: tuple[str, ...] = ("small", "large"),
    held_out: bool = False,
) -> Scene:
    """A random scene; held-out pairs only when asked for.

    two: the chance of two things in a relation (both small, different in colour and in shape).
    jitter: the largest offset of a single thing's centre from the middle, in pixels.
    """
    background = tuple(BACKGROUNDS)[rng.integers(len(BACKGROUNDS))]
    colour, shape = random_pair(rng, held_out)
    if rng.random() >= two:
        x, y = place(rng, jitter)
        return Scene(background, (Thing(shape, colour, sizes[rng.integers(len(sizes))], x, y),))
    while True:
        other_colour, other_shape = random_pair(rng, held_out)
        if other_colour != colour and other_shape != shape:
            break
    relation = RELATIONS[rng.integers(len(RELATIONS))]
    first, second = place_two(rng, relation)
    things = (Thing(shape, colour, "small", *first), Thing(other_shape, other_colour, "small", *second))
    return Scene(background, things, relation)


def place(rng: np.random.Generator, jitter: float = 3.0) -> tuple[float, float]:
    """A centre near the middle of the picture, on half pixels."""
    steps = int(jitter * 2)
    dx, dy = rng.integers(-steps, steps + 1, size=2) / 2
    return SIDE / 2 + float(dx), SIDE / 2 + float(dy)


def place_two(rng: np.random.Generator, relation: str) -> tuple[tuple[float, float], tuple[float, float]]:
    """Centres of two small things in a relation, at least a pixel apart and a little out of line."""
    ends = [SIDE * 0.25 + float(rng.integers(-1, 2)) / 2, SIDE * 0.75 + float(rng.integers(-1, 2)) / 2]
    sides = SIDE / 2 + rng.integers(-6, 7, size=2) / 2
    if relation in ("right of", "below"):
        ends.reverse()
    points = [(along, float(across)) for along, across in zip(ends, sides, strict=True)]
    if relation in ("above", "below"):
        points = [(across, along) for along, across in points]
    return points[0], points[1]


def reversed_view(scene: Scene) -> Scene:
    """The same picture told from the other thing; a single thing is returned as it is."""
    if scene.relation is None:
        return scene
    return replace(scene, things=scene.things[::-1], relation=OPPOSITE[scene.relation])


def ordered(scene: Scene) -> Scene:
    """Told from the left or the upper one of two things."""
    return reversed_view(scene) if scene.relation in ("right of", "below") else scene


# --- captions ------------------------------------------------------------------------------------------------------


def caption(scene: Scene, rng: np.random.Generator | None = None) -> str:
    """A true caption: everything told when rng is None, else size and background each half of the time.

    Two things are told without sizes, since both are small.
    """
    tell_size = rng is None or rng.random() < 0.5
    tell_background = rng is None or rng.random() < 0.5
    if scene.relation is None:
        tail = [describe(scene.things[0], tell_size)]
    else:
        tail = [describe(scene.things[0]), scene.relation, describe(scene.things[1])]
    if tell_background:
        tail.append(f"on a {scene.background} background")
    return " ".join(tail)


def describe(thing: Thing, size: bool = False) -> str:
    """One thing in words: 'a red circle', 'a large orange star', 'an orange star'."""
    words = f"{thing.size + ' ' if size else ''}{thing.colour} {thing.shape}"
    return f"{'an' if words[0] in 'aeiou' else 'a'} {words}"


def facts(scene: Scene) -> Facts:
    """Everything that is true of a scene."""
    things = tuple(Wanted(thing.shape, thing.colour, thing.size) for thing in scene.things)
    return Facts(things, scene.relation, scene.background)


def parse(text: str) -> Facts:
    """What a caption asks for, read from the world's words in order; ValueError if it names no shape."""
    words = [_SYNONYMS.get(word, word) for word in re.findall(r"[a-z]+", text.lower())]
    background = relation = colour = size = None
    things: list[Wanted] = []
    for here, word in enumerate(words):
        if word in BACKGROUNDS and words[here + 1 : here + 2] == ["background"]:
            background = word
        elif word in COLOURS:
            colour = word
        elif word in RADII:
            size = word
        elif word in ("above", "below"):
            relation = word
        elif word in ("left", "right") and words[here + 1 : here + 2] == ["of"]:
            relation = f"{word} of"
        elif word in SHAPES:
            things.append(Wanted(word, colour, size))
            colour = size = None
    if not things:
        raise ValueError(f"no shape is named in {text!r}; the world's shapes are {', '.join(SHAPES)}")
    return Facts(tuple(things), relation if len(things) == 2 else None, background)


def caption_zh(scene: Scene, rng: np.random.Generator | None = None) -> str:
    """A true caption in Chinese: as `caption` tells, and with rng in several orders and words.

    "白色背景上的一个大红色圆形", "一个红色圆形在一个蓝色方块的左边", "一个蓝色方块的左边有一个红色圆形".
    """
    tell_size = rng is None or rng.random() < 0.5
    tell_background = rng is None or rng.random() < 0.5

    def one(options: tuple[str, ...]) -> str:
        return options[0 if rng is None else rng.integers(len(options))]

    def said(name: str) -> str:
        return one(CHINESE[name])

    def named(thing: Thing, size: bool = False) -> str:
        size = said(thing.size) if size else ""
        return "一个" + one((f"{size}{said(thing.colour)}{said(thing.shape)}", f"{said(thing.colour)}的{size}{said(thing.shape)}"))

    if scene.relation is None:
        text = named(scene.things[0], tell_size)
        joined = (f"{{}}上的{text}", f"{{}}上有{text}", f"{text}，{{}}")
    else:
        first, second = (named(thing) for thing in scene.things)
        side = said(scene.relation)
        text = one((f"{first}在{second}的{side}", f"{second}的{side}有{first}"))
        joined = (f"{{}}上，{text}", f"{text}，{{}}")
    return one(joined).format(said(scene.background)) if tell_background else text


def parse_zh(text: str) -> Facts:
    """What a Chinese caption asks for, as `parse` reads English ones; ValueError if it names no shape.

    A size and a colour belong to the next shape. "甲在乙的左边" and "乙的左边有甲" say the same: where the side comes before the second
    shape, the first one named is what the side is seen from.
    """
    background = relation = colour = size = None
    things: list[Wanted] = []
    turned = False
    for word in _CHINESE_WORD.findall(text):
        name = _MEANT[word]
        if name in BACKGROUNDS:
            background = name
        elif name in COLOURS:
            colour = name
        elif name in RADII:
            size = name
        elif name in RELATIONS:
            relation, turned = name, len(things) == 1
        else:
            things.append(Wanted(name, colour, size))
            colour = size = None
    if not things:
        raise ValueError(f"no shape is named in {text!r}; the world's shapes are {', '.join(CHINESE[shape][0] for shape in SHAPES)}")
    if len(things) != 2:
        return Facts(tuple(things), None, background)
    return Facts(tuple(reversed(things) if turned else things), relation, background)


def views(scene: Scene) -> tuple[Facts, ...]:
    """Everything true of a scene, told from each thing in turn."""
    return (facts(scene),) if scene.relation is None else (facts(scene), facts(reversed_view(scene)))


def agree(told: Facts, scene: Scene) -> bool:
    """Whether everything told is true of the scene, from either thing's point of view."""
    return any(fits(told, view) for view in views(scene))


def fits(told: Facts, true: Facts) -> bool:
    """Whether nothing told contradicts the full facts of one view of a scene."""
    if len(told.things) != len(true.things) or told.background not in (None, true.background):
        return False
    if told.relation not in (None, true.relation):
        return False
    return all(
        want.shape == thing.shape and want.colour in (None, thing.colour) and want.size in (None, thing.size)
        for want, thing in zip(told.things, true.things, strict=True)
    )


# --- examples ------------------------------------------------------------------------------------------------------


def examples(folder: str | Path, n: int = 12, seed: int = 0, scale: int = 8, two: float = 0.25) -> list[Path]:
    """Write n example pictures, enlarged crisply, and `captions.json` {file: caption}; returns the PNG paths in order.

    The same seed writes the same pictures. No held-out pair is among them.
    """
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(seed)
    captions, paths = {}, []
    for number in range(n):
        scene = random_scene(rng, two=two)
        picture = draw(scene).resize((SIDE * scale, SIDE * scale), Image.Resampling.NEAREST)
        text = caption(scene)
        name = f"{number:02d}-{'-'.join(f'{thing.colour}-{thing.shape}' for thing in scene.things)}.png"
        picture.save(folder / name)
        captions[name] = text
        paths.append(folder / name)
    (folder / "captions.json").write_text(json.dumps(captions, indent=2) + "\n", encoding="utf-8")
    return paths
