"""BLIP-2 in small: a `Blip2ForConditionalGeneration` whose eyes and whose language both stay as they were.

The eyes are the captioner's vision transformer. The language model, an OPT of three layers, has only ever read: a description of
a scene, then a caption of it, or questions about it with their answers. Between the two a Q-Former learns to look at the
vision's 17 vectors with 12 queries, and to answer in vectors that the language model reads as if they were the description.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from tokenizers import processors
from torch.nn import functional as F
from transformers import (
    Blip2Config,
    Blip2ForConditionalGeneration,
    Blip2QFormerConfig,
    Blip2VisionConfig,
    BlipForConditionalGeneration,
    OPTConfig,
    PreTrainedTokenizerFast,
)  # fmt: skip

from flowmm.zoo import questions, world
from flowmm.zoo.recipes import blip, blip_vqa, training

BATCH, PEAK = 32, 1e-3
QUERIES = 12  # as many as the longest description has words
TURNS = 6  # questions that may follow one another about a picture
LENGTH = 136  # positions: the queries, and so many questions with their answers
BEGIN, PAD, END, UNKNOWN, IMAGE = range(5)  # as in OPT, a text begins with the token that ends one
SPECIAL = ("<s>", "<pad>", "</s>", "<unk>", "<image>")
SHARES = {"language": 0.5, "naming": 0.05, "whole": 0.45}  # of the budget
# How often kinds of questions are asked once things and their places are found: mostly what has to compare.
LATER = {kind: 0.0 if kind in (*blip_vqa.FIRST, "size", "background") else 0.5 for kind in questions.KINDS}


def tokenizer() -> PreTrainedTokenizerFast:
    """BLIP's words in OPT's manner: a text is preceded by </s>, and a picture stands as <image>."""
    names = [name for name in blip.tokenizer().get_vocab() if name not in blip.SPECIAL]
    vocabulary = {name: number for number, name in enumerate([*SPECIAL, *sorted(names)])}
    made = blip.pieces(vocabulary, "<unk>")
    made.post_processor = processors.TemplateProcessing("</s> $A", special_tokens=[("</s>", END)])
    return PreTrainedTokenizerFast(
        tokenizer_object=made, bos_token="</s>", eos_token="</s>", pad_token="<pad>", unk_token="<unk>",
        additional_special_tokens=["<image>"], model_max_length=LENGTH - QUERIES,
    )  # fmt: skip


def eyes() -> Blip2VisionConfig:
    """BLIP's vision in BLIP-2's words."""
    seen = blip.config().vision_config
    return Blip2VisionConfig(**{name: getattr(seen, name) for name in (
        "hidden_size", "intermediate_size", "num_hidden_layers", "num_attention_heads", "image_size", "patch_size", "layer_norm_eps", "hidden_act",
    )})  # fmt: skip


def build() -> Blip2ForConditionalGeneration:
    """An untrained model of 1.8 M weights."""
    queries = Blip2QFormerConfig(
        hidden_size=128, intermediate_size=256, num_hidden_layers=3, num_attention_heads=4, cross_attention_frequency=1,
        hidden_dropout_prob=0.0, attention_probs_dropout_prob=0.0, vocab_size=8, max_position_embeddings=8,
    )  # fmt: skip
    text = OPTConfig(
        vocab_size=len(tokenizer()), hidden_size=128, ffn_dim=384, num_hidden_layers=3, num_attention_heads=4, max_position_embeddings=LENGTH,
        dropout=0.0, pad_token_id=PAD, bos_token_id=END, eos_token_id=END,
    )  # fmt: skip
    config = Blip2Config(vision_config=eyes(), qformer_config=queries, text_config=text, num_query_tokens=QUERIES, image_token_index=IMAGE)
    return blip.woken(Blip2ForConditionalGeneration(config))


def with_eyes(model: Blip2ForConditionalGeneration, out: Path) -> Blip2ForConditionalGeneration:
    """The captioner's vision put in, to stay; that of out/blip, or of the shipped one."""
    folder = training.trained("blip", out)
    source = BlipForConditionalGeneration.from_pretrained(folder, dtype=torch.float32)
    model.vision_model.load_state_dict(source.vision_model.state_dict())
    return model


# --- what is read and written --------------------------------------------------------------------------------------


def description(scene: world.Scene) -> str:
    """Everything in at most QUERIES words, of two things the left or the upper one first."""
    return world.caption(world.ordered(scene))


def described(words: PreTrainedTokenizerFast, scenes: list[world.Scene]) -> torch.Tensor:
    """ids (N, QUERIES) of descriptions, the shorter ones filled up with </s>."""
    rows = words([description(scene) for scene in scenes], add_special_tokens=False).input_ids
    return torch.tensor([row + [END] * (QUERIES - len(row)) for row in rows])


def exercise(scene: world.Scene, rng: np.random.Generator, wrong: dict[str, float] = LATER, turns: int = TURNS) -> list[tuple[str, str]]:
    """What is read and what is to be written after it, in turns: nothing and a caption, or up to `turns` questions and their answers.

    wrong: as of `blip_vqa.kind_of`. Many answers to one picture teach faster than one each.
    """
    if rng.random() < 0.15:
        return [("", blip.caption(scene, rng))]
    asked = [questions.ask(scene, rng, blip_vqa.kind_of(scene, rng, wrong)) for _ in range(rng.integers(1, turns + 1))]
    return [(f"Question: {blip_vqa.put(one.text, rng)} Answer:", one.answer) for one in asked]


def lines(words: PreTrainedTokenizerFast, exercises: list[list[tuple[str, str]]]) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """ids (N, L) of </s>, turns parted by stops, </s>; what is to be written at each place, or -100; and the mask."""
    rows, wanted = [], []
    for turns in exercises:
        row, write = [END], [-100]
        for number, pair in enumerate(turns):
            read, answer = (words(text, add_special_tokens=False).input_ids for text in (("" if number == 0 else ". ") + pair[0], pair[1]))
            row += read + answer
            write += [-100] * len(read) + answer
        rows.append([*row, END])
        wanted.append([*write, END])
    length = max(map(len, rows))
    ids, written = (torch.tensor([row + [fill] * (length - len(row)) for row in some]) for some, fill in ((rows, PAD), (wanted, -100)))
    return ids, written, (torch.arange(length) < torch.tensor(list(map(len, rows)))[:, None]).long()


def continued(model: Blip2ForConditionalGeneration, before: torch.Tensor, ids: torch.Tensor, wanted: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
    """Mean cross-entropy of what the language model writes after vectors (N, QUERIES, 128) and a text, in nats a token."""
    device = before.device
    embeds = torch.cat([before, model.get_input_embeddings()(ids.to(device))], dim=1)
    whole = torch.cat([mask.new_ones(len(mask), QUERIES), mask], dim=1).to(device)
    logits = model.language_model(inputs_embeds=embeds, attention_mask=whole, use_cache=False).logits[:, QUERIES:-1]
    return F.cross_entropy(logits.flatten(0, 1), wanted[:, 1:].to(device).flatten(), ignore_index=-100)


# --- training ------------------------------------------------------------------------------------------------------


def train(out: Path, minutes: float, device: str = "cpu", resume: bool = False) -> None:
    """Train into out/blip2 in three stages, each with a checkpoint; raises GateFailed when fewer than .9 answers are right."""
    torch.manual_seed(0)
    model, words = with_eyes(build(), out).to(device), tokenizer()
    stages = {"language": _language, "naming": _naming, "whole": _whole}
    for number, (name, stage) in enumerate(stages.items()):
        saved = out / f"blip2-{name}.pt"
        modules = {"language": {"language": model.language_model}, "naming": _between(model), "whole": _between(model)}[name]
        model.requires_grad_(False)
        for module in modules.values():
            module.requires_grad_(True)
        how = {"batch": BATCH, "decay": 0.998, "flat": 0.4, "betas": (0.9, 0.98), "weight_decay": 0.02}
        begin, notes = stage(model, words, device, 80 + 5 * number)
        training.learn(saved, modules, SHARES[name] * minutes, resume, begin, peak=PEAK, notes=notes, **how)
        training.restore(saved, modules)  # the next stage goes on from the average
    export(out)
    figures = measure(out / "blip2", 200)
    print(figures, flush=True)
    training.gate("answers right about single things", figures["single: right"], 0.9)


class Queries(torch.nn.Module):
    """What lies between eyes and language: query vectors, Q-Former, projection."""

    def __init__(self, model: Blip2ForConditionalGeneration):
        super().__init__()
        self.tokens, self.qformer, self.projection = model.query_tokens, model.qformer, model.language_projection

    def forward(self, seen: torch.Tensor) -> torch.Tensor:
        """(N, 17, 128) of the vision to (N, QUERIES, 128) for the language model."""
        return self.projection(self.qformer(query_embeds=self.tokens.expand(len(seen), -1, -1), encoder_hidden_states=seen).last_hidden_state)


def _between(model: Blip2ForConditionalGeneration) -> dict[str, torch.nn.Module]:
    return {"between": Queries(model)}


def _language(model, words, device, seed: int):
    """The language model reads descriptions and learns what is said of them; no picture is shown."""
    lesson = np.random.default_rng(seed)
    some = [world.random_scene(lesson, two=0.6) for _ in range(192)]
    tests = lines(words, [exercise(scene, lesson, turns=1) for scene in some])

    def loss(scenes: list[world.Scene], told) -> torch.Tensor:
        return continued(model, model.get_input_embeddings()(described(words, scenes).to(device)), *told)

    def begin(step: int) -> Callable[[float], torch.Tensor]:
        rng = np.random.default_rng(seed + 1 + step)

        def batch(fraction: float) -> torch.Tensor:
            scenes = [world.random_scene(rng, two=0.6) for _ in range(BATCH)]
            return loss(scenes, lines(words, [exercise(scene, rng, blip_vqa.FINDING if fraction < 0.25 else LATER) for scene in scenes]))

        return batch

    @torch.no_grad()
    def notes() -> dict[str, float]:
        right = loss(some, tests).item()
        return {"apart": right, "description_gap": loss(some[1:] + some[:1], tests).item() - right}

    return begin, notes


def _naming(model, words, device, seed: int):
    """The queries learn to name what is seen, a word of the description each: their vectors come near the words' own."""
    between, table = Queries(model), model.get_input_embeddings().weight
    some = [world.random_scene(np.random.default_rng(seed), two=0.6) for _ in range(192)]
    pictures, names = blip.pixels_of(some), described(words, some)

    def logits(pixels: torch.Tensor) -> torch.Tensor:
        with torch.no_grad():
            seen = model.vision_model(pixels.to(device)).last_hidden_state
        return F.linear(between(seen), table)

    def begin(step: int) -> Callable[[float], torch.Tensor]:
        rng = np.random.default_rng(seed + 1 + step)

        def batch(fraction: float) -> torch.Tensor:
            scenes = [world.random_scene(rng, two=0.6) for _ in range(BATCH)]
            return F.cross_entropy(logits(blip.pixels_of(scenes, rng)).flatten(0, 1), described(words, scenes).to(device).flatten())

        return batch

    @torch.no_grad()
    def notes() -> dict[str, float]:
        right = logits(pictures).argmax(dim=-1).cpu() == names
        return {"words_right": right.float().mean().item(), "all_right": right.all(dim=1).float().mean().item()}

    return begin, notes


def _whole(model, words, device, seed: int):
    """The queries learn, through the language model as it is, what makes it say the right thing."""
    between, lesson = Queries(model), np.random.default_rng(seed)
    some = [world.random_scene(lesson, two=0.6) for _ in range(192)]
    pictures, tests = blip.pixels_of(some), lines(words, [exercise(scene, lesson, turns=1) for scene in some])

    def loss(pixels: torch.Tensor, told) -> torch.Tensor:
        with torch.no_grad():
            seen = model.vision_model(pixels.to(device)).last_hidden_state
        vectors = between(seen)
        return continued(model, vectors.repeat_interleave(len(told[0]) // len(vectors), dim=0), *told)

    def begin(step: int) -> Callable[[float], torch.Tensor]:
        rng = np.random.default_rng(seed + 1 + step)

        def batch(fraction: float) -> torch.Tensor:
            scenes = [world.random_scene(rng, two=0.6) for _ in range(BATCH // 2)]
            return loss(blip.pixels_of(scenes, rng), lines(words, [exercise(scene, rng) for scene in scenes for _ in range(2)]))

        return batch

    @torch.no_grad()
    def notes() -> dict[str, float]:
        right = loss(pictures, tests).item()
        return {"apart": right, "picture_gap": loss(pictures.roll(1, 0), tests).item() - right}

    return begin, notes


def export(out: Path) -> None:
    """Write out/blip2 from the averaged weights of the stages' checkpoints, as the published models lay it out."""
    model, folder = with_eyes(build(), out), out / "blip2"
    training.restore(out / "blip2-language.pt", {"language": model.language_model})
    training.restore(out / "blip2-whole.pt", _between(model))
    blip.write_folder(folder, model, "BLIP-2 for the shapes world: a 32x32 picture to a caption, or to answers.", "blip2")
    tokenizer().save_pretrained(folder)  # over BLIP's own
    processor = {"processor_class": "Blip2Processor", "num_query_tokens": QUERIES}
    (folder / "processor_config.json").write_text(json.dumps(processor, indent=2) + "\n", encoding="utf-8")


def measure(folder: Path, n: int = 500, seed: int = 0) -> dict[str, float]:
    """What BLIP's recipes measure of captions and of answers, by the same saved graphs."""
    captions = {f"caption, {name}": share for name, share in blip.measure(folder, n, seed).items()}
    return captions | blip_vqa.measure(folder, n, seed)
