"""UniToken in small, in its own layout: one Chameleon that reads pictures as codes and as features, and draws with the same codes.

It begins with what Janus knows: the eyes as they are, and the language model's blocks, vectors of words and of codes. What is new to it: rows
of codes that end with a token, codes that are read, and queries and keys that are normed. While it learns only what it says and draws with
has a row in its tables; the published ids, most of which are nothing to it, come in when it is written down.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from functools import lru_cache
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import save_file
from tokenizers import AddedToken, Tokenizer
from torch import nn
from torch.nn import functional as F
from transformers import ChameleonConfig, ChameleonModel, JanusForConditionalGeneration, SiglipVisionConfig, SiglipVisionModel

from flowmm.zoo import questions, world
from flowmm.zoo.recipes import blip, dalle1, janus, near, sight, tokens, training, vq, vqgan

PICTURES, DRAWN, PEAK = 8, 16, 1e-3
# The published ids: 4 + c is code c.
BEGIN_TEXT, PAD, UNKNOWN, CODE = 0, 1, 3, 4
IMAGE_END, IMAGE_START, FEATURES, ROW_END, GRID, TURN_END, BEFORE_IMAGE, WORD = 8196, 8197, 8198, 8803, 8804, 8710, 16853, 16384
ROWS = GRID + vq.GRID // 2  # how high and wide a picture is, in squares of two codes a side
VOCABULARY = BEFORE_IMAGE + 1
NAMES = {BEGIN_TEXT: "<s>", PAD: "<pad>", 2: "</s>", UNKNOWN: "<unk>", IMAGE_END: "<eoss>", IMAGE_START: "<racm3:break>", FEATURES: "<sentinel:0>"}
PICTURE = "<|image|>"
DESCRIBE = ("please describe the details of the image as much as possible.", *sight.DESCRIBE)
DRAW = "generate an image according to the following prompt: {}"
MORE_WORDS = "describe please details much possible generate according following prompt".split()
READINGS = ("both", "both", "codes", "features")  # how a batch of pictures is read


# --- words ---------------------------------------------------------------------------------------------------------


def vocabulary() -> dict[str, int]:
    """Every id's name: the published ones, and the words from WORD on."""
    letters = str.maketrans("0123456789", "ABCDEFGHIJ")
    names = NAMES | {CODE + code: f"IMGIMG{str(code).translate(letters)}Z" for code in range(vq.ENTRIES)}
    whole = {*MORE_WORDS, *(name for name in blip.tokenizer().get_vocab() if name not in blip.SPECIAL)}
    names |= {WORD + number: name for number, name in enumerate(sorted(whole))}
    return {names.get(number, f"<reserved{number - 4:05d}>"): number for number in range(VOCABULARY)}


def tokenizer() -> Tokenizer:
    """BLIP's words under ids of their own; space does not count."""
    known = vocabulary()
    made = blip.pieces(known, "<unk>")
    control = [*NAMES.values(), "<reserved08706>", "<reserved08799>", PICTURE]
    made.add_special_tokens([AddedToken(name, special=True, normalized=False) for name in control if name in known])
    return made


class Words:
    """The tokenizer, the ids in use, and sequences of their numbers among those in use."""

    def __init__(self):
        self.tokenizer, known = tokenizer(), vocabulary()
        control = [IMAGE_END, IMAGE_START, FEATURES, ROW_END, ROWS, TURN_END, BEFORE_IMAGE]
        said = [number for name, number in known.items() if number >= WORD and not name.startswith("<reserved")]
        self.used = sorted({*range(CODE + vq.ENTRIES), *control, *said})
        self.number = {one: place for place, one in enumerate(self.used)}
        self.of = lru_cache(maxsize=100_000)(lambda text: tuple(self.number[one] for one in self.tokenizer.encode(text, add_special_tokens=False).ids))
        self.here = len(self.used)  # stands where a feature does
        self.end, self.pad, self.row_end = (self.number[one] for one in (TURN_END, PAD, ROW_END))
        self.opening = [self.number[one] for one in (IMAGE_START, ROWS, ROWS)]

    def picture(self, codes: torch.Tensor | None, features: bool) -> list[int]:
        """A picture read as codes (64,), as features, or as both."""
        row = [self.number[BEGIN_TEXT], *self.opening[: 1 if codes is None else 3]]
        if codes is not None:
            row += self.rows(codes)
        if features:
            row += [self.number[FEATURES], *[self.here] * sight.GRID**2]
        return [*row, self.number[IMAGE_END]]

    def rows(self, codes: torch.Tensor) -> list[int]:
        """Codes (64,), each row with its end."""
        return [number for row in (codes.reshape(vq.GRID, vq.GRID) + CODE).tolist() for number in (*row, self.row_end)]

    def conversations(self, turns: list[list[tuple[str, str]]], codes: torch.Tensor, reading: str) -> tuple[torch.Tensor, torch.Tensor]:
        """ids (N, L) of pictures and turns about them, filled up on the right, and what is to be written next at each place, or -100."""
        rows, wanted = [], []
        for one, picture in zip(turns, codes, strict=True):
            row = self.picture(None if reading == "features" else picture, reading != "codes")
            write = [-100] * len(row)
            for asked, answer in one:
                read, said = [*self.of(asked), self.end], [*self.of(answer), self.end]
                row += read + said
                write += [-100] * (len(read) - 1) + said + [-100]
            rows.append(row)
            wanted.append(write)
        return janus.filled(rows, self.pad), janus.filled(wanted, -100)

    def drawings(self, texts: list[str], codes: torch.Tensor, blank: list[bool]) -> tuple[torch.Tensor, torch.Tensor]:
        """ids (N, L) of wishes and pictures, and the codes that are to be written next at each place, or -100. Blank ones begin with the picture."""
        rows, wanted = [], []
        for text, picture, nothing in zip(texts, codes, blank, strict=True):
            before = [self.number[BEGIN_TEXT], *self.of(DRAW.format(text)), self.end, self.number[BEFORE_IMAGE]]
            row, drawn = [*(() if nothing else before), *self.opening], self.rows(picture)
            rows.append(row + drawn[:-1])
            wanted.append([-100] * (len(row) - 1) + [-100 if one == self.row_end else one - CODE for one in drawn[:-1]] + [-100])
        return janus.filled(rows, self.pad), janus.filled(wanted, -100)


# --- the network ---------------------------------------------------------------------------------------------------


def language(size: int) -> ChameleonConfig:
    """Of a language model with a vocabulary of this size."""
    small = {"base_channels": 32, "channel_multiplier": [1], "num_res_blocks": 1, "resolution": world.SIDE, "embed_dim": vqgan.WIDTH,
             "num_embeddings": vq.ENTRIES, "latent_channels": vqgan.LATENT}  # fmt: skip
    return ChameleonConfig(vocab_size=size, max_position_embeddings=janus.CONTEXT, model_parallel_size=dalle1.BLOCKS["num_attention_heads"], swin_norm=False,
                           vq_config=small, vocabulary_map={"<image>": 0}, **dalle1.BLOCKS)  # fmt: skip


def vision() -> SiglipVisionConfig:
    """Janus' eyes in SigLIP's class."""
    return SiglipVisionConfig(hidden_size=128, intermediate_size=384, num_hidden_layers=4, num_attention_heads=4, image_size=world.SIDE,
                              patch_size=sight.PATCH, hidden_act="gelu", vision_use_head=False)  # fmt: skip


class UniToken(nn.Module):
    """The parts under the names of the published checkpoint."""

    def __init__(self, size: int):
        super().__init__()
        self.model = ChameleonModel(language(size))
        del self.model.vqmodel  # the VQGAN has both directions, and is written apart
        self.lm_head = nn.Linear(janus.WIDTH, size, bias=False)
        self.vit = SiglipVisionModel(vision())
        self.adapter = nn.Sequential(nn.Linear(128, janus.WIDTH), nn.GELU(), nn.Linear(janus.WIDTH, janus.WIDTH))
        training.wake(self)

    def look(self, pictures: torch.Tensor) -> torch.Tensor:
        """Pictures to (N, 64, 128), as the language model reads them."""
        return self.adapter(self.vit(pictures).last_hidden_state)

    def hidden(self, ids: torch.Tensor, seen: torch.Tensor | None) -> torch.Tensor:
        """(N, L, 128) of sequences, filled up on the right, where nothing looks back from."""
        ids = ids.to(self.lm_head.weight.device)
        here = ids == self.lm_head.out_features
        embeds = self.model.embed_tokens(ids.masked_fill(here, 0))
        if seen is not None:
            embeds = embeds.masked_scatter(here[..., None], seen)
        return self.model(inputs_embeds=embeds, use_cache=False).last_hidden_state


@torch.no_grad()
def begun(model: UniToken, out: Path, words: Words) -> UniToken:
    """The model with what the Janus of out/janus, or the shipped one, knows."""
    folder = training.trained("janus", out)
    known = JanusForConditionalGeneration.from_pretrained(folder, dtype=torch.float32).eval()
    inner, names, aligner = known.model, janus.tokenizer(), known.model.aligner
    model.vit.load_state_dict({name.replace("projection_layer", "out_proj"): value for name, value in inner.vision_model.state_dict().items()})
    for layer, source in ((model.adapter[0], aligner.fc1), (model.adapter[2], aligner.hidden_layers[0])):
        layer.load_state_dict(source.state_dict())
    model.model.load_state_dict({name: value for name, value in inner.language_model.state_dict().items() if "embed" not in name}, strict=False)
    table, head = model.model.embed_tokens.weight, model.lm_head.weight
    reverse = {number: name for name, number in vocabulary().items()}
    same = {IMAGE_START: janus.BEGIN, IMAGE_END: janus.END, TURN_END: janus.ASSISTANT, BEGIN_TEXT: janus.BEGIN_TEXT, BEFORE_IMAGE: janus.ASSISTANT}
    for place, one in enumerate(words.used):
        name = same.get(one, reverse[one])
        number = names.get_vocab().get(name)
        if number is not None and not CODE <= one < CODE + vq.ENTRIES:
            table[place], head[place] = inner.language_model.embed_tokens.weight[number], known.lm_head.weight[number]
    head[words.end] = known.lm_head.weight[names.eos_token_id]
    table[CODE : CODE + vq.ENTRIES] = inner.generation_aligner(inner.generation_embeddings.weight)
    # Its head of codes is two layers with GELU where that is the identity: one matrix.
    head[CODE : CODE + vq.ENTRIES] = inner.generation_head.vision_head.weight @ inner.generation_head.proj_out.weight
    normed(model, known)
    return model


@torch.no_grad()
def normed(model: UniToken, known: JanusForConditionalGeneration) -> None:
    """Queries and keys, which Chameleon norms, as long as Janus has them on average over prompts and pictures."""
    words, rng = janus.Words(), np.random.default_rng(131)
    scenes = [world.random_scene(rng, two=sight.TWO) for _ in range(32)]
    ids, _ = words.conversations([sight.conversation(scene, rng, dict.fromkeys(questions.KINDS, 0.5)) for scene in scenes])
    embeds = known.get_input_embeddings()(ids)
    embeds = embeds.masked_scatter((ids == known.config.image_token_id)[..., None], janus.look(known, blip.pixels_of(scenes)))
    hooks, spread = [], {}
    for number, layer in enumerate(known.model.language_model.layers):
        for part in ("q", "k"):
            hooks.append(getattr(layer.self_attn, f"{part}_proj").register_forward_hook(
                lambda module, inputs, output, at=(number, part): spread.update({at: output.unflatten(-1, (-1, 32)).std(dim=-1).mean(dim=(0, 1))})
            ))  # fmt: skip
    known.model.language_model(inputs_embeds=embeds, use_cache=False)
    for hook in hooks:
        hook.remove()
    for (number, part), lengths in spread.items():
        norm = getattr(model.model.layers[number].self_attn, f"{part}_norm")
        norm.weight.copy_(lengths[:, None].expand_as(norm.weight))
        norm.bias.zero_()


# --- training ------------------------------------------------------------------------------------------------------


def told(model: UniToken, seen: torch.Tensor, ids: torch.Tensor, wanted: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Logits (M, V) of every id that is to be written, and those ids (M,)."""
    hidden, wanted = model.hidden(ids, seen), wanted.to(seen.device)
    return model.lm_head(hidden[wanted != -100]), wanted[wanted != -100]


def drawing(model: UniToken, ids: torch.Tensor, wanted: torch.Tensor) -> torch.Tensor:
    """Mean cross-entropy of codes, among codes alone, in nats."""
    hidden, wanted = model.hidden(ids, None), wanted.to(model.lm_head.weight.device)
    logits = F.linear(hidden[wanted != -100], model.lm_head.weight[CODE : CODE + vq.ENTRIES])
    return F.cross_entropy(logits, wanted[wanted != -100])


def train(out: Path, minutes: float, device: str = "cpu", resume: bool = False) -> None:
    """Train into out/unitoken after the Janus of out, or the shipped one; raises GateFailed when answers or pictures are too often wrong."""
    torch.manual_seed(0)
    words = Words()
    model = begun(UniToken(len(words.used)), out, words).to(device)
    model.vit.requires_grad_(False)
    learn_both(model, words, out, minutes, device, resume)
    export(out)
    figures = measure(out / "unitoken", 200)
    print(figures, flush=True)
    training.gate("answers right about single things", figures["answers, single: right"], 0.9)
    training.gate("single pictures right", figures["drawn, one thing, trained pairs"], 0.8)


def learn_both(model: UniToken, words: Words, out: Path, minutes: float, device: str, resume: bool) -> None:
    """Conversations about pictures read in one way or in both, and drawing, some of each in every batch."""
    book = vqgan.small_book(out)
    lesson = dalle1.Lesson(book, tokens.build())
    rng, wrong = np.random.default_rng(132), dict.fromkeys(questions.KINDS, 1.0)
    some = blip.apart(64, 1.0, False, 133) + blip.apart(64, 0.0, False, 134) + blip.apart(64, 1.0, False, 135)
    asked, pictures, codes = [questions.ask(scene, rng) for scene in some], blip.pixels_of(some), vq.encode(book, some).flatten(1)
    tests = [[(one.text, one.answer)] for one in asked]
    shown = np.arange(len(lesson.scenes))[len(lesson.scenes) // 4 :][:64]
    wishes = [words.drawings([world.caption(scene) for scene in scenes], lesson.codes[shown], [False] * len(shown)) for scenes in (
        [lesson.scenes[i] for i in shown], [near.reshape(lesson.scenes[i], rng) for i in shown],
    )]  # fmt: skip

    def begin(step: int) -> Callable[[float], torch.Tensor]:
        rng = np.random.default_rng(140 + step)

        def batch(fraction: float) -> torch.Tensor:
            scenes = [world.random_scene(rng, two=sight.TWO) for _ in range(PICTURES)]
            reading = READINGS[rng.integers(len(READINGS))]
            talks = [sight.conversation(scene, rng, wrong, describe=DESCRIBE) for scene in scenes]
            seen = look(blip.pixels_of(scenes, rng).to(device), reading)
            spoken = F.cross_entropy(*told(model, seen, *words.conversations(talks, vq.encode(book, scenes).flatten(1), reading)))
            chosen = rng.integers(len(lesson.scenes), size=DRAWN)
            texts = [tokens.vague(tokens.reword(world.caption(lesson.scenes[i], rng), rng), rng, 0.1) for i in chosen]
            return spoken + drawing(model, *words.drawings(texts, lesson.codes[chosen], list(rng.random(DRAWN) < 0.1)))

        return batch

    def look(pixels: torch.Tensor, reading: str) -> torch.Tensor:
        with torch.no_grad():
            seen = model.vit(pixels).last_hidden_state
        return model.adapter(seen)[: 0 if reading == "codes" else None]

    @torch.no_grad()
    def notes() -> dict[str, float]:
        def read(reading: str, count: int, roll: int = 0) -> tuple[float, list[bool]]:
            ids, wanted = words.conversations(tests[:count], codes[:count].roll(roll, 0), reading)
            logits, written = told(model, look(pictures[:count].roll(roll, 0).to(device), reading), ids, wanted)
            return F.cross_entropy(logits, written).item(), janus.right_rows(logits, written, wanted)

        (apart, right), (true, _), (rolled, _) = read("both", len(tests)), read("both", 64), read("both", 64, 1)
        shares = sight.shares(asked, right)
        wrong.update({kind: 1 - share for kind, share in shares.items() if kind != "right"})
        drawn, other = (drawing(model, *wish).item() for wish in wishes)
        alone = {f"by {reading}": float(np.mean(read(reading, 64)[1])) for reading in ("codes", "features")}
        return {"apart": apart, "picture_gap": rolled - true, "drawn": drawn, "shape_gap": other - drawn} | shares | alone

    training.learn(out / "unitoken.pt", {"unitoken": model}, minutes, resume, begin, peak=PEAK, batch=PICTURES, decay=0.998, flat=0.4, betas=(0.9, 0.98),
                   weight_decay=0.02, notes=notes, least={"picture_gap": (4, 0.2), "shape_gap": (4, 0.1)})  # fmt: skip


# --- as published --------------------------------------------------------------------------------------------------


@torch.no_grad()
def export(out: Path) -> None:
    """Write out/unitoken from the checkpoint's averaged weights and the VQGAN of out/vqgan, in UniToken's own layout."""
    words, folder = Words(), out / "unitoken"
    model = UniToken(len(words.used))
    training.restore(out / "unitoken.pt", {"unitoken": model})
    held = {name: value.half().contiguous() for name, value in published(model, words).items()}
    (folder / "SigLIP").mkdir(parents=True, exist_ok=True)
    save_file(held, folder / "model.safetensors", metadata={"format": "pt"})
    book = {name: value.half().contiguous() for name, value in vqgan.original(vqgan.opened(out / "vqgan"))}
    save_file(book, folder / "vqgan.safetensors", metadata={"format": "pt"})
    tokenizer().save(str(folder / "tokenizer.json"))
    config = language(VOCABULARY).to_dict() | {
        "architectures": ["ChameleonXLLMXForConditionalGenerationBase"], "mask_image_logits": True, "vq_config": {"resolution": world.SIDE},
    }  # fmt: skip
    config.pop("vocabulary_map")
    (folder / "config.json").write_text(json.dumps(config, indent=2) + "\n", encoding="utf-8")
    seen = {"model_type": "siglip", "vision_config": vision().to_dict()}
    (folder / "SigLIP" / "config.json").write_text(json.dumps(seen, indent=2) + "\n", encoding="utf-8")
    training.clean_names(folder)
    training.write_card(folder, about="UniToken for the shapes world: a 32x32 picture, read as codes and as features, and a question to an answer, or a "
                        "caption to a 32x32 picture.", recipe="python -m flowmm.zoo train unitoken", tokens=32, top_k=0, guidance=2.0, floor=0.1)  # fmt: skip


def published(model: UniToken, words: Words) -> dict[str, torch.Tensor]:
    """The weights with a row for every published id: of those that are not in use, vectors are nothing, and logits those of <unk>."""
    held = dict(model.state_dict())
    used = torch.tensor(words.used)
    table, head = held["model.embed_tokens.weight"], held["lm_head.weight"]
    held["model.embed_tokens.weight"] = torch.zeros(VOCABULARY, janus.WIDTH).index_copy(0, used, table)
    held["lm_head.weight"] = head[words.number[UNKNOWN]].repeat(VOCABULARY, 1).index_copy(0, used, head)
    return held


def measure(folder: Path, n: int = 500, seed: int = 0) -> dict[str, float]:
    """What both models that read and draw are measured by, and answers by one reading alone, through the saved graphs."""
    run, scenes = blip.graph("unitoken-two-readings", folder), blip.apart(n // 2, 0.0, False, 136) + blip.apart(n - n // 2, 1.0, False, 137)
    rng, right = np.random.default_rng(seed + 138), {"both": [], "codes": [], "features": []}
    for scene in scenes:
        one = questions.ask(scene, rng)
        made = run(image=blip.image_of([scene]), question=one.text)
        for reading, found in right.items():
            found.append(questions.right(one, getattr(made, reading).lines[0]))
    return sight.measure(folder, n, seed) | {f"answers by {reading}": float(np.mean(found)) for reading, found in right.items()}
