"""Questions about a scene of the shapes world, with their exact answers.

Kinds: colour, shape, size, background, count, beside ("what is left of the circle?"), place ("what is on the left?"), where, and the
yes/no kinds there, has and relation, which are balanced; what is asked wrongly there is near the truth: another thing's colour, another value, the relation
turned round. A pair of colour and shape that is held out is never named unless asked for. Same generator, same questions.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

import numpy as np

from flowmm.zoo import world

KINDS = ("colour", "shape", "size", "background", "count", "beside", "place", "where", "there", "has", "relation")
YES, NO, NOTHING = "yes", "no", "nothing"
NUMBERS = ("zero", "one", "two")
PLACES = {"left of": "left", "right of": "right", "above": "top", "below": "bottom"}

# {thing}: "circle", "red circle" or "red thing"; {a}: the same with its article. The rest are words of the world.
_TEMPLATES = {
    "colour": ("what colour is the {shape}?", "what color is the {shape}?", "which colour is the {shape}?", "what is the colour of the {shape}?"),
    "colour, alone": ("what colour is it?", "what colour is the thing?", "what colour is the shape?"),
    "shape": ("what shape is the {colour} thing?", "what is the {colour} thing?", "which shape is {colour}?", "what is the shape of the {colour} thing?"),
    "shape, alone": ("what shape is it?", "what is it?", "what is there?", "what is in the picture?"),
    "size": ("what size is the {thing}?", "what is the size of the {thing}?", "is the {thing} large or small?", "how large is the {thing}?"),
    "background": ("what colour is the background?", "what is the background?", "which background is it?", "what is the colour of the background?"),
    "count": ("how many things are there?", "how many shapes are there?", "how many things are in the picture?", "how many objects do you see?"),
    "count, some": ("how many {colour} things are there?", "how many {plural} are there?", "how many {plural} do you see?"),
    "beside": ("what is {relation} the {thing}?", "which thing is {relation} the {thing}?", "what do you see {relation} the {thing}?"),
    "place": ("what is on the {place}?", "which thing is on the {place}?"),
    "where": ("where is the {thing}?", "where do you see the {thing}?"),
    "there": ("is there {a}?", "do you see {a}?", "is {a} in the picture?", "can you see {a}?"),
    "has, colour": ("is the {shape} {colour}?", "is the colour of the {shape} {colour}?"),
    "has, shape": ("is the {colour} thing a {shape}?", "is the shape of the {colour} thing a {shape}?"),
    "has, size": ("is the {thing} {size}?",),
    "has, background": ("is the background {background}?", "is it on a {background} background?"),
    "has, count": ("is there one thing?", "are there two things?"),
    "relation": ("is the {thing} {relation} the {other}?", "do you see the {thing} {relation} the {other}?"),
}  # fmt: skip
_SAID = {"left of": ("left of", "to the left of"), "right of": ("right of", "to the right of"), "above": ("above", "over"), "below": ("below", "under")}
_SAME = {
    "color": "colour", "gray": "grey", "big": "large", "little": "small", "1": "one", "2": "two", "0": "zero", "none": "zero", "true": "yes", "false": "no",
}  # fmt: skip


@dataclass(frozen=True)
class Question:
    """kind: one of KINDS. text: lower case, with its question mark. answer: one word, "nothing", or a thing ("a red circle")."""

    kind: str
    text: str
    answer: str


def right(question: Question, said: str) -> bool:
    """Whether an answer in words is the right one; articles, case, stops and other words for the same do not count."""
    return _bare(said) == _bare(question.answer)


def _bare(text: str) -> list[str]:
    return [_SAME.get(word, word) for word in re.findall(r"[a-z0-9]+", text.lower()) if word not in ("a", "an", "the")]


def words() -> list[str]:
    """Every word of questions and answers, in a fixed order."""
    said = [template for templates in _TEMPLATES.values() for template in templates]
    said += [form for forms in _SAID.values() for form in forms]
    found = [word for text in said for word in re.findall(r"[a-z]+", re.sub(r"\{.*?\}", " ", text))]
    fixed = [*world.COLOURS, *world.SHAPES, *map(plural, world.SHAPES), *world.BACKGROUNDS, *world.RADII, *PLACES.values(), *NUMBERS, "middle"]
    return list(dict.fromkeys([*found, *fixed, "a", "an", YES, NO, NOTHING]))


def plural(shape: str) -> str:
    """More than one: "crosses"."""
    return shape + ("es" if shape.endswith("s") else "s")


def ask(scene: world.Scene, rng: np.random.Generator, kind: str | None = None, held_out: bool = False) -> Question:
    """A question of a kind, any that fits the scene when None. held_out: held-out pairs may be named. ValueError for an unknown kind."""
    if kind is None:
        kinds = KINDS if scene.relation else tuple(kind for kind in KINDS if kind != "relation")
        kind = kinds[rng.integers(len(kinds))]
    elif kind not in KINDS:
        raise ValueError(f"there is no kind of question {kind!r}; there are {', '.join(KINDS)}")
    elif kind == "relation" and scene.relation is None:
        raise ValueError("a question of the kind 'relation' wants a scene of two things; this one has a single thing")
    return _Asker(scene, rng, held_out).ask(kind)


class _Asker:
    """One scene, and how a question about it is drawn."""

    def __init__(self, scene: world.Scene, rng: np.random.Generator, held_out: bool):
        self.scene, self.rng, self.held_out = scene, rng, held_out
        self.thing = self._one(scene.things)
        self.alone = scene.relation is None

    def ask(self, kind: str) -> Question:
        text, answer = getattr(self, f"_{kind}")()
        return Question(kind, text, answer)

    # --- kinds: text and answer ------------------------------------------------------------------------------------

    def _colour(self) -> tuple[str, str]:
        return self._say("colour, alone" if self._bare_is_enough() else "colour", shape=self.thing.shape), self.thing.colour

    def _shape(self) -> tuple[str, str]:
        return self._say("shape, alone" if self._bare_is_enough() else "shape", colour=self.thing.colour), self.thing.shape

    def _size(self) -> tuple[str, str]:
        return self._say("size", thing=self._name(self.thing)), self.thing.size

    def _background(self) -> tuple[str, str]:
        return self._say("background"), self.scene.background

    def _count(self) -> tuple[str, str]:
        if self._chance(0.5):
            return self._say("count"), NUMBERS[len(self.scene.things)]
        if self._chance(0.5):
            return self._say("count, some", colour=self.thing.colour, plural=plural(self.thing.shape)), "one"
        absent = {kind: self._other(kind, [getattr(thing, kind) for thing in self.scene.things]) for kind in ("colour", "shape")}
        return self._say("count, some", colour=absent["colour"], plural=plural(absent["shape"])), "zero"

    def _beside(self) -> tuple[str, str]:
        """Half of the time about the side where the other thing is."""
        there = None
        if not self.alone:
            other = next(thing for thing in self.scene.things if thing is not self.thing)
            there = self.scene.relation if self.thing is self.scene.things[1] else world.OPPOSITE[self.scene.relation]
        if there and self._chance(0.6):
            return self._say("beside", thing=self._name(self.thing), relation=self._one(_SAID[there])), world.describe(other)
        relation = self._one([relation for relation in world.RELATIONS if relation != there])
        return self._say("beside", thing=self._name(self.thing), relation=self._one(_SAID[relation])), NOTHING

    def _place(self) -> tuple[str, str]:
        """Of a single thing the middle is asked for, too."""
        relation = self.scene.relation
        places = {"middle": self.thing}
        if relation:
            places = dict(zip((PLACES[relation], PLACES[world.OPPOSITE[relation]]), self.scene.things, strict=True))
        if self._chance(0.75):
            place = self._one(tuple(places))
            return self._say("place", place=place).replace("on the middle", "in the middle"), world.describe(places[place])
        return self._say("place", place=self._one([place for place in PLACES.values() if place not in places])), NOTHING

    def _where(self) -> tuple[str, str]:
        if self.alone:
            return self._say("where", thing=self._name(self.thing)), "middle"
        relation = self.scene.relation if self.thing is self.scene.things[0] else world.OPPOSITE[self.scene.relation]
        return self._say("where", thing=self._name(self.thing)), PLACES[relation]

    def _there(self) -> tuple[str, str]:
        thing = self.thing
        if self._chance(0.5):
            return self._say("there", a=_with_article(self._name(thing))), YES
        kind, present = self._one(("colour", "shape", "pair")), [(one.colour, one.shape) for one in self.scene.things]
        if kind == "pair":
            # Near misses first: the colour or the shape of something in the picture, with another partner.
            pairs = [(colour, shape) for colour, shape in self._namable() if (colour, shape) not in present]
            near = [pair for pair in pairs if (pair[0] == thing.colour) != (pair[1] == thing.shape)]
            swapped = [pair for pair in pairs if not self.alone and pair[0] in [p[0] for p in present] and pair[1] in [p[1] for p in present]]
            colour, shape = self._one(swapped if swapped and self._chance(0.5) else near)
            return self._say("there", a=_with_article(f"{colour} {shape}")), NO
        value = self._other(kind, [getattr(one, kind) for one in self.scene.things])
        return self._say("there", a=_with_article(f"{value} thing" if kind == "colour" else value)), NO

    def _has(self) -> tuple[str, str]:
        truth, thing = self._chance(0.5), self.thing
        kind = self._one(("colour", "colour", "shape", "shape", "size", "background", "count"))
        answer = YES if truth else NO
        if kind == "count":
            return _TEMPLATES["has, count"][(len(self.scene.things) == 2) == truth], answer
        if kind == "background":
            background = self.scene.background if truth else self._one([name for name in world.BACKGROUNDS if name != self.scene.background])
            return self._say("has, background", background=background), answer
        if kind == "size":
            size = thing.size if truth else self._one([size for size in world.RADII if size != thing.size])
            return self._say("has, size", thing=self._name(thing), size=size), answer
        told = {"colour": thing.colour, "shape": thing.shape}
        if not truth:
            told[kind] = self._wrong(kind)
        return self._say(f"has, {kind}", **told), answer

    def _relation(self) -> tuple[str, str]:
        first, second = self.scene.things if self._chance(0.5) else self.scene.things[::-1]
        true = self.scene.relation if first is self.scene.things[0] else world.OPPOSITE[self.scene.relation]
        answer, relation = YES, true
        if self._chance(0.5):
            answer = NO
            relation = world.OPPOSITE[true] if self._chance(0.5) else self._one([other for other in world.RELATIONS if other != true])
        return self._say("relation", thing=self._name(first), other=self._name(second), relation=self._one(_SAID[relation])), answer

    # --- parts -----------------------------------------------------------------------------------------------------

    def _say(self, template: str, **filled: str) -> str:
        return self._one(_TEMPLATES[template]).format(**filled)

    def _name(self, thing: world.Thing) -> str:
        return self._one((thing.shape, f"{thing.colour} {thing.shape}", f"{thing.colour} thing"))

    def _bare_is_enough(self) -> bool:
        return self.alone and self._chance(0.3)

    def _other(self, kind: str, present: list[str]) -> str:
        return self._one([value for value in (world.COLOURS if kind == "colour" else world.SHAPES) if value not in present])

    def _wrong(self, kind: str) -> str:
        """Another colour (or shape) for the thing, half of the time the other thing's."""
        here = (self.thing.colour, self.thing.shape)
        at = 0 if kind == "colour" else 1
        options = [pair[at] for pair in self._namable() if pair[1 - at] == here[1 - at] and pair[at] != here[at]]
        others = [getattr(thing, kind) for thing in self.scene.things if thing is not self.thing and getattr(thing, kind) in options]
        return self._one(others if others and self._chance(0.5) else options)

    def _namable(self) -> tuple[tuple[str, str], ...]:
        return world.ALL_PAIRS if self.held_out else world.TRAINED_PAIRS

    def _chance(self, share: float) -> bool:
        return bool(self.rng.random() < share)

    def _one(self, options):
        return options[self.rng.integers(len(options))]


def _with_article(name: str) -> str:
    return f"{'an' if name[0] in 'aeiou' else 'a'} {name}"
