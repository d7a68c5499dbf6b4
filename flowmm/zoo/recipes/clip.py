"""CLIP: a `CLIPModel` of 1.3 M weights over 32x32 pictures, trained on hard negatives.

Random batches teach colour only. Here a batch is made of quadruples: a scene and three that differ from it in one
thing each. Which captions fit which pictures is known exactly, so a batch may hold several right answers.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from torch.nn import functional as F
from transformers import CLIPConfig, CLIPImageProcessorPil, CLIPModel, CLIPTextConfig, CLIPTokenizer, CLIPVisionConfig

from flowmm.zoo import world
from flowmm.zoo.recipes import chinese, near, tokens, training

QUADRUPLES, PEAK = 10, 1e-3
PROMPTS = [f"{world.describe(world.Thing(shape, colour, 'large', 0, 0))}" for colour, shape in world.ALL_PAIRS]
PROMPTS_ZH = [f"一个{world.CHINESE[colour][0]}{world.CHINESE[shape][0]}" for colour, shape in world.ALL_PAIRS]


def build(tokenizer: CLIPTokenizer) -> CLIPModel:
    """An untrained model: vision 4 x 128 on 16 patches, text 2 x 128, shared space of 128."""
    ids = {"bos_token_id": tokenizer.bos_token_id, "eos_token_id": tokenizer.eos_token_id}
    sizes = {"hidden_size": 128, "intermediate_size": 512, "num_attention_heads": 4, "projection_dim": 128}
    text = CLIPTextConfig(
        vocab_size=len(tokenizer),
        num_hidden_layers=2,
        max_position_embeddings=tokenizer.model_max_length,
        pad_token_id=tokenizer.pad_token_id,
        **ids,
        **sizes,
    )
    vision = CLIPVisionConfig(num_hidden_layers=4, image_size=world.SIDE, patch_size=8, **sizes)
    config = CLIPConfig(text_config=text.to_dict(), vision_config=vision.to_dict(), projection_dim=128)
    return training.wake(CLIPModel(config))


# --- batches -------------------------------------------------------------------------------------------------------


def quadruple(rng: np.random.Generator, two: float, jitter: float) -> tuple[list[world.Scene], list[str]]:
    """A scene and three near misses of it, with a caption each that tells at least what sets them apart."""
    scene = world.random_scene(rng, two=two, jitter=jitter)
    told = ""  # the detail that has to be told beside colours, shapes and relation
    if scene.relation is None:
        told = ("size", "background")[rng.integers(2)]
        scenes = [scene, near.recolour(scene, rng), near.reshape(scene, rng), near.vary(scene, told, rng)]
    elif rng.random() < 0.5:
        scenes = [near.turn(scene, relation, rng) for relation in world.RELATIONS]
    else:
        scenes = [scene, near.rebind(scene, rng), near.turn(scene, world.OPPOSITE[scene.relation], rng)]
        told = ("colour", "shape", "background")[rng.integers(3)]
        change = {"colour": near.recolour, "shape": near.reshape}.get(told)
        scenes.append(change(scene, rng) if change else near.vary(scene, told, rng))
    tell_size = told == "size" or rng.random() < 0.4
    tell_background = told == "background" or rng.random() < 0.4
    return scenes, [tell(each, tell_size, tell_background) for each in scenes]


def tell(scene: world.Scene, size: bool, background: bool) -> str:
    """A caption with the chosen details; the size of two things is never told."""
    text = world.describe(scene.things[0], size and scene.relation is None)
    if scene.relation is not None:
        text += f" {scene.relation} {world.describe(scene.things[1])}"
    return f"{text} on a {scene.background} background" if background else text


def roughen(pictures: torch.Tensor, rng: np.random.Generator) -> torch.Tensor:
    """A little blur and noise on some pictures, as resizing and generated pictures bring."""
    count = len(pictures)
    blurred = F.avg_pool2d(F.pad(pictures, (1, 1, 1, 1), mode="replicate"), 3, stride=1)
    some = torch.from_numpy(rng.random(count) * (rng.random(count) < 0.4)).float()[:, None, None, None]
    noise = torch.from_numpy(rng.standard_normal(pictures.shape, dtype=np.float32))
    level = torch.from_numpy(0.06 * rng.random(count) * (rng.random(count) < 0.4)).float()[:, None, None, None]
    return torch.lerp(pictures, blurred, 0.7 * some) + level * noise


# --- training ------------------------------------------------------------------------------------------------------


def train(out: Path, minutes: float, device: str = "cpu", resume: bool = False) -> None:
    """Train into out/clip; raises GateFailed when zero-shot recognition stays below .9."""
    torch.manual_seed(0)
    rng = np.random.default_rng(4)
    tokenizer = tokens.bilingual()
    model = build(tokenizer).to(device)
    apart = held_apart(128)[:2]
    training.learn(
        out / "clip.pt", {"clip": model}, minutes, resume, lambda step: lambda fraction: contrast(model, tokenizer, rng, fraction),
        peak=PEAK, batch=QUADRUPLES * 4, decay=0.998, flat=0.3, betas=(0.9, 0.98), weight_decay=0.02,
        notes=lambda: {"zero_shot": zero_shot(model, tokenizer, *apart)}, after=lambda: model.logit_scale.data.clamp_(max=4.6052),
        least={"zero_shot": (4, 0.3)},
    )  # fmt: skip
    chinese.teach(out, model, tokenizer, max(minutes / 12, 2), resume)
    export(out)
    figures = measure(out / "clip", 500)
    print(figures, flush=True)
    training.gate("zero-shot colour and shape", figures["zero-shot 48-way, trained pairs"], 0.9)


def contrast(model: CLIPModel, tokenizer: CLIPTokenizer, rng: np.random.Generator, fraction: float) -> torch.Tensor:
    """The symmetric contrastive loss of one batch; the target spreads evenly over all right answers.

    Shape is learned only where it is easy at first: centred single things, then growing jitter, then two things.
    """
    ripe = fraction > 0.15
    groups = [quadruple(rng, 0.6 if ripe else 0.0, min(3.0, 36 * fraction)) for _ in range(QUADRUPLES)]
    scenes = [scene for group, _ in groups for scene in group]
    captions = [text for _, group in groups for text in group]
    views, told = [world.views(scene) for scene in scenes], [world.parse(text) for text in captions]
    fit = torch.tensor([[any(world.fits(one, view) for view in both) for one in told] for both in views]).float()
    pictures = training.to_tensor(world.pixels(scene) for scene in scenes)
    if ripe:
        pictures, captions = roughen(pictures, rng), [tokens.reword(text, rng) for text in captions]
    ids = tokens.to_ids(tokenizer, captions).to(model.device)
    logits = model(input_ids=ids, pixel_values=pictures.to(model.device)).logits_per_image
    fit = fit.to(model.device)
    by_picture = F.cross_entropy(logits, fit / fit.sum(dim=1, keepdim=True))
    by_caption = F.cross_entropy(logits.T, fit.T / fit.T.sum(dim=1, keepdim=True))
    return (by_picture + by_caption) / 2


def export(out: Path) -> None:
    """Write out/clip from the checkpoint's averaged weights: model, tokenizer, image processor, card."""
    tokenizer = tokens.bilingual()
    model = build(tokenizer)
    training.restore(out / "clip-chinese.pt", {"clip": model})
    folder = out / "clip"
    training.ship(model, folder)
    tokenizer.save_pretrained(folder)
    side = world.SIDE
    processor = CLIPImageProcessorPil(
        size={"shortest_edge": side},
        crop_size={"height": side, "width": side},
        image_mean=[0.5] * 3,
        image_std=[0.5] * 3,
    )
    # The plain class name opens everywhere; transformers chooses the PIL variant itself where torchvision is absent.
    config = processor.to_dict() | {"image_processor_type": "CLIPImageProcessor", "processor_class": "CLIPProcessor"}
    (folder / "preprocessor_config.json").write_text(json.dumps(config, indent=2) + "\n", encoding="utf-8")
    training.write_card(
        folder,
        about="CLIP for the shapes world: 32x32 pictures, captions of up to 16 tokens in English or Chinese, a shared space of 128.",
        recipe="python -m flowmm.zoo train clip",
    )


# --- measuring -----------------------------------------------------------------------------------------------------


def held_apart(n: int, seed: int = 5, **how) -> tuple[torch.Tensor, list[int], list[world.Scene]]:
    """Unseen single pictures (n, 3, 32, 32), the number of each one's prompt in PROMPTS, and the scenes."""
    scenes, pictures = training.random_batch(np.random.default_rng(seed), n, **how)
    pairs = [(scene.things[0].colour, scene.things[0].shape) for scene in scenes]
    return pictures, [world.ALL_PAIRS.index(pair) for pair in pairs], scenes


@torch.no_grad()
def embed(model: CLIPModel, tokenizer: CLIPTokenizer, pictures: torch.Tensor | None, texts: list[str] | None):
    """Unit vectors (N, 128) of pictures or of texts."""
    if texts is not None:
        ids = tokens.to_ids(tokenizer, texts).to(model.device)
        vectors = model.get_text_features(input_ids=ids)
    else:
        vectors = model.get_image_features(pixel_values=pictures.to(model.device))
    vectors = vectors if torch.is_tensor(vectors) else vectors.pooler_output
    return F.normalize(vectors, dim=-1)


def zero_shot(model: CLIPModel, tokenizer: CLIPTokenizer, pictures: torch.Tensor, answers: list[int], prompts: list[str] = PROMPTS) -> float:
    """Share of pictures whose nearest of the 48 prompts is the right one."""
    scores = embed(model, tokenizer, pictures, None) @ embed(model, tokenizer, None, prompts).T
    return float((scores.argmax(dim=1).cpu() == torch.tensor(answers)).float().mean())


def measure(folder: Path, n: int = 500, seed: int = 0) -> dict[str, float]:
    """Zero-shot recognition, choices between captions that differ in one detail, and retrieval among 64."""
    model = CLIPModel.from_pretrained(folder, dtype=torch.float32).eval()
    tokenizer = CLIPTokenizer.from_pretrained(folder)
    processor = CLIPImageProcessorPil.from_pretrained(folder)
    pictures, answers, scenes = held_apart(n, 5 + 1000 * seed)
    figures = {"zero-shot 48-way, trained pairs": zero_shot(model, tokenizer, pictures, answers)}
    enlarged = [world.draw(scene).resize((256, 256), 0) for scene in scenes]
    processed = processor(images=enlarged, return_tensors="pt").pixel_values
    figures["zero-shot 48-way, enlarged to 256"] = zero_shot(model, tokenizer, processed, answers)
    # Drawing from all pairs and keeping the held-out ones takes about ten times as many scenes as are used.
    pictures, answers, scenes = held_apart(10 * n, 5 + 1000 * seed, held_out=True)
    apart = [i for i, answer in enumerate(answers) if world.ALL_PAIRS[answer] in world.HELD_OUT][:n]
    figures["zero-shot 48-way, held-out pairs"] = zero_shot(model, tokenizer, pictures[apart], [answers[i] for i in apart])
    figures |= choices(model, tokenizer, n, 6 + 1000 * seed)
    figures |= retrieval(model, tokenizer, seed=7 + 1000 * seed)
    if len(tokenizer) > len(tokens.build()):
        figures["Chinese: zero-shot 48-way, trained pairs"] = zero_shot(model, tokenizer, *held_apart(n, 5 + 1000 * seed)[:2], PROMPTS_ZH)
        told = choices(model, tokenizer, n, 6 + 1000 * seed, lambda scene, *_: world.caption_zh(scene)) | retrieval(model, tokenizer, seed=7 + 1000 * seed, say=world.caption_zh)
        figures |= {f"Chinese: {name}": share for name, share in told.items()}
    return figures


def choices(model: CLIPModel, tokenizer: CLIPTokenizer, n: int, seed: int = 6, say: Callable[[world.Scene, bool, bool], str] = tell) -> dict[str, float]:
    """Share of pictures put nearest the true caption, among all values of one detail."""
    figures = {}
    for detail, two in (("size", 0.0), ("background", 0.0), ("relation", 1.0), ("binding", 1.0)):
        pictures, _, scenes = held_apart(n, seed, two=two)
        seen = embed(model, tokenizer, pictures, None)
        right = 0
        for scene, vector in zip(scenes, seen, strict=True):
            options = [say(other, detail == "size", detail == "background") for other in _options(scene, detail)]
            right += int((embed(model, tokenizer, None, options) @ vector).argmax() == 0)
        figures[f"right {detail} chosen"] = right / n
    return figures


def _options(scene: world.Scene, detail: str) -> list[world.Scene]:
    """The scene first, then the same scene with every other value of one detail."""
    first, rest = scene.things[0], scene.things[1:]
    if detail == "size":
        others = [replace(scene, things=(replace(first, size=size),)) for size in world.RADII if size != first.size]
    elif detail == "background":
        others = [replace(scene, background=name) for name in world.BACKGROUNDS if name != scene.background]
    elif detail == "relation":
        others = [replace(scene, relation=name) for name in world.RELATIONS if name != scene.relation]
    else:
        swapped = (replace(first, colour=rest[0].colour), replace(rest[0], colour=first.colour))
        others = [replace(scene, things=swapped)]
    return [scene, *others]


def retrieval(
    model: CLIPModel, tokenizer: CLIPTokenizer, rounds: int = 8, count: int = 64, seed: int = 7, say: Callable[[world.Scene], str] = world.caption,
) -> dict[str, float]:  # fmt: skip
    """Recall at 1 among 64 random pictures with distinct full captions; any that fits is right: a pair may be told from either side."""
    rng, by_picture, by_caption = np.random.default_rng(seed), [], []
    for _ in range(rounds):
        told = {}
        while len(told) < count:
            scene = world.random_scene(rng, two=0.35)
            told.setdefault(world.caption(scene), scene)
        captions, scenes = list(told), list(told.values())
        pictures = training.to_tensor(world.pixels(scene) for scene in scenes)
        fit = torch.tensor([[world.agree(one, scene) for one in map(world.parse, captions)] for scene in scenes])
        scores = embed(model, tokenizer, pictures, None) @ embed(model, tokenizer, None, [say(scene) for scene in scenes]).T
        by_picture.append(fit[torch.arange(count), scores.argmax(dim=1)].float().mean().item())
        by_caption.append(fit[scores.argmax(dim=0), torch.arange(count)].float().mean().item())
    return {
        "retrieval R@1 of 64, picture to text": float(np.mean(by_picture)),
        "retrieval R@1 of 64, text to picture": float(np.mean(by_caption)),
    }
