"""BLIP for questions: a `BlipForQuestionAnswering` of 1.9 M weights, begun with the matcher's vision and text encoder and the captioner's decoder.

Its text encoder reads a question while it attends to the picture, its decoder attends to what was read and writes the answer.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from transformers import BertTokenizer, BlipForImageTextRetrieval, BlipForQuestionAnswering

from flowmm.zoo import questions, world
from flowmm.zoo.recipes import blip, training

PICTURES, ASKED, PEAK = 16, 4, 1e-3  # pictures in a batch, questions about each
FIRST = ("colour", "shape", "place", "where")
FINDING = {kind: float(kind in FIRST) for kind in questions.KINDS}  # how often each is asked at first: what finds a thing


def build() -> BlipForQuestionAnswering:
    """An untrained model."""
    return blip.woken(BlipForQuestionAnswering(blip.config()))


def begun(out: Path) -> BlipForQuestionAnswering:
    """A model that begins with what the matcher of out/blip-match, or the shipped one, and the captioner know.

    With the captioner's text alone, yes and no stayed near chance for 139k questions.
    """
    model = blip.begun(build(), out)
    folder = training.trained("blip-match", out)
    matcher = BlipForImageTextRetrieval.from_pretrained(folder, dtype=torch.float32)
    model.vision_model.load_state_dict(matcher.vision_model.state_dict())
    model.text_encoder.load_state_dict(matcher.text_encoder.state_dict())
    return model


def put(text: str, rng: np.random.Generator) -> str:
    """A question as people may type it: now and then without its question mark."""
    return text.removesuffix("?") if rng.random() < 0.15 else text


def kind_of(scene: world.Scene, rng: np.random.Generator, wrong: dict[str, float]) -> str:
    """A kind of question that fits the scene; what goes wrong more often is asked more often."""
    kinds = [kind for kind in questions.KINDS if scene.relation or kind != "relation"]
    shares = np.array([0.1 + wrong[kind] for kind in kinds])
    return kinds[rng.choice(len(kinds), p=shares / shares.sum())]


def loss(model: BlipForQuestionAnswering, words: BertTokenizer, pictures: torch.Tensor, asked: list[str], answers: list[str]) -> torch.Tensor:
    """Mean cross-entropy of the answers, in nats a token; as many questions about each picture, in turn."""
    device = model.device
    with torch.no_grad():
        seen = model.vision_model(pictures.to(device)).last_hidden_state.repeat_interleave(len(asked) // len(pictures), dim=0)
    ids, mask = (part.to(device) for part in blip.coded(words, asked))
    read = model.text_encoder(input_ids=ids, attention_mask=mask, encoder_hidden_states=seen).last_hidden_state
    return blip.written(model.text_decoder, *blip.to_write(words, answers, model.decoder_start_token_id), read, mask)


def train(out: Path, minutes: float, device: str = "cpu", resume: bool = False) -> None:
    """Train into out/blip-vqa; raises GateFailed when fewer than .9 of its answers are right."""
    torch.manual_seed(0)
    model, words = begun(out).to(device), blip.tokenizer()
    model.vision_model.requires_grad_(False)  # it sees enough: captions and verdicts are right
    drawn = np.random.default_rng(61)
    scenes = blip.apart(96, 0.0, False, 62) + blip.apart(160, 1.0, False, 63)
    asked, pictures = [questions.ask(scene, drawn) for scene in scenes], blip.pixels_of(scenes)
    wrong = dict(FINDING)

    def begin(step: int) -> Callable[[float], torch.Tensor]:
        rng = np.random.default_rng(64 + step)

        def batch(fraction: float) -> torch.Tensor:
            scenes = blip.scenes_for(rng, PICTURES, fraction + 0.05, ripe=0.07)
            shares = FINDING if fraction < 0.1 else wrong
            made = [questions.ask(scene, rng, kind_of(scene, rng, shares)) for scene in scenes for _ in range(ASKED)]
            return loss(model, words, blip.pixels_of(scenes, rng), [put(one.text, rng) for one in made], [one.answer for one in made])

        return batch

    @torch.no_grad()
    def notes() -> dict[str, float]:
        texts, answers = [one.text for one in asked], [one.answer for one in asked]
        gap = loss(model, words, pictures.roll(1, 0), texts, answers) - loss(model, words, pictures, texts, answers)
        said = answer(model, words, pictures, texts)
        figures = {"picture_gap": gap.item(), "right": float(np.mean([questions.right(*one) for one in zip(asked, said, strict=True)]))}
        kinds = by_kind(asked, said)
        wrong.update({kind: 1 - share for kind, share in kinds.items()})
        return figures | kinds

    training.learn(out / "blip-vqa.pt", {"blip": model}, minutes, resume, begin, peak=PEAK, batch=PICTURES * ASKED, decay=0.998, flat=0.4,
                   betas=(0.9, 0.98), weight_decay=0.02, notes=notes)  # fmt: skip
    export(out)
    figures = measure(out / "blip-vqa", 200)
    print(figures, flush=True)
    training.gate("answers right about single things", figures["single: right"], 0.9)


@torch.no_grad()
def answer(model: BlipForQuestionAnswering, words: BertTokenizer, pictures: torch.Tensor, asked: list[str]) -> list[str]:
    """The likeliest answers, by the library's own loop; a question a time, since it attends to padding."""
    ids, mask = blip.coded(words, asked)
    lengths, said = mask.sum(dim=1), [""] * len(asked)
    for length in lengths.unique().tolist():
        some = (lengths == length).nonzero().flatten()
        made = model.generate(ids[some, :length].to(model.device), pictures[some].to(model.device), mask[some, :length].to(model.device), max_new_tokens=6)
        for place, line in zip(some.tolist(), words.batch_decode(made, skip_special_tokens=True), strict=True):
            said[place] = line
    return said


def by_kind(asked: list[questions.Question], said: list[str]) -> dict[str, float]:
    """Shares of right answers, a kind of question each."""
    right = {kind: [questions.right(*one) for one in zip(asked, said, strict=True) if one[0].kind == kind] for kind in questions.KINDS}
    return {kind: float(np.mean(found)) for kind, found in right.items() if found}


def export(out: Path) -> None:
    """Write out/blip-vqa from the checkpoint's averaged weights."""
    model = build()
    training.restore(out / "blip-vqa.pt", {"blip": model})
    about = "BLIP for the shapes world: a question about a 32x32 picture to an answer of a word or three."
    blip.write_folder(out / "blip-vqa", model, about, "blip_vqa")


def measure(folder: Path, n: int = 500, seed: int = 0) -> dict[str, float]:
    """Shares of right answers by the graph `ask`, a question a picture, n about single things and n about pairs."""
    return measure_answers(blip.graph("ask", folder), n, seed)


def measure_answers(run: Callable, n: int, seed: int = 0) -> dict[str, float]:
    """What `measure` says, for any model that the graph `ask` runs."""
    figures, everything = {}, ([], [])
    for name, two, held_out in blip.GROUPS:
        scenes, rng = blip.apart(n, two, held_out, 65 + 1000 * seed), np.random.default_rng(66 + 1000 * seed)
        asked = [questions.ask(scene, rng, held_out=held_out) for scene in scenes]
        said = []
        for start in range(0, len(scenes), 50):
            some = slice(start, start + 50)
            said += run(image=blip.image_of(scenes[some]), question=[one.text for one in asked[some]]).answer
        figures[f"{name}: right"] = float(np.mean([questions.right(*one) for one in zip(asked, said, strict=True)]))
        if not held_out:
            everything[0].extend(asked)
            everything[1].extend(said)
    figures |= {f"{kind}: right": share for kind, share in by_kind(*everything).items()}
    started = time.perf_counter()
    for scene, one in zip(scenes[:8], asked, strict=False):
        run(image=blip.image_of([scene]), question=one.text)
    return figures | {"seconds an answer": (time.perf_counter() - started) / 8}
