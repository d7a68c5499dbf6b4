"""BLIP in small: a `BlipForConditionalGeneration` that writes captions, and what the three BLIP recipes share.

A vision transformer sees 32x32 pictures in patches of 8; a text transformer attends to its 17 vectors. The other two recipes
begin with what this one has learned, as in the paper, where one training comes before all tasks.
"""

from __future__ import annotations

import json
import string
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers
from torch import nn
from torch.nn import functional as F
from transformers import BertTokenizer, BlipConfig, BlipForConditionalGeneration, BlipImageProcessorPil

import flowmm
from flowmm.sockets import Image
from flowmm.zoo import questions, world
from flowmm.zoo.recipes import clip, tokens, training

BATCH, PEAK = 32, 1e-3
LENGTH = 32  # tokens of context; the longest caption or question has 18 with both ends
PAD, UNKNOWN, CLS, SEP, MASK = range(5)
SPECIAL = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]")
OPENINGS = ("a picture of", "a photo of", "a drawing of", "an image of")

# --- parts all BLIP recipes share ----------------------------------------------------------------------------------


def tokenizer() -> BertTokenizer:
    """Every word of captions, questions and answers is one token; other words fall apart into letters."""
    letters = string.ascii_lowercase + string.digits
    whole = [word for word in dict.fromkeys([*tokens.words(), *questions.words()]) if len(word) > 1]
    names = [*SPECIAL, *whole, *letters, *(f"##{letter}" for letter in letters), "?", ".", ",", "!", ":"]
    return BertTokenizer(vocab={name: number for number, name in enumerate(names)}, model_max_length=LENGTH)


def pieces(vocabulary: dict[str, int], unknown: str) -> Tokenizer:
    """A tokenizer of whole words and pieces of others, as BERT has it; space and case do not count."""
    made = Tokenizer(models.WordPiece(vocabulary, unk_token=unknown))
    made.normalizer, made.pre_tokenizer = normalizers.BertNormalizer(lowercase=True), pre_tokenizers.BertPreTokenizer()
    made.decoder = decoders.WordPiece()
    return made


def config() -> BlipConfig:
    """Vision 4 x 128, text 3 x 128; as in the published models, the id that begins a text is not the tokenizer's."""
    words = len(tokenizer())
    vision = {"hidden_size": 128, "intermediate_size": 384, "num_hidden_layers": 4, "num_attention_heads": 4, "image_size": world.SIDE, "patch_size": 8}
    text = {
        "vocab_size": words + 2, "hidden_size": 128, "intermediate_size": 256, "num_hidden_layers": 3, "num_attention_heads": 4,
        "max_position_embeddings": LENGTH, "bos_token_id": words, "eos_token_id": CLS, "pad_token_id": PAD, "sep_token_id": SEP,
    }  # fmt: skip
    return BlipConfig(text_config=text, vision_config=vision, image_text_hidden_size=128)


def woken(model: nn.Module) -> nn.Module:
    """`training.wake`, and the positions too, which BLIP starts at nothing and keeps outside of any layer."""
    training.wake(model)
    for name, parameter in model.named_parameters():
        if name.endswith(("position_embedding", "class_embedding", "query_tokens")):
            nn.init.normal_(parameter, std=0.3)
    return model


def begun(model: nn.Module, out: Path) -> nn.Module:
    """A BLIP that begins with the captioner's vision and text; the captioner of out/blip, or the shipped one."""
    folder = training.trained("blip", out)
    source = BlipForConditionalGeneration.from_pretrained(folder, dtype=torch.float32)
    model.vision_model.load_state_dict(source.vision_model.state_dict())
    for name in ("text_encoder", "text_decoder"):
        if hasattr(model, name):
            part = getattr(model, name)
            getattr(part, "bert", part).load_state_dict(source.text_decoder.bert.state_dict())
    return model


def coded(words: BertTokenizer, texts: list[str]) -> tuple[torch.Tensor, torch.Tensor]:
    """ids and mask int64 (N, L), [CLS] … [SEP], padded on the right."""
    made = words(texts, padding=True, return_tensors="pt")
    return made.input_ids, made.attention_mask


def to_write(words: BertTokenizer, texts: list[str], begin: int) -> tuple[torch.Tensor, torch.Tensor]:
    """What a decoder reads, (N, L) from `begin` to the last word, and what it is to write, from the first word to [SEP]; -100 after."""
    ids, mask = coded(words, texts)
    read = ids.clone()
    read[:, 0] = begin
    return read[:, :-1], ids[:, 1:].masked_fill(mask[:, 1:] == 0, -100)


def veiled(read: torch.Tensor, words: BertTokenizer, rng: np.random.Generator, share: float = 0.35) -> torch.Tensor:
    """What a decoder reads, some colours covered: a shape has to be seen, and not guessed from the colours it goes with in training."""
    colours = torch.tensor(words.convert_tokens_to_ids(list(world.COLOURS)))
    covered = torch.isin(read, colours) & torch.from_numpy(rng.random(read.shape) < share)
    return read.masked_fill(covered, MASK)


def written(
    decoder: nn.Module, read: torch.Tensor, wanted: torch.Tensor, seen: torch.Tensor, mask: torch.Tensor | None = None, weight: torch.Tensor | None = None,
) -> torch.Tensor:  # fmt: skip
    """Mean cross-entropy, in nats a token, of texts written by a decoder that attends to `seen` (N, S, 128). weight: of each id."""
    device = seen.device
    logits = decoder(input_ids=read.to(device), encoder_hidden_states=seen, encoder_attention_mask=mask, is_decoder=True, use_cache=False).logits
    return F.cross_entropy(logits.flatten(0, 1), wanted.to(device).flatten(), weight, ignore_index=-100)


def scenes_for(rng: np.random.Generator, count: int, fraction: float, ripe: float = 0.1) -> list[world.Scene]:
    """Scenes as a curriculum has them: single things near the middle first, then up to the full jitter and most of them pairs."""
    two = 0.0 if fraction < ripe else 0.65
    return [world.random_scene(rng, two=two, jitter=min(3.0, 36 * fraction)) for _ in range(count)]


def pixels_of(scenes: list[world.Scene], rng: np.random.Generator | None = None) -> torch.Tensor:
    """(N, 3, 32, 32) in [-1, 1]; some of them a little rough when a generator is given."""
    pictures = training.to_tensor(world.pixels(scene) for scene in scenes)
    return pictures if rng is None else clip.roughen(pictures, rng)


def write_folder(folder: Path, model: nn.Module, about: str, name: str, **card) -> None:
    """Model, tokenizer, image processor and card, as the published models lay them out."""
    training.ship(model, folder)
    tokenizer().save_pretrained(folder)
    side = world.SIDE
    processor = BlipImageProcessorPil(size={"height": side, "width": side}, image_mean=[0.5] * 3, image_std=[0.5] * 3)
    # The plain class name opens everywhere; transformers chooses the PIL variant itself where torchvision is absent.
    settings = processor.to_dict() | {"image_processor_type": "BlipImageProcessor", "processor_class": "BlipProcessor"}
    (folder / "preprocessor_config.json").write_text(json.dumps(settings, indent=2) + "\n", encoding="utf-8")
    training.write_card(folder, about=about, recipe=f"python -m flowmm.zoo train {name}", **card)


# --- captions ------------------------------------------------------------------------------------------------------


def build() -> BlipForConditionalGeneration:
    """An untrained captioner of 1.3 M weights."""
    return woken(BlipForConditionalGeneration(config()))


def caption(scene: world.Scene, rng: np.random.Generator) -> str:
    """What it is taught to say: size and background most of the time, so that they are told when the likeliest is written.

    Of two things the left or the upper one mostly comes first: in any order, which of them is where stayed at chance for 85k pictures.
    """
    scene = world.ordered(scene) if rng.random() < 0.75 else scene
    text = clip.tell(scene, rng.random() < 0.85, rng.random() < 0.85)
    return f"{OPENINGS[rng.integers(len(OPENINGS))]} {text}" if rng.random() < 0.1 else text


def train(out: Path, minutes: float, device: str = "cpu", resume: bool = False) -> None:
    """Train into out/blip; raises GateFailed when fewer than .9 of its captions are right."""
    torch.manual_seed(0)
    model, words = build().to(device), tokenizer()
    start = model.config.text_config.bos_token_id
    apart = np.random.default_rng(51)
    some = [world.random_scene(apart, two=0.5) for _ in range(192)]
    pictures = pixels_of(some).to(device)
    told = to_write(words, [world.caption(scene) for scene in some], start)
    shuffled = to_write(words, [world.caption(scene) for scene in some[1:] + some[:1]], start)
    # Which of two things is where is learned last by far, and is a word or two of a dozen.
    weight = torch.ones(model.config.text_config.vocab_size, device=device)
    weight[words.convert_tokens_to_ids(["left", "right", "above", "below"])] = 4.0

    def begin(step: int) -> Callable[[float], torch.Tensor]:
        rng = np.random.default_rng(52 + step)

        def batch(fraction: float) -> torch.Tensor:
            scenes = scenes_for(rng, BATCH, fraction)
            seen = model.vision_model(pixels_of(scenes, rng).to(device)).last_hidden_state
            read, wanted = to_write(words, [caption(scene, rng) for scene in scenes], start)
            return written(model.text_decoder, veiled(read, words, rng), wanted, seen, weight=weight)

        return batch

    @torch.no_grad()
    def notes() -> dict[str, float]:
        seen = model.vision_model(pictures).last_hidden_state
        loss, other = (written(model.text_decoder, *texts, seen).item() for texts in (told, shuffled))
        said = write_captions(model, words, pictures[:96])
        right = [true_of(text, scene) for text, scene in zip(said, some, strict=False)]
        return {"apart": loss, "caption_gap": other - loss, "right": float(np.mean(right))}

    training.learn(out / "blip.pt", {"blip": model}, minutes, resume, begin, peak=PEAK, batch=BATCH, decay=0.998, flat=0.4,
                   betas=(0.9, 0.98), weight_decay=0.02, notes=notes)  # fmt: skip
    export(out)
    figures = measure(out / "blip", 200)
    print(figures, flush=True)
    training.gate("single things told right", figures["single: all told, all true"], 0.9)


@torch.no_grad()
def write_captions(model: BlipForConditionalGeneration, words: BertTokenizer, pictures: torch.Tensor) -> list[str]:
    """The likeliest captions, by the library's own loop."""
    return words.batch_decode(model.generate(pictures, max_new_tokens=16, do_sample=False), skip_special_tokens=True)


def not_wrong(text: str, scene: world.Scene) -> bool:
    """Whether what a caption tells is true, of as many things as there are."""
    try:
        return world.agree(world.parse(text), scene)
    except ValueError:  # it names no shape
        return False


def true_of(text: str, scene: world.Scene) -> bool:
    """Whether a caption tells the whole scene: of one thing its size too, of two the relation instead."""
    if not not_wrong(text, scene):
        return False
    told = world.parse(text)
    whole = told.relation is not None if scene.relation else told.things[0].size is not None
    return whole and told.background is not None and all(thing.colour for thing in told.things)


def export(out: Path) -> None:
    """Write out/blip from the checkpoint's averaged weights."""
    model = build()
    training.restore(out / "blip.pt", {"blip": model})
    write_folder(out / "blip", model, "BLIP for the shapes world: a 32x32 picture to a caption.", "blip")


# --- measuring, through the saved graphs ---------------------------------------------------------------------------

GROUPS = (("single", 0.0, False), ("pair", 1.0, False), ("single, held out", 0.0, True), ("pair, held out", 1.0, True))


def apart(n: int, two: float, held_out: bool, seed: int = 53) -> list[world.Scene]:
    """n unseen scenes; held_out: in each of them a pair of colour and shape that training never shows."""
    rng, scenes = np.random.default_rng(seed), []
    while len(scenes) < n:
        scene = world.random_scene(rng, two=two, held_out=held_out)
        if not held_out or any((thing.colour, thing.shape) in world.HELD_OUT for thing in scene.things):
            scenes.append(scene)
    return scenes


def graph(name: str, folder: Path) -> Callable[..., Any]:
    """A saved graph on a model's folder: inputs by name, to its result."""
    made, runtime = flowmm.load(name), flowmm.Runtime(cache=None, threads=1)
    return lambda **inputs: made.run(inputs | {"model": str(folder)}, runtime=runtime)


def image_of(scenes: list[world.Scene], scale: int = 1) -> Image:
    """Pictures as a graph takes them, maybe enlarged."""
    pixels = np.stack([world.pixels(scene) for scene in scenes]).transpose(0, 3, 1, 2)
    return Image(pixels.repeat(scale, axis=2).repeat(scale, axis=3))


def measure(folder: Path, n: int = 500, seed: int = 0) -> dict[str, float]:
    """Shares of captions that tell the whole scene rightly, and that say nothing wrong, by the graph `caption`."""
    run, figures = graph("caption", folder), {}
    for name, two, held_out in GROUPS:
        scenes = apart(n, two, held_out, 53 + 1000 * seed)
        said = [line for start in range(0, len(scenes), 50) for line in run(image=image_of(scenes[start : start + 50])).caption]
        figures[f"{name}: all told, all true"] = float(np.mean([true_of(*one) for one in zip(said, scenes, strict=True)]))
        figures[f"{name}: nothing wrong told"] = float(np.mean([not_wrong(*one) for one in zip(said, scenes, strict=True)]))
    scenes = apart(n // 5, 0.5, False, 54 + 1000 * seed)
    for beginning, scale in (("", 8), ("a picture of", 1)):
        said = run(image=image_of(scenes, scale), beginning=beginning).caption
        label = f'begun "{beginning}"' if beginning else f"enlarged to {32 * scale}"
        figures[f"{label}: all told, all true"] = float(np.mean([true_of(*one) for one in zip(said, scenes, strict=True)]))
    started = time.perf_counter()
    for scene in scenes[:8]:
        run(image=image_of([scene]))
    return figures | {"seconds a picture": (time.perf_counter() - started) / 8}
