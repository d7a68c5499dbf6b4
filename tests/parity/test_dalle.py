"""DALL-E 1 through the saved graphs: codes and logits are those of transformers' `generate`, pictures those of the codebook, the order that of CLIP."""

import numpy as np
import pytest
import tiny
import tiny_dalle
import torch
from tiny_dalle import COLUMNS, ROWS, TEXT, WORDS

import flowmm
from flowmm.catalog import Cancelled, Context
from flowmm.models.residency import residency
from flowmm.nodes import autoregressive, codes
from flowmm.nodes._families import family_of
from flowmm.sockets import Codes, Image, Seed, Text

FIRST, COUNT = len(WORDS), ROWS * COLUMNS
PROMPT = "a small red circle"
PROMPTS = [PROMPT, "the large blue star on the table", ""]
KINDS = {"llama": {}, "gpt2": {"kind": "gpt2"}, "dvae": {"codebook": "dvae", "seed": 3}}


@pytest.fixture(scope="session")
def made(tmp_path_factory):
    """Folders by kind, made once."""
    known = {}

    def get(kind="llama"):
        if kind not in known:
            known[kind] = tiny_dalle.save(tmp_path_factory.mktemp(kind), **KINDS[kind])
        return known[kind]

    return get


def draw(folder, runtime, prompt=PROMPT, seed=7, **settings):
    """Codes [B, rows, columns] and picture of the saved graph."""
    drawn, image = tiny.peek("text-to-image-codes", {"prompt": prompt, "seed": seed, "model": str(folder)} | settings, runtime, "paint.codes", "pixels.image")
    return drawn.ids, image.pixels


def model(folder, dtype=torch.float32):
    from transformers import AutoModelForCausalLM

    return AutoModelForCausalLM.from_pretrained(folder / "transformer", dtype=dtype).eval()


def ids(*texts):
    """The text filled up with [pad], which is 0, to its length."""
    rows = [[WORDS.index(word) for word in text.split()] for text in texts]
    return torch.tensor([(row + [0] * TEXT)[:TEXT] for row in rows])


def generate(language_model, prompt, seed=7, **options):
    """What the library writes: codes [rows, columns], and the logits it drew them from [count, N]."""
    from transformers import LogitsProcessor, LogitsProcessorList

    class CodesAlone(LogitsProcessor):
        def __call__(self, input_ids, scores):
            return scores.index_fill(1, torch.arange(FIRST), -torch.inf)

    torch.manual_seed(seed)
    options = {"do_sample": True, "top_k": 0} | options
    read = ids(prompt)
    told = language_model.generate(
        read, attention_mask=torch.ones_like(read), max_new_tokens=COUNT, logits_processor=LogitsProcessorList([CodesAlone()]),
        output_logits=True, return_dict_in_generate=True, **options,
    )  # fmt: skip
    return told.sequences[0, TEXT:].reshape(ROWS, COLUMNS) - FIRST, torch.cat(told.logits)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("options", [{}, {"temperature": 0.7}, {"top_k": 5}, {"top_p": 0.8}, {"temperature": 2.0, "top_k": 20, "top_p": 0.9}])
def test_codes_are_those_of_generate(made, runtime, kind, options):
    language_model = model(made(kind))
    for seed in (7, 8):
        drawn, _ = draw(made(kind), runtime, seed=seed, **options)
        assert torch.equal(drawn[0], generate(language_model, PROMPT, seed, **{"temperature": 1.0} | options)[0])
    assert len(drawn.unique()) > 2


def test_greedy_codes_are_those_of_generate_and_no_seed_changes_them(made, runtime):
    expected, _ = generate(model(made()), PROMPT, do_sample=False)
    for seed in (1, 2):
        assert torch.equal(draw(made(), runtime, seed=seed, temperature=0)[0][0], expected)


@pytest.mark.parametrize("kind", ["llama", "gpt2"])
def test_logits_are_those_of_generate_and_of_one_forward(made, kind):
    """Bitwise those that `generate` draws from; one forward over the whole sequence multiplies larger matrices, which round differently."""
    parts = autoregressive.load(str(made(kind)))
    prompt = autoregressive.picture_prompt(parts.tokenizer, Text((PROMPT,)))
    written, expected = generate(model(made(kind)), PROMPT)
    sequence = (written.reshape(-1) + FIRST)[None]
    module = residency("cpu").load(parts.model)
    painter = family_of(parts.model).painter(module, parts.model)
    with torch.no_grad():
        told = [painter.begin([prompt]), *(painter.step(sequence[:, i]) for i in range(COUNT - 1))]
        whole = model(made(kind))(torch.cat([prompt.ids, sequence[:, :-1]], dim=1)).logits[0, TEXT - 1 :]
    got = torch.cat(told)
    assert torch.equal(prompt.ids, ids(PROMPT)) and prompt.mask.all()
    assert torch.equal(got[:, FIRST:], expected[:, FIRST:]) and (got[:, :FIRST] < -1e8).all()
    assert (got - whole)[:, FIRST:].abs().max() <= 1e-5 * whole.abs().max()
    assert whole.std() > 0.5


def test_guided_codes_are_those_of_the_librarys_guidance(made, runtime):
    """The library guides log-probabilities in two passes of one row each; the draw sees the same distribution but for rounding."""
    language_model = model(made())
    for guidance in (1.5, 3.0):
        for seed in (7, 8, 9):
            drawn, _ = draw(made(), runtime, seed=seed, guidance=guidance)
            assert torch.equal(drawn[0], generate(language_model, PROMPT, seed, guidance_scale=guidance, negative_prompt_ids=ids(""))[0])
    assert not torch.equal(drawn, draw(made(), runtime, seed=9)[0])


@pytest.mark.parametrize("floor", [0.0, 0.1])
def test_guidance_and_its_floor_are_those_of_two_passes_by_hand(made, runtime, floor):
    guidance, language_model = 3.0, model(made())

    def by_hand(seed):
        generator, written = torch.Generator().manual_seed(seed), torch.empty(1, 0, dtype=torch.int64)
        for _ in range(COUNT):
            with torch.no_grad():
                wanted, empty = (language_model(torch.cat([ids(text), written], dim=1)).logits[0, -1, FIRST:] for text in (PROMPT, ""))
            scores = empty + guidance * (wanted - empty)
            if floor:
                scores[wanted.softmax(-1) < floor * wanted.softmax(-1).max()] = -torch.inf
            whole = torch.cat([torch.full((FIRST,), -torch.inf), scores]).softmax(-1)
            written = torch.cat([written, torch.multinomial(whole, 1, generator=generator)[None]], dim=1)
        return written.reshape(ROWS, COLUMNS) - FIRST

    drawn = [draw(made(), runtime, seed=seed, guidance=guidance, floor=floor)[0][0] for seed in (1, 2, 3)]
    assert all(torch.equal(one, by_hand(seed)) for one, seed in zip(drawn, (1, 2, 3)))
    other = [draw(made(), runtime, seed=seed, guidance=guidance, floor=0.1 - floor)[0][0] for seed in (1, 2, 3)]
    assert not all(map(torch.equal, drawn, other))


@pytest.mark.parametrize("guidance", [1.0, 3.0])
def test_three_prompts_with_three_seeds_are_three_single_runs(made, runtime, guidance):
    """Pictures to a millionth of their range: a batch of three convolves in another order."""
    together, pictures = draw(made(), runtime, PROMPTS, guidance=guidance)
    for i, prompt in enumerate(PROMPTS):
        alone, picture = draw(made(), runtime, prompt, seed=7 + i, guidance=guidance)
        assert torch.equal(together[i], alone[0])
        assert np.abs(pictures[i] - picture[0]).max() <= 1e-5
    several, _ = draw(made(), runtime, count=3, guidance=guidance)
    for i in range(3):
        assert torch.equal(several[i], draw(made(), runtime, seed=7 + i, guidance=guidance)[0][0])


def test_another_prompt_or_seed_draws_other_codes(made, runtime):
    base = draw(made(), runtime, temperature=0)[0]
    for other in PROMPTS[1:]:
        assert not torch.equal(base, draw(made(), runtime, other, temperature=0)[0])
    assert not torch.equal(draw(made(), runtime, seed=1)[0], draw(made(), runtime, seed=2)[0])


def test_an_endless_prompt_is_cut_and_unknown_words_are_read(made, runtime):
    long = "blue " * 20_000
    assert torch.equal(draw(made(), runtime, long)[0], draw(made(), runtime, "blue " * TEXT)[0])
    assert draw(made(), runtime, "zygomorphic")[0].shape == (1, ROWS, COLUMNS)


@pytest.mark.parametrize("kind", ["llama", "dvae"])
def test_in_bfloat16_codes_are_those_of_generate_in_bfloat16(made, half, kind):
    language_model = model(made(kind), torch.bfloat16)
    for options in ({}, {"do_sample": False}):
        drawn, pixels = draw(made(kind), half, **({"temperature": 0} if options else {}))
        assert torch.equal(drawn[0], generate(language_model, PROMPT, **options)[0])
    assert pixels.dtype == np.float32 and 0 <= pixels.min() < pixels.max() <= 1


def test_the_picture_is_what_the_codebook_makes_of_the_codes(made, runtime):
    from diffusers import VQModel

    drawn, pixels = draw(made(), runtime, PROMPTS)
    book = VQModel.from_pretrained(made() / "codebook").eval()
    with torch.no_grad():
        entries = book.quantize.get_codebook_entry(drawn.reshape(-1), (*drawn.shape, 3))
        expected = (book.decode(entries, force_not_quantize=True).sample / 2 + 0.5).clamp(0, 1)
    assert np.array_equal(pixels, expected.numpy()) and pixels.std() > 0.05
    drawn, pixels = draw(made("dvae"), runtime)
    from flowmm.models.dvae import DVAE

    with torch.no_grad():
        assert np.array_equal(pixels, DVAE.from_pretrained(made("dvae") / "codebook").decode(drawn).numpy())
    assert pixels.shape == (1, 3, ROWS * 8, COLUMNS * 8)


# ── the loop ────────────────────────────────────────────────────────────────────────────────────


def painted(folder, context, codebook=True, **settings):
    parts = autoregressive.load(str(folder))
    positive = autoregressive.picture_prompt(parts.tokenizer, Text((PROMPT,)))
    negative = autoregressive.picture_prompt(parts.tokenizer, Text((PROMPT,)), conditional=False)
    return autoregressive.sample_codes(parts.model, positive, negative, parts.codebook if codebook else None, seed=Seed(7), context=context, **settings)


@pytest.mark.parametrize("guidance, rows", [(1.0, 1), (2.0, 2)])
def test_the_prompt_is_read_once_and_every_code_once(made, guidance, rows):
    module = residency("cpu").load(autoregressive.load(str(made())).model)
    read = []
    hook = module.register_forward_pre_hook(lambda _, args, given: read.append(tuple(given["input_ids"].shape)), with_kwargs=True)
    try:
        painted(made(), Context("paint"), guidance=guidance)
    finally:
        hook.remove()
    assert read == [(rows, TEXT), *[(rows, 1)] * (COUNT - 1)]


def test_the_picture_is_shown_while_it_is_drawn(made):
    seen = []
    whole = painted(made(), Context("paint", report=lambda *told: seen.append(told))).ids
    assert [(done, total) for done, total, _ in seen] == [(i, COUNT) for i in range(COUNT + 1)]
    begun = whole.clone().reshape(-1)
    begun[5:] = 0
    picture = seen[5][2]()
    book = autoregressive.load(str(made())).codebook
    assert isinstance(picture, Image) and np.array_equal(picture.pixels, codes.decode(book, Codes(begun.reshape(1, ROWS, COLUMNS))).pixels)
    seen.clear()
    painted(made(), Context("paint", report=lambda *told: seen.append(told)), codebook=False)
    assert all(preview is None for _, _, preview in seen)


def test_a_run_of_the_graph_tells_of_every_partial_picture_there_is_time_for(made, monkeypatch):
    monkeypatch.setattr("flowmm.engine.events.INTERVAL", 0)
    monkeypatch.setattr("flowmm.engine.events.SPARED", 0)
    shown, fresh = [], flowmm.Runtime("cpu", cache=None, threads=1)
    flowmm.load("text-to-image-codes").run({"prompt": PROMPT, "seed": 7, "model": str(made())}, runtime=fresh, listener=shown.append)
    pictures = [event.image.pixels for event in shown if event.kind == "preview"]
    fresh.close()
    assert len(pictures) == COUNT and {event.node for event in shown if event.kind == "preview"} == {"paint"}
    assert len({picture.tobytes() for picture in pictures}) > COUNT // 2  # but for codes that happen to be 0, as what is missing is shown


def test_cancelling_takes_effect_at_the_next_code_and_leaves_the_model_usable(made, runtime):
    steps = []
    with pytest.raises(Cancelled):
        painted(made(), Context("paint", report=lambda *told: steps.append(told), cancelled=lambda: len(steps) >= 4))
    assert len(steps) == 4
    assert torch.equal(painted(made(), Context("paint")).ids[0], generate(model(made()), PROMPT)[0])


# ── the best of many ────────────────────────────────────────────────────────────────────────────


@pytest.fixture(scope="session")
def judge(tmp_path_factory):
    return tiny.save_clip(tmp_path_factory.mktemp("clip"))


def test_pictures_are_ranked_as_CLIPModel_scores_them(made, judge, runtime):
    from transformers import CLIPImageProcessorPil, CLIPModel, CLIPTokenizer

    graph = flowmm.load("dalle1")
    inputs = {"prompt": PROMPT, "seed": 7, "candidates": 6, "keep": 2, "model": str(made()), "judge": str(judge)}
    result = graph.run(inputs, runtime=runtime)
    drawn, pictures = draw(made(), runtime, count=6)
    seen = Image(pictures)
    words = CLIPTokenizer.from_pretrained(judge)([PROMPT], padding=True, truncation=True, return_tensors="pt")
    pixels = CLIPImageProcessorPil.from_pretrained(judge)(images=[seen.to_pil(i) for i in range(6)], return_tensors="pt")
    with torch.no_grad():
        expected = CLIPModel.from_pretrained(judge, dtype=torch.float32).eval()(**words, **pixels).logits_per_text[0]
    order = expected.argsort(descending=True, stable=True)
    assert result.scores.columns == tuple(str(int(i)) for i in order) and order.tolist() != list(range(6))
    assert np.array_equal(result.scores.values[0], expected[order].numpy())
    assert result.scores.rows == (PROMPT,) and np.ptp(result.scores.values) > 0.01
    assert np.array_equal(result.image.pixels, pictures[order[:2]])


# ── what cannot be drawn ────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("settings", [{"width": 16}, {"height": 8}, {"width": 16, "height": 16}])
def test_another_size_than_it_was_trained_on_is_refused(made, settings):
    with pytest.raises(ValueError, match=f"draws pictures of {COLUMNS * 4}×{ROWS * 4} and no others; leave width and height out"):
        painted(made(), Context("paint"), **settings)
    assert painted(made(), Context("paint"), width=COLUMNS * 4, height=ROWS * 4).ids.shape == (1, ROWS, COLUMNS)


def test_what_the_folder_recommends_is_used(tmp_path, made, runtime):
    folder = tiny_dalle.save(tmp_path, guidance=3.0, floor=0.1, image_temperature=0.8)
    assert torch.equal(draw(folder, runtime)[0], draw(made(), runtime, guidance=3.0, floor=0.1, temperature=0.8)[0])
    assert not torch.equal(draw(folder, runtime)[0], draw(made(), runtime)[0])


def test_a_tokenizer_of_another_class_pads_with_its_own_token(tmp_path, runtime):
    """As the embedded pack has it: CLIP's tokenizer, which fills up with the end of text."""
    folder = tiny_dalle.save(tmp_path, words=tiny.tokenizer())
    parts = autoregressive.load(str(folder))
    read = autoregressive.picture_prompt(parts.tokenizer, Text(("ab", ""))).ids
    coded = tiny.tokenizer()(["ab", ""], padding="max_length", truncation=True, max_length=TEXT, return_tensors="pt").input_ids
    assert torch.equal(read, coded) and (read[1, 1:] == 513).all()
