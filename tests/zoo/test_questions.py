"""Questions about scenes: true answers by another reading of their words, balance, near misses, silence about held-out pairs."""

import hashlib
import re
from collections import Counter

import numpy as np
import pytest

from flowmm.zoo import questions, world

YES_NO = ("there", "has", "relation")
FROZEN = "10f27e4876802250da9b748c585f907d83873639e0cdbbc59d2a9550ba1aacc5"  # sha256 of 200 questions and answers


def drawn(n, seed=0, two=0.5, held_out=False):
    rng = np.random.default_rng(seed)
    scenes = [world.random_scene(rng, two=two, held_out=held_out) for _ in range(n)]
    return [(scene, questions.ask(scene, rng, held_out=held_out)) for scene in scenes]


def named(text):
    """What a name in a question picks out: (colour or None, shape or None)."""
    words = re.findall("[a-z]+", text)
    return next((w for w in words if w in world.COLOURS), None), next((w for w in words if w in world.SHAPES), None)


def found(scene, name):
    colour, shape = named(name)
    return [thing for thing in scene.things if colour in (None, thing.colour) and shape in (None, thing.shape)]


def relation_of(text):
    for form, relation in {"left of": "left of", "right of": "right of", "above": "above", "over": "above", "below": "below", "under": "below"}.items():
        if re.search(rf"\b{form}\b", text):
            return form, relation
    return None, None


def stands(scene, first, second):
    return scene.relation if (first, second) == scene.things else world.OPPOSITE[scene.relation]


def read(scene, text):
    """The answer by reading the question's words, without knowing how it was made."""
    text = text.removesuffix("?").replace("color", "colour")
    plural = {questions.plural(shape): shape for shape in world.SHAPES}
    form, relation = relation_of(text)
    if text.startswith("how many"):
        if re.search("things are there|shapes|things are in|objects", text) and not named(text)[0]:
            return ("zero", "one", "two")[len(scene.things)]
        singular = " ".join(plural.get(word, word) for word in text.split())
        return ("zero", "one", "two")[len(found(scene, singular))]
    if text in ("is there one thing", "are there two things"):
        return "yes" if ("two" in text) == (len(scene.things) == 2) else "no"
    if relation and text.split()[0] in ("what", "which"):
        (thing,) = found(scene, text.split(form)[1])
        others = [other for other in scene.things if other is not thing and stands(scene, other, thing) == relation]
        return world.describe(others[0]) if others else "nothing"
    if relation:
        (first,), (second,) = (found(scene, part) for part in text.split(form))
        return "yes" if stands(scene, first, second) == relation else "no"
    if "background" in text:
        said = [word for word in text.split() if word in world.BACKGROUNDS]
        return scene.background if not said else "yes" if said == [scene.background] else "no"
    if place := re.search(r"(?:on|in) the (left|right|top|bottom|middle)$", text):
        places = {"left of": "left", "right of": "right", "above": "top", "below": "bottom"}
        at = {places[stands(scene, one, other)]: one for one in scene.things for other in scene.things if other is not one} or {"middle": scene.things[0]}
        return world.describe(at[place[1]]) if place[1] in at else "nothing"
    if text.startswith("where"):
        (thing,) = found(scene, text)
        if scene.relation is None:
            return "middle"
        (other,) = [other for other in scene.things if other is not thing]
        return {"left of": "left", "right of": "right", "above": "top", "below": "bottom"}[stands(scene, thing, other)]
    if "size" in text or "how large" in text or "large or small" in text:
        return found(scene, text)[0].size
    if text.split()[0] in ("is", "do", "can"):
        size = next((word for word in text.split() if word in world.RADII), None)
        return "yes" if any(size in (None, thing.size) for thing in found(scene, text)) else "no"
    (thing,) = found(scene, text)
    return thing.colour if "colour" in text and named(text)[0] is None else thing.shape


@pytest.mark.parametrize("held_out", [False, True])
def test_every_answer_is_true_by_another_reading(held_out):
    for scene, one in drawn(4000, held_out=held_out):
        assert read(scene, one.text) == one.answer, (world.caption(scene), one)


def test_the_same_seed_asks_the_same():
    assert [one for _, one in drawn(200, 3)] == [one for _, one in drawn(200, 3)]
    asked = "\n".join(f"{one.text} {one.answer}" for _, one in drawn(200, 7))
    assert hashlib.sha256(asked.encode()).hexdigest() == FROZEN  # on any machine


def test_yes_and_no_are_balanced_and_no_answer_is_the_only_one():
    asked = drawn(16000)
    answers = {kind: Counter(one.answer for _, one in asked if one.kind == kind) for kind in questions.KINDS}
    for kind in YES_NO:
        assert 0.44 < answers[kind]["yes"] / answers[kind].total() < 0.56, kind
    for kind in set(questions.KINDS) - set(YES_NO):
        assert len(answers[kind]) > 1 and answers[kind].most_common(1)[0][1] / answers[kind].total() < 0.8, kind


def test_what_is_asked_wrongly_is_near_the_truth():
    wrong = [(scene, one) for scene, one in drawn(6000, two=1.0) if one.kind == "there" and one.answer == "no"]
    pairs = [(scene, named(one.text)) for scene, one in wrong if None not in named(one.text)]
    assert len(pairs) > 60
    halves = [(colour in [t.colour for t in scene.things], shape in [t.shape for t in scene.things]) for scene, (colour, shape) in pairs]
    assert all(colour or shape for colour, shape in halves)
    assert 0.25 < np.mean([colour and shape for colour, shape in halves]) < 0.75  # of two things, one's colour and the other's shape


def test_a_held_out_pair_is_named_only_when_asked_for():
    def told(found):
        said = set()
        for _, one in found:
            text = f"{one.text} {one.answer}"
            said |= set(re.findall(rf"({'|'.join(world.COLOURS)}) ({'|'.join(world.SHAPES)})", text))
            if one.kind in ("there", "has"):  # "is the star red?" names a pair too
                said.add(named(one.text))
        return said & world.HELD_OUT

    assert not told(drawn(8000))
    assert told(drawn(8000, held_out=True)) == world.HELD_OUT


def test_every_word_is_listed_and_the_wording_varies():
    listed, texts = set(questions.words()), drawn(3000)
    assert all(word in listed for _, one in texts for word in re.findall("[a-z]+", f"{one.text} {one.answer}"))
    assert len(questions.words()) == len(listed)
    for kind in set(questions.KINDS) - {"background", "place"}:
        assert len({one.text for _, one in texts if one.kind == kind}) >= 15, kind


@pytest.mark.parametrize(
    ("answer", "said", "right"),
    [
        ("a red circle", "a red circle", True), ("a red circle", "The red circle.", True), ("a red circle", "red", False),
        ("a red circle", "a blue circle", False),
        ("two", "2", True), ("zero", "none", True), ("yes", "Yes.", True), ("yes", "yes no", False), ("grey", "gray", True), ("no", "", False),
        ("nothing", "nothing", True), ("nothing", "a red circle", False), ("large", "big", True),
    ],
)  # fmt: skip
def test_answers_are_right_whatever_their_dress(answer, said, right):
    assert questions.right(questions.Question("there", "?", answer), said) is right


def test_what_cannot_be_asked_says_so():
    scene, rng = world.random_scene(np.random.default_rng(0)), np.random.default_rng(0)
    with pytest.raises(ValueError, match="there is no kind of question 'smell'"):
        questions.ask(scene, rng, "smell")
    with pytest.raises(ValueError, match="wants a scene of two things"):
        questions.ask(scene, rng, "relation")
