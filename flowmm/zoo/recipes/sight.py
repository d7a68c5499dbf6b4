"""What the two models that both read and draw share: eyes that name what they see, conversations about a picture, and their measures.

The eyes learn first, and alone: each patch of 4 x 4 pixels says in words what is there, in the language model's own vectors of words. A
language model that reads such patches then has to match words, which it does in text as well, and is spared the search for a common tongue.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from pathlib import Path

import numpy as np
import torch
from torch.nn import functional as F
from transformers import LlamaForCausalLM

from flowmm.zoo import questions, world
from flowmm.zoo.recipes import blip, blip_vqa, dalle1, sd_measure, tokens, training

PATCH, GRID = 4, world.SIDE // 4
TWO = 0.6  # share of pictures with two things
LOOKED_AT = 16  # pictures in a batch while the eyes learn
TURNS = 8  # questions and answers about a picture that follow one another
DESCRIBE = ("describe this image.", "describe the picture.", "what do you see?")
NAMES = {
    "colour": (questions.NOTHING, *world.COLOURS), "shape": (questions.NOTHING, *world.SHAPES), "size": (questions.NOTHING, *world.RADII),
    "place": (questions.NOTHING, *questions.PLACES.values(), "middle"), "background": tuple(world.BACKGROUNDS),
}  # fmt: skip

# --- eyes ----------------------------------------------------------------------------------------------------------


def named(scene: world.Scene) -> np.ndarray:
    """int64 (5, 64): what each patch is to say, a number in each of NAMES."""
    told = np.zeros((len(NAMES), GRID, GRID), dtype=np.int64)
    told[4] = NAMES["background"].index(scene.background)
    for thing, place in zip(scene.things, places(scene), strict=True):
        cover = world.coverage(thing.shape, world.RADII[thing.size], thing.x, thing.y).astype(np.int64)
        here = cover.reshape(GRID, PATCH, GRID, PATCH).sum(axis=(1, 3)) >= 0.2 * 64 * PATCH * PATCH
        for row, (kind, value) in enumerate((("colour", thing.colour), ("shape", thing.shape), ("size", thing.size), ("place", place))):
            told[row][here] = NAMES[kind].index(value)
    return told.reshape(len(NAMES), -1)


def places(scene: world.Scene) -> tuple[str, ...]:
    """Where each thing is, in a word."""
    if scene.relation is None:
        return ("middle",)
    return questions.PLACES[scene.relation], questions.PLACES[world.OPPOSITE[scene.relation]]


def naming_error(seen: torch.Tensor, table: dict[str, torch.Tensor], told: torch.Tensor) -> tuple[torch.Tensor, dict[str, float]]:
    """Cross-entropy of what patches (N, 64, D) say, things as heavy as the background; and of those with a thing, the shares that say each rightly.

    table: vectors of the words of NAMES.
    """
    error, right, thing = 0.0, {}, told[:, 0] > 0
    for row, kind in enumerate(NAMES):
        logits, wanted = F.linear(seen, table[kind]), told[:, row]
        error = error + F.cross_entropy(logits[thing], wanted[thing]) + F.cross_entropy(logits[~thing], wanted[~thing])
        right[kind] = (logits.argmax(dim=-1) == wanted)[thing].float().mean().item()
    return error / 2, right


def near_places() -> torch.Tensor:
    """Vectors (64, 128) of the patches' places, those of near ones alike: unrelated ones left shapes at chance for 15k pictures."""
    rows, columns = torch.meshgrid(torch.arange(GRID), torch.arange(GRID), indexing="ij")
    return dalle1.fourier(torch.stack([rows, columns], dim=-1).reshape(-1, 2) / 2, 128)


def learn_names(
    saved: Path, eyes: dict[str, torch.nn.Module], look: Callable[[torch.Tensor], torch.Tensor], table: dict[str, torch.Tensor], minutes: float,
    resume: bool, seed: int,
) -> None:  # fmt: skip
    """Train eyes until each patch names what it shows. look: pictures to (N, 64, D)."""
    device = table["colour"].device
    some, pictures = training.random_batch(np.random.default_rng(seed), 128, two=TWO)
    told = torch.from_numpy(np.stack([named(scene) for scene in some])).to(device)

    def begin(step: int) -> Callable[[float], torch.Tensor]:
        rng = np.random.default_rng(seed + 1 + step)

        def batch(fraction: float) -> torch.Tensor:
            scenes = [world.random_scene(rng, two=TWO) for _ in range(LOOKED_AT)]
            wanted = torch.from_numpy(np.stack([named(scene) for scene in scenes])).to(device)
            return naming_error(look(blip.pixels_of(scenes, rng).to(device)), table, wanted)[0]

        return batch

    @torch.no_grad()
    def notes() -> dict[str, float]:
        error, right = naming_error(look(pictures.to(device)), table, told)
        return {"apart": error.item()} | right

    training.learn(saved, eyes, minutes, resume, begin, peak=1e-3, batch=LOOKED_AT, decay=0.998, flat=0.3, betas=(0.9, 0.98), weight_decay=0.02,
                   notes=notes, least={"colour": (2, 0.8), "shape": (4, 0.5)})  # fmt: skip
    training.restore(saved, eyes)


# --- conversations -------------------------------------------------------------------------------------------------


def conversation(
    scene: world.Scene, rng: np.random.Generator, wrong: dict[str, float], turns: int = TURNS, describe: tuple[str, ...] = DESCRIBE,
) -> list[tuple[str, str]]:  # fmt: skip
    """Questions and answers about a scene in turn, one of ten the wish for a caption, some about what was asked just before.

    wrong: as of `blip_vqa.kind_of`. describe: ways to wish for a caption.
    """
    made = []
    while len(made) < turns:
        chance = rng.random()
        if chance < 0.1:
            made.append((describe[rng.integers(len(describe))], blip.caption(scene, rng)))
        elif chance < 0.2 and scene.relation is None:
            made.extend(followed(scene.things[0], rng))
        else:
            one = questions.ask(scene, rng, blip_vqa.kind_of(scene, rng, wrong))
            made.append((blip_vqa.put(one.text, rng), one.answer))
    return made[:turns]


def followed(thing: world.Thing, rng: np.random.Generator) -> list[tuple[str, str]]:
    """A question about a thing, and one that says "it"."""
    asked = {
        "colour": (f"what colour is the {thing.shape}?", thing.colour), "shape": ("what shape is in the picture?", thing.shape),
        "size": (f"what size is the {thing.shape}?", thing.size), "there": (f"is there {world.describe(thing)}?", questions.YES),
    }  # fmt: skip
    then = {"colour": "and what colour is it?", "shape": "and what shape is it?", "size": "and what size is it?"}
    first = ("colour", "shape", "size", "there")[rng.integers(4)]
    second = [kind for kind in then if kind != first][rng.integers(2 if first != "there" else 3)]
    return [asked[first], (then[second], asked[second][1])]


def shares(asked: list[questions.Question], right: list[bool]) -> dict[str, float]:
    """Shares of right answers: of all, and of each kind."""
    kinds = {kind: [good for one, good in zip(asked, right, strict=True) if one.kind == kind] for kind in questions.KINDS}
    return {"right": float(np.mean(right))} | {kind: float(np.mean(found)) for kind, found in kinds.items() if found}


def begun(model: torch.nn.Module, known: LlamaForCausalLM) -> None:
    """Give a language model the blocks of DALL-E 1's, as far as their names agree."""
    model.load_state_dict({name: value for name, value in known.model.state_dict().items() if not name.startswith("embed")}, strict=False)


@lru_cache(maxsize=1)
def dalle_words() -> dict[str, int]:
    """The ids DALL-E 1 has for words that are one token."""
    vocabulary = tokens.build().get_vocab()
    return {word: vocabulary[word + tokens.FINAL] for word in tokens.words()}


def dalle(out: Path) -> LlamaForCausalLM:
    """The transformer of out/dalle1, or the shipped one."""
    folder = training.trained("dalle1", out)
    return LlamaForCausalLM.from_pretrained(folder / "transformer", dtype=torch.float32)


# --- measuring, through the saved graphs ---------------------------------------------------------------------------


def measure(folder: Path, n: int, seed: int = 0) -> dict[str, float]:
    """Shares of right answers and captions, of right pictures, of answers to a second question that says "it", and of answers about drawings."""
    figures = {f"answers, {name}": share for name, share in blip_vqa.measure_answers(blip.graph("ask", folder), n, seed).items()}
    run = blip.graph("caption", folder)
    for name, two, held_out in blip.GROUPS[:2]:
        scenes = blip.apart(max(n // 2, 4), two, held_out, 53 + 1000 * seed)
        said = [line for start in range(0, len(scenes), 50) for line in run(image=blip.image_of(scenes[start : start + 50])).caption]
        figures[f"captions, {name}"] = float(np.mean([blip.true_of(*one) for one in zip(said, scenes, strict=True)]))
    return figures | measure_drawing(folder, n, seed) | measure_chat(folder, max(n // 5, 4), seed)


def measure_drawing(folder: Path, n: int, seed: int = 0) -> dict[str, float]:
    """Shares of pictures the judge finds right, and the seconds of one alone."""
    run, sets = blip.graph("text-to-image-codes", folder), sd_measure.asked(n, 20 + 1000 * seed)
    figures = {f"drawn, {name}": sd_measure.right(sd_measure.generate(run, texts, 1000 + 10_000 * seed), texts) for name, texts in sets.items()}
    return figures | sd_measure.seconds_alone(run, sets["one thing, trained pairs"], 4)


def measure_chat(folder: Path, n: int, seed: int = 0) -> dict[str, float]:
    """Shares of right second answers by the graph `chat`, and of drawings whose own reader says of them what the prompt asked."""
    rng, chat, both = np.random.default_rng(seed + 71), blip.graph("chat", folder), blip.graph("draw-and-ask", folder)
    found = []
    for scene in blip.apart(n, 0.0, False, seed + 72):
        (first, _), (second, wanted) = followed(scene.things[0], rng)
        said = chat(image=blip.image_of([scene]), first=first, second=second).second_answer.lines[0]
        found.append(questions.right(questions.Question("", second, wanted), said))
    agreed = []
    for number, text in enumerate(sd_measure.prompts(n, seed + 73, False)):
        thing = world.parse(text).things[0]
        said = both(prompt=text, question=f"what colour is the {thing.shape}?", seed=number).answer.lines[0]
        agreed.append(said == thing.colour)
    return {"chat, second answer": float(np.mean(found)), "drawn and asked, colour": float(np.mean(agreed))}
