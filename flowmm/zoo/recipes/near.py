"""Near misses: a scene changed in one thing, inside the trained pairs. What hard negatives are made of."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from flowmm.zoo import world


def recolour(scene: world.Scene, rng: np.random.Generator) -> world.Scene:
    """Another colour for one thing, among the trained pairs."""
    return _exchange(scene, rng, lambda thing, pair: pair[1] == thing.shape and pair[0] != thing.colour)


def reshape(scene: world.Scene, rng: np.random.Generator) -> world.Scene:
    """Another shape for one thing, among the trained pairs."""
    return _exchange(scene, rng, lambda thing, pair: pair[0] == thing.colour and pair[1] != thing.shape)


def _exchange(scene: world.Scene, rng: np.random.Generator, wanted) -> world.Scene:
    place = int(rng.integers(len(scene.things)))
    thing = scene.things[place]
    options = [pair for pair in world.TRAINED_PAIRS if wanted(thing, pair)]
    colour, shape = options[rng.integers(len(options))]
    things = list(scene.things)
    things[place] = replace(thing, colour=colour, shape=shape)
    return replace(scene, things=tuple(things))


def vary(scene: world.Scene, attribute: str, rng: np.random.Generator) -> world.Scene:
    """The other size, or another background."""
    if attribute == "size":
        thing = scene.things[0]
        return replace(scene, things=(replace(thing, size="small" if thing.size == "large" else "large"),))
    others = [background for background in world.BACKGROUNDS if background != scene.background]
    return replace(scene, background=others[rng.integers(len(others))])


def rebind(scene: world.Scene, rng: np.random.Generator) -> world.Scene:
    """The two things' colours exchanged; where that would show a held-out pair, another colour instead."""
    first, second = scene.things
    if world.HELD_OUT & {(first.colour, second.shape), (second.colour, first.shape)}:
        return recolour(scene, rng)
    return replace(scene, things=(replace(first, colour=second.colour), replace(second, colour=first.colour)))


def turn(scene: world.Scene, relation: str, rng: np.random.Generator) -> world.Scene:
    """The same two things, placed anew in a relation."""
    spots = world.place_two(rng, relation)
    things = tuple(replace(thing, x=x, y=y) for thing, (x, y) in zip(scene.things, spots, strict=True))
    return replace(scene, things=things, relation=relation)


def misses(scene: world.Scene, rng: np.random.Generator) -> list[world.Scene]:
    """A scene, and three that differ from it in one thing: colour, shape, size or background; of two, whose colour it is, and the relation."""
    if scene.relation is None:
        return [scene, recolour(scene, rng), reshape(scene, rng), vary(scene, ("size", "background")[rng.integers(2)], rng)]
    other = (recolour, reshape)[rng.integers(2)](scene, rng)
    return [scene, rebind(scene, rng), turn(scene, world.OPPOSITE[scene.relation], rng), other]
