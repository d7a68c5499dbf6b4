"""Janus in small: a `JanusForConditionalGeneration` whose one language model reads pictures through its eyes and draws them with codes.

It begins with what DALL-E 1's transformer knows: the blocks, the vectors of words and of codes. The eyes learn to name what they see; then
the language model learns conversations and goes on drawing, some of both in every batch.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from pathlib import Path

import numpy as np
import torch
from tokenizers import AddedToken, processors
from torch.nn import functional as F
from transformers import JanusConfig, JanusForConditionalGeneration, JanusImageProcessorPil, JanusProcessor, JanusVQVAE, PreTrainedTokenizerFast

from flowmm.zoo import questions, world
from flowmm.zoo.recipes import blip, dalle1, near, sight, tokens, training, vq, vqgan

PICTURES, DRAWN, PEAK = 8, 16, 1e-3  # conversations and drawings in a batch
WIDTH, CONTEXT = 128, 512
BEGIN_TEXT, END_TEXT, PAD = "<｜begin▁of▁sentence｜>", "<｜end▁of▁sentence｜>", "<｜▁pad▁｜>"
PICTURE, BEGIN, END = "<image_placeholder>", "<begin_of_image>", "<end_of_image>"
USER, ASSISTANT, UNKNOWN = "<|User|>", "<|Assistant|>", "<unk>"
SPECIAL = (BEGIN_TEXT, END_TEXT, PAD, PICTURE, BEGIN, END, USER, ASSISTANT, UNKNOWN)
EYES = 0.125  # of the budget
SURE = 8.0  # far enough into where GELU is the identity
# As the published models have it: what the user says ends with a blank line, what the assistant says with the end of the sentence.
TEMPLATE = (
    "{% for message in messages %}{% set user = message.role == 'user' %}{{ '<|User|>: ' if user else '<|Assistant|>: ' }}"
    "{% for part in message.content %}{% if part.type == 'image' %}<image_placeholder>{{ '\n' if not loop.last }}"
    "{% else %}{% set text = part.text.rstrip() if loop.last else part.text %}{{ text.lstrip() if loop.first else text }}{% endif %}{% endfor %}"
    "{{ '\n\n' if user else '<｜end▁of▁sentence｜>' }}{% endfor %}{% if add_generation_prompt %}<|Assistant|>:{% endif %}"
)


def tokenizer(**names: str) -> PreTrainedTokenizerFast:
    """BLIP's words, Janus' tokens; a text begins with the token that says so. Space does not count."""
    whole = [name for name in blip.tokenizer().get_vocab() if name not in blip.SPECIAL]
    vocabulary = {name: number for number, name in enumerate([*SPECIAL, *sorted({*whole, "describe"})])}
    made = blip.pieces(vocabulary, UNKNOWN)
    made.post_processor = processors.TemplateProcessing(f"{BEGIN_TEXT} $A", special_tokens=[(BEGIN_TEXT, vocabulary[BEGIN_TEXT])])
    made.add_special_tokens([AddedToken(name, special=True, normalized=False) for name in SPECIAL])
    return PreTrainedTokenizerFast(tokenizer_object=made, bos_token=BEGIN_TEXT, eos_token=END_TEXT, pad_token=PAD, unk_token=UNKNOWN,
                                   model_max_length=CONTEXT, padding_side="left", clean_up_tokenization_spaces=False, **names)  # fmt: skip


def build() -> JanusForConditionalGeneration:
    """An untrained model of 3.1 M weights, 1.3 M of them the VQGAN's."""
    words = tokenizer()
    ids = {"bos_token_id": words.bos_token_id, "eos_token_id": words.eos_token_id, "pad_token_id": words.pad_token_id}
    config = JanusConfig(
        text_config={"model_type": "llama", "vocab_size": len(words), "max_position_embeddings": CONTEXT, **dalle1.BLOCKS, **ids},
        vision_config={
            "hidden_size": 128, "num_hidden_layers": 4, "num_attention_heads": 4, "image_size": world.SIDE, "patch_size": sight.PATCH, "mlp_ratio": 3.0,
            "projection_dim": WIDTH, "num_image_tokens": sight.GRID**2,
        },
        vq_config=vqgan.config(WIDTH).to_dict(), image_token_id=words.convert_tokens_to_ids(PICTURE), tie_word_embeddings=False,
    )  # fmt: skip
    model = JanusForConditionalGeneration(config)
    for part in (model.model.vision_model, model.model.aligner, model.model.language_model, model.lm_head):
        training.wake(part)
    with torch.no_grad():
        model.model.vision_model.embeddings.position_embedding.weight.copy_(sight.near_places())
    made = model.generation_config
    made.temperature, made.guidance_scale, made.pad_token_id = 1.0, 2.0, words.pad_token_id
    made.generation_kwargs = {"boi_token_id": words.convert_tokens_to_ids(BEGIN)}
    return model


@torch.no_grad()
def begun(model: JanusForConditionalGeneration, out: Path) -> JanusForConditionalGeneration:
    """The model with what DALL-E 1 knows; its vectors and logits of codes pass the two layers that Janus has there as they are."""
    known, parts, words = sight.dalle(out), model.model, tokenizer()
    sight.begun(parts.language_model, known)
    table, first = known.model.embed_tokens.weight, known.config.vocab_size - vq.ENTRIES
    for word, number in sight.dalle_words().items():
        parts.language_model.embed_tokens.weight[words.convert_tokens_to_ids(word)] = table[number]
    parts.generation_embeddings.weight.copy_(table[first:])
    head, rows, eye = parts.generation_head, known.lm_head.weight[first:], torch.eye(WIDTH)
    for layer, following in ((parts.generation_aligner.fc1, parts.generation_aligner.hidden_layers[0]), (head.proj_out, head.vision_head)):
        layer.weight.copy_(eye)
        layer.bias.fill_(SURE)
        following.weight.copy_(rows if following is head.vision_head else eye)
        following.bias.copy_(-SURE * following.weight.sum(dim=1))
    return model


# --- what is read and written --------------------------------------------------------------------------------------


class Words:
    """The tokenizer, and sequences made with it."""

    def __init__(self):
        self.tokenizer = tokenizer()
        self.of = lru_cache(maxsize=100_000)(lambda text: tuple(self.tokenizer(text, add_special_tokens=False).input_ids))
        self.id = self.tokenizer.convert_tokens_to_ids
        self.before = [self.id(BEGIN_TEXT), self.id(USER), *self.of(":"), self.id(BEGIN)]
        self.answering = [self.id(ASSISTANT), *self.of(":")]

    def conversations(self, turns: list[list[tuple[str, str]]]) -> tuple[torch.Tensor, torch.Tensor]:
        """ids (N, L) of a picture's place and turns about it, filled up on the right, and what is to be written next at each place, or -100."""
        rows, wanted = [], []
        for one in turns:
            row = [*self.before, *[self.id(PICTURE)] * sight.GRID**2, self.id(END)]
            write = [-100] * len(row)
            for number, (asked, answer) in enumerate(one):
                read = [*(self.before[1:3] if number else ()), *self.of(asked), *self.answering]
                said = [*self.of(answer), self.id(END_TEXT)]
                row += read + said
                write += [-100] * (len(read) - 1) + said + [-100]
            rows.append(row)
            wanted.append(write)
        return filled(rows, self.id(PAD)), filled(wanted, -100)

    def prompts(self, texts: list[str], blank: list[bool]) -> torch.Tensor:
        """ids (N, L) of wishes for a picture, filled up on the right; of the blank ones all but the ids that begin text and picture is padding."""
        rows = []
        for text, nothing in zip(texts, blank, strict=True):
            row = [*self.before[:3], *self.of(text), *self.answering, self.id(BEGIN)]
            rows.append([row[0], *[self.id(PAD)] * (len(row) - 2), row[-1]] if nothing else row)
        return filled(rows, -1)


def filled(rows: list[list[int]], fill: int) -> torch.Tensor:
    """int64 (N, L) of rows of ids, the shorter ones filled up on the right."""
    length = max(map(len, rows))
    return torch.tensor([row + [fill] * (length - len(row)) for row in rows])


def look(model: JanusForConditionalGeneration, pictures: torch.Tensor) -> torch.Tensor:
    """Pictures to (N, 64, 128), as the language model reads them."""
    return model.model.aligner(model.model.vision_model(pictures).last_hidden_state)


def told(model: JanusForConditionalGeneration, seen: torch.Tensor, ids: torch.Tensor, wanted: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Logits (M, V) of every id that is to be written, and those ids (M,). Rows are filled up on the right, where nothing looks back from."""
    ids, wanted = ids.to(seen.device), wanted.to(seen.device)
    embeds = model.get_input_embeddings()(ids).masked_scatter((ids == model.config.image_token_id)[..., None], seen)
    hidden = model.model.language_model(inputs_embeds=embeds, use_cache=False).last_hidden_state
    asked = wanted != -100
    return model.lm_head(hidden[asked]), wanted[asked]


def drawing(model: JanusForConditionalGeneration, ids: torch.Tensor, codes: torch.Tensor) -> torch.Tensor:
    """Mean cross-entropy of codes (N, 64) after wishes, in nats."""
    device, count = model.device, codes.shape[1]
    lengths = (ids >= 0).sum(dim=1)
    place = lengths[:, None] + torch.arange(count - 1)
    whole = F.pad(ids.clamp(min=0), (0, count - 1)).to(device)
    embeds = model.get_input_embeddings()(whole)
    coded = model.prepare_embeddings_for_image_generation(codes[:, :-1].to(device))
    embeds = embeds.scatter(1, place.to(device)[..., None].expand(-1, -1, WIDTH), coded)
    hidden = model.model.language_model(inputs_embeds=embeds, use_cache=False).last_hidden_state
    before = (lengths[:, None] - 1 + torch.arange(count)).to(device)[..., None].expand(-1, -1, WIDTH)
    return F.cross_entropy(model.model.generation_head(hidden.gather(1, before)).flatten(0, 1), codes.flatten().to(device))


# --- training ------------------------------------------------------------------------------------------------------


def train(out: Path, minutes: float, device: str = "cpu", resume: bool = False) -> None:
    """Train into out/janus after out/dalle1 and out/vqgan, or the shipped ones; raises GateFailed when answers or pictures are too often wrong."""
    torch.manual_seed(0)
    model, words = begun(build(), out).to(device), Words()
    eyes, mind = parts(model)
    table = {kind: model.get_input_embeddings().weight.detach()[words.id(list(names))] for kind, names in sight.NAMES.items()}
    sight.learn_names(out / "janus-eyes.pt", eyes, lambda pictures: look(model, pictures), table, EYES * minutes, resume, 100)
    eyes["vision"].requires_grad_(False)
    learn_both(model, words, mind, out, (1 - EYES) * minutes, device, resume)
    export(out)
    figures = measure(out / "janus", 200)
    print(figures, flush=True)
    training.gate("answers right about single things", figures["answers, single: right"], 0.9)
    training.gate("single pictures right", figures["drawn, one thing, trained pairs"], 0.8)


def parts(model: JanusForConditionalGeneration) -> tuple[dict[str, torch.nn.Module], dict[str, torch.nn.Module]]:
    """What learns first, and what learns then; the VQGAN does neither."""
    inner = model.model
    drawn = {"codes": inner.generation_embeddings, "code_aligner": inner.generation_aligner, "code_head": inner.generation_head}
    eyes = {"vision": inner.vision_model, "aligner": inner.aligner}
    return eyes, {"aligner": inner.aligner, "language": inner.language_model, "words": model.lm_head} | drawn


def learn_both(model: JanusForConditionalGeneration, words: Words, mind: dict, out: Path, minutes: float, device: str, resume: bool) -> None:
    """Conversations and drawing, some of both in every batch."""
    lesson = dalle1.Lesson(vqgan.small_book(out), tokens.build())
    rng, wrong = np.random.default_rng(111), dict.fromkeys(questions.KINDS, 1.0)
    some = blip.apart(96, 0.0, False, 112) + blip.apart(160, 1.0, False, 113)
    asked, pictures = [questions.ask(scene, rng) for scene in some], blip.pixels_of(some)
    tests = words.conversations([[(one.text, one.answer)] for one in asked])
    shown = np.arange(len(lesson.scenes))[len(lesson.scenes) // 4 :][:128]
    wishes = [words.prompts([world.caption(scene) for scene in scenes], [False] * len(shown)) for scenes in (
        [lesson.scenes[i] for i in shown], [near.reshape(lesson.scenes[i], rng) for i in shown],
    )]  # fmt: skip

    def begin(step: int) -> Callable[[float], torch.Tensor]:
        rng = np.random.default_rng(114 + step)

        def batch(fraction: float) -> torch.Tensor:
            scenes = [world.random_scene(rng, two=sight.TWO) for _ in range(PICTURES)]
            with torch.no_grad():
                seen = model.model.vision_model(blip.pixels_of(scenes, rng).to(device)).last_hidden_state
            spoken = F.cross_entropy(*told(model, model.model.aligner(seen), *words.conversations([sight.conversation(scene, rng, wrong) for scene in scenes])))
            chosen = rng.integers(len(lesson.scenes), size=DRAWN)
            texts = [tokens.vague(tokens.reword(world.caption(lesson.scenes[i], rng), rng), rng, 0.1) for i in chosen]
            return spoken + drawing(model, words.prompts(texts, list(rng.random(DRAWN) < 0.1)), lesson.codes[chosen])

        return batch

    @torch.no_grad()
    def notes() -> dict[str, float]:
        seen = look(model, pictures.to(device))
        rolled = F.cross_entropy(*told(model, seen[:64].roll(1, 0), *(part[:64] for part in tests))).item()
        logits, written = told(model, seen, *tests)
        drawn, other = (drawing(model, ids, lesson.codes[shown]).item() for ids in wishes)
        shares = sight.shares(asked, right_rows(logits, written, tests[1]))
        wrong.update({kind: 1 - share for kind, share in shares.items() if kind != "right"})
        apart = F.cross_entropy(logits, written).item()
        return {"apart": apart, "picture_gap": rolled - apart, "drawn": drawn, "shape_gap": other - drawn} | shares

    training.learn(out / "janus.pt", mind, minutes, resume, begin, peak=PEAK, batch=PICTURES, decay=0.998, flat=0.4, betas=(0.9, 0.98),
                   weight_decay=0.02, notes=notes, least={"picture_gap": (4, 0.2), "shape_gap": (4, 0.1)})  # fmt: skip


def right_rows(logits: torch.Tensor, written: torch.Tensor, wanted: torch.Tensor) -> list[bool]:
    """Of each row, whether every id that is to be written is the likeliest: then the likeliest text is the wanted one."""
    right = torch.ones_like(wanted, dtype=torch.bool)
    right[wanted != -100] = (logits.argmax(dim=-1) == written).cpu()
    return right.all(dim=1).tolist()


def export(out: Path) -> None:
    """Write out/janus from the checkpoints' averaged weights and the VQGAN, as published."""
    model, folder = build(), out / "janus"
    eyes, mind = parts(model)
    training.restore(out / "janus-eyes.pt", eyes)
    training.restore(out / "janus.pt", mind)
    put_book(model, out)
    training.ship(model, folder)
    words = tokenizer(extra_special_tokens={"image_token": PICTURE, "boi_token": BEGIN, "eoi_token": END})
    pictures = JanusImageProcessorPil(size={"height": world.SIDE, "width": world.SIDE}, min_size=world.SIDE, image_mean=[0.5] * 3, image_std=[0.5] * 3)
    JanusProcessor(pictures, words, chat_template=TEMPLATE, num_image_tokens=sight.GRID**2).save_pretrained(folder)
    training.write_card(folder, about="Janus for the shapes world: a 32x32 picture and a question to an answer, or a caption to a 32x32 picture.",
                        recipe="python -m flowmm.zoo train janus", tokens=32, guidance=2.0, floor=0.1)  # fmt: skip


@torch.no_grad()
def put_book(model: JanusForConditionalGeneration, out: Path) -> None:
    """The VQGAN of out/vqgan, its entries with as many numbers as the vectors of codes have."""
    book = JanusVQVAE.from_pretrained(out / "vqgan", dtype=torch.float32).state_dict()
    more = WIDTH - vqgan.WIDTH
    book["quantize.embedding.weight"] = F.pad(book["quantize.embedding.weight"], (0, more))
    book["post_quant_conv.weight"] = F.pad(book["post_quant_conv.weight"], (0, 0, 0, 0, 0, more))
    book["quant_conv.weight"] = F.pad(book["quant_conv.weight"], (0, 0, 0, 0, 0, 0, 0, more))
    book["quant_conv.bias"] = F.pad(book["quant_conv.bias"], (0, more))
    model.model.vqmodel.load_state_dict(book)


def measure(folder: Path, n: int = 500, seed: int = 0) -> dict[str, float]:
    """What both models that read and draw are measured by, through the saved graphs."""
    return sight.measure(folder, n, seed)
