"""How far the judge can be trusted: true pictures accepted, and pictures told with one wrong attribute refused."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from flowmm.zoo import judge, styles, world


def measure_judge(n: int = 1000, seed: int = 11) -> dict[str, float]:
    """Shares accepted of n true single pictures, n true pairs, and n with each one attribute told wrongly."""
    rng = np.random.default_rng(seed)
    scenes = [world.random_scene(rng, held_out=True) for _ in range(n)]
    pairs = [world.random_scene(rng, two=1.0, held_out=True) for _ in range(n)]
    readings = [judge.judge(world.draw(scene)) for scene in scenes]
    pair_readings = [judge.judge(world.draw(scene)) for scene in pairs]
    figures = {
        "true single accepted": _accepted(readings, [world.facts(scene) for scene in scenes]),
        "true pair accepted": _accepted(pair_readings, [world.facts(scene) for scene in pairs]),
    }
    for attribute in ("colour", "shape", "size", "background"):
        told = [told_wrong(world.facts(scene), attribute, rng) for scene in scenes]
        figures[f"single, wrong {attribute}, accepted"] = _accepted(readings, told)
    for attribute in ("colour", "shape", "background", "relation", "binding"):
        told = [told_wrong(world.facts(scene), attribute, rng) for scene in pairs]
        figures[f"pair, wrong {attribute}, accepted"] = _accepted(pair_readings, told)
    figures["pair told as single, accepted"] = _accepted(pair_readings, [replace(world.facts(scene), things=world.facts(scene).things[:1]) for scene in pairs])
    return figures | measure_styles(n, seed)


def measure_styles(n: int = 1000, seed: int = 11) -> dict[str, float]:
    """Shares accepted of n pictures evenly in every style, and of those told with another style or one other fact."""
    rng = np.random.default_rng(seed)
    scenes = [styles.random_scene(rng, held_out=True) for _ in range(n)]
    drawn = [styles.STYLES[number % len(styles.STYLES)] for number in range(n)]
    readings = [styles.read(styles.pixels(scene, style, rng)) for scene, style in zip(scenes, drawn, strict=True)]

    def accepted(told: list[world.Scene], in_style: list[str]) -> float:
        return float(np.mean([styles.shows(*one) for one in zip(readings, told, in_style, strict=True)]))

    figures = {"true styled accepted": accepted(scenes, drawn), "styled, wrong style, accepted": accepted(scenes, [_other(styles.STYLES, style, rng) for style in drawn])}
    for attribute in ("colour", "shape", "size", "background"):
        figures[f"styled, wrong {attribute}, accepted"] = accepted([_otherwise(scene, attribute, rng) for scene in scenes], drawn)
    moved = [replace(scene, things=(replace(scene.things[0], x=scene.things[0].x + (-3, 3)[rng.integers(2)]),)) for scene in scenes]
    return figures | {"styled, wrong place, accepted": accepted(moved, drawn)}


def _otherwise(scene: world.Scene, attribute: str, rng: np.random.Generator) -> world.Scene:
    """The scene with one attribute changed."""
    told = told_wrong(world.facts(scene), attribute, rng)
    wanted = told.things[0]
    return replace(scene, background=told.background, things=(replace(scene.things[0], shape=wanted.shape, colour=wanted.colour, size=wanted.size),))


def told_wrong(told: world.Facts, attribute: str, rng: np.random.Generator) -> world.Facts:
    """The facts with one attribute changed; 'binding' exchanges the two things' colours."""
    first = told.things[0]
    if attribute == "background":
        return replace(told, background=_other(world.BACKGROUNDS, told.background, rng))
    if attribute == "relation":
        return replace(told, relation=_other(world.RELATIONS, told.relation, rng))
    if attribute == "binding":
        second = told.things[1]
        return replace(told, things=(replace(first, colour=second.colour), replace(second, colour=first.colour)))
    options = {"colour": world.COLOURS, "shape": world.SHAPES, "size": world.RADII}[attribute]
    changed = replace(first, **{attribute: _other(options, getattr(first, attribute), rng)})
    return replace(told, things=(changed, *told.things[1:]))


def _other(options, now: str, rng: np.random.Generator) -> str:
    others = [option for option in options if option != now]
    return others[rng.integers(len(others))]


def _accepted(readings: list[judge.Reading], told: list[world.Facts]) -> float:
    return float(np.mean([judge.agrees(reading, facts) for reading, facts in zip(readings, told, strict=True)]))
