"""UniToken through the graphs ask, caption and text-to-image-codes equals whole passes without a cache over the libraries' own modules."""

import numpy as np
import PIL.Image
import pytest
import tiny
import tiny_unitoken
import torch
from tiny_unitoken import FIRST, SIDE, Reference

import flowmm
from flowmm.nodes import autoregressive, codes, vision, vlm
from flowmm.sockets import Image, Prompt, Seed, Text

# Of the largest value. Keys and values that were kept, rows in a batch, two ids at once: the same numbers in another order of additions.
# Measured: 8e-7 in float32, 2e-2 in bfloat16, whose numbers have 8 bits.
ROUNDING = {"float32": 1e-5, "bfloat16": 4e-2}
QUESTION = "What is this?"
DRAW = "Generate an image according to the following prompt:\n"


@pytest.fixture(scope="session")
def folder(tmp_path_factory):
    return str(tiny_unitoken.save(tmp_path_factory.mktemp("unitoken") / "base"))


@pytest.fixture(scope="session")
def anyres(tmp_path_factory):
    return str(tiny_unitoken.save(tmp_path_factory.mktemp("unitoken") / "anyres", architecture=tiny_unitoken.ANYRES))


@pytest.fixture(scope="session")
def reference():
    return Reference()


@pytest.fixture(autouse=True)
def no_gradients():
    with torch.no_grad():
        yield


@pytest.fixture(scope="module", params=["float32", "bfloat16"])
def precise(request):
    made = flowmm.Runtime("cpu", cache=None, threads=1, dtype=request.param)
    made.precision = request.param
    yield made
    made.close()


@pytest.fixture
def scores(monkeypatch):
    """What the sampler chose from, step by step, before anything is cut off."""
    from flowmm.nodes.autoregressive import loop

    seen, made = [], loop._processors

    def telling(choice):
        keep = made(choice)
        return lambda ids, given: keep(ids, seen.append(given.clone()) or given)

    monkeypatch.setattr(loop, "_processors", telling)
    return seen


def picture(seed=0, width=44, height=28):
    return Image(np.random.default_rng(seed).integers(0, 256, (1, 3, height, width), dtype=np.uint8))


def byte_ids(text):
    from tokenizers.pre_tokenizers import ByteLevel

    letters = sorted(ByteLevel.alphabet())
    table = {" ": "Ġ", "\n": "Ċ"}
    return [16600 + letters.index(table.get(letter, letter)) for letter in text]


def close(one, other, precision="float32"):
    return (one.float() - other.float()).abs().max() <= ROUNDING[precision] * other.float().abs().max()


# ── what the model sees, done by hand ───────────────────────────────────────────────────────────


def normalised(image):
    return torch.from_numpy(np.array(image, dtype=np.float32)).permute(2, 0, 1)[None] / 255 * 2 - 1


def square(image, side=SIDE):
    """As UniToken's center_crop, from the middle."""
    while image.size[0] >= 2 * side and image.size[1] >= 2 * side:
        image = image.resize((image.size[0] // 2, image.size[1] // 2), resample=PIL.Image.BOX)
    scale = max(side / image.size[0], side / image.size[1])
    image = image.resize((round(image.size[0] * scale), round(image.size[1] * scale)), resample=PIL.Image.BICUBIC)
    left, top = (image.size[0] - side) // 2, (image.size[1] - side) // 2
    return image.crop((left, top, left + side, top + side))


def codes_of(reference, image):
    return reference.vq.encode(normalised(square(image))).image_tokens.reshape(8, 8)


def features_of(reference, image, dtype=torch.float32):
    return reference.features(normalised(image.resize((28, 28), PIL.Image.BICUBIC)).to(dtype))[0]


def embedded(reference, image, question=QUESTION, features=None, with_codes=True, dtype=torch.float32):
    """[BOS] 8197 h w {codes, 8803 after each row} 8198 {features} 8196 question 8710."""
    grid = [id for row in codes_of(reference, image).tolist() for id in (*(FIRST + code for code in row), 8803)]
    start = [0, 8197, *([8808, 8808, *grid] if with_codes else [])]
    features = features_of(reference, image, dtype) if features is None else features
    if len(features):
        start.append(8198)
    return torch.cat([reference.embed(start), features, reference.embed([8196, *byte_ids(question), 8710])])


def continued(reference, embeds, count):
    """Greedy: ids, and the logits each was chosen from."""
    ids, logits = [], []
    for _ in range(count):
        logits.append(reference.logits(embeds))
        ids.append(int(logits[-1].argmax()))
        if ids[-1] == 8710:
            break
        embeds = torch.cat([embeds, reference.embed(ids[-1:])])
    return ids, torch.stack(logits)


def answered(folder, runtime, image, question=QUESTION, most=6, **inputs):
    given = {"image": image, "question": question, "most": most, "model": folder} | inputs
    return tiny.peek("ask", given, runtime, "write.tokens", "prompt.prompt")


# ── understanding ───────────────────────────────────────────────────────────────────────────────


def test_an_answer_is_that_of_whole_passes_ids_and_logits(folder, precise, scores):
    dtype = getattr(torch, precise.precision)
    reference, image = Reference(dtype=dtype), picture()
    tokens, _ = answered(folder, precise, image)
    with torch.no_grad():
        ids, logits = continued(reference, embedded(reference, image.to_pil(0), dtype=dtype), 6)
    if precise.precision == "bfloat16":  # the first near tie may fall the other way; what follows then answers to other ids
        same = next((i for i, (a, b) in enumerate(zip(tokens.ids[0].tolist(), ids)) if a != b), len(ids) - 1) + 1
        ids, logits = ids[: same - 1], logits[:same]
    assert tokens.ids[0].tolist()[: len(ids)] == ids and len(logits) >= 2
    assert close(torch.cat(scores)[: len(logits)], logits, precise.precision)


def test_a_prompt_is_the_published_sequence(folder, runtime, reference):
    image = picture()
    _, prompt = answered(folder, runtime, image, history=["Who?", "Me."])
    grid = [id for row in codes_of(reference, image.to_pil(0)).tolist() for id in (*(FIRST + code for code in row), 8803)]
    said = [*byte_ids("Who?"), 8710, *byte_ids("Me."), 8710, *byte_ids(QUESTION), 8710]
    assert prompt.ids.tolist() == [[0, 8197, 8808, 8808, *grid, 8198, *[-1] * 16, 8196, *said]]
    assert prompt.mask.all() and prompt.features.shape == (1, 16, 32)
    _, placed = answered(folder, runtime, image, "Look: <|image|>\nWell?")
    assert placed.ids[0, :7].tolist() == [0, *byte_ids("Look: ")] and placed.ids[0, -7:].tolist() == [8196, *byte_ids("\nWell"), *byte_ids("?"), 8710][-7:]


def test_an_empty_question_and_the_caption_graph_ask_what_unitokens_readme_asks(folder, runtime, reference):
    image = picture()
    _, prompt = answered(folder, runtime, image, "")
    (caption, tokens) = tiny.peek("caption", {"image": image, "model": folder, "most": 4}, runtime, "prompt.prompt", "write.tokens")
    assert torch.equal(prompt.ids, caption.ids)
    asked = byte_ids("Please describe the details of the image as much as possible.")
    assert prompt.ids[0, -len(asked) - 1 :].tolist() == [*asked, 8710]
    ids, _ = continued(reference, embedded(reference, image.to_pil(0), "Please describe the details of the image as much as possible."), 4)
    assert tokens.ids[0].tolist()[: len(ids)] == ids


def tiles_of(image, side=28):
    """As UniToken's process_anyres_image: the best pinpoint, resized, on black, cut row by row; with the grid."""
    best, most, least = None, 0, float("inf")
    for width, height in ((side, 2 * side), (2 * side, side), (2 * side, 2 * side), (side, 3 * side), (3 * side, side)):
        scale = min(width / image.width, height / image.height)
        shown = min(int(image.width * scale) * int(image.height * scale), image.width * image.height)
        if shown > most or (shown == most and width * height - shown < least):
            best, most, least = (width, height), shown, width * height - shown
    width, height = best
    scale = min(width / image.width, height / image.height)
    new = (width, min(-int(-image.height * scale // 1), height)) if width / image.width < height / image.height else (
        min(-int(-image.width * scale // 1), width), height)  # fmt: skip
    padded = PIL.Image.new("RGB", best, (0, 0, 0))
    padded.paste(image.resize(new), ((width - new[0]) // 2, (height - new[1]) // 2))
    corners = [(x, y) for y in range(0, height, side) for x in range(0, width, side)]
    return [padded.crop((x, y, x + side, y + side)) for x, y in corners], width // side, height // side


def anyres_features(reference, image):
    """The whole; then the fine patches row by row without the black margin, 8803 after each row."""
    tiles, across, down = tiles_of(image)
    seen = torch.cat([reference.features(normalised(tile)) for tile in tiles]).reshape(down, across, 4, 4, 32)
    whole = [[seen[y // 4, x // 4, y % 4, x % 4] for x in range(across * 4)] for y in range(down * 4)]
    if image.width / image.height > across / down:
        margin = (down * 4 - int(image.height * (across * 4 / image.width))) // 2
        whole = whole[margin : len(whole) - margin]
    else:
        margin = (across * 4 - int(image.width * (down * 4 / image.height))) // 2
        whole = [row[margin : len(row) - margin] for row in whole]
    end = reference.embed([8803])[0]
    return torch.cat([features_of(reference, image), torch.stack([vector for row in whole for vector in (*row, end)])])


@pytest.mark.parametrize("size", [(44, 28), (60, 70), (20, 90), (33, 33)])
def test_finer_cuts_follow_the_whole_as_in_an_anyres_model(anyres, runtime, reference, scores, size):
    image = picture(1, *size)
    features = anyres_features(reference, image.to_pil(0))
    tokens, prompt = answered(anyres, runtime, image, most=3)
    assert prompt.features.shape[1] == len(features) > 16
    assert close(prompt.features[0], features)
    ids, logits = continued(reference, embedded(reference, image.to_pil(0), features=features), 3)
    assert tokens.ids[0].tolist()[: len(ids)] == ids and close(torch.cat(scores)[: len(logits)], logits)


def test_finer_cuts_of_several_pictures_do_not_mix(anyres, runtime, scores):
    images = [picture(1, 44, 28), picture(2, 20, 90), picture(3, 60, 70)]
    together, prompt = answered(anyres, runtime, images, most=2)
    batch = torch.stack(scores)[0].clone()
    assert len({int(row.sum()) for row in prompt.mask}) == 3
    scores.clear()
    for i, image in enumerate(images):
        alone, _ = answered(anyres, runtime, image, most=2)
        assert alone.ids[0, 0] == together.ids[i, 0]
        assert close(batch[i], scores[2 * i][0])


def test_codes_and_features_both_count(folder, runtime, reference, scores):
    """Each alone gives other logits than both, and each is what it is by hand."""
    image = picture()
    parts = vlm.load(folder)
    seen = vision.encode(parts.encoder, vision.preprocess(parts.processor, image))
    found = {}
    for name, given in (("both", seen), ("codes", vision.keep(seen, reading="codes")), ("features", vision.keep(seen, reading="features"))):
        autoregressive.sample_text(parts.model, vlm.prompt(parts.tokenizer, given, Text((QUESTION,))), parts.tokenizer, most=1)
        found[name] = scores.pop()[0]
    pil = image.to_pil(0)
    assert close(found["codes"], reference.logits(embedded(reference, pil, features=torch.zeros(0, 32))))
    assert close(found["features"], reference.logits(embedded(reference, pil, with_codes=False)))
    assert all((found["both"] - found[name]).abs().max() > 0.5 for name in ("codes", "features"))


def test_another_picture_or_question_changes_the_answer(folder, runtime, scores):
    for image, question in ((picture(), QUESTION), (picture(5), QUESTION), (picture(), "What is that?")):
        answered(folder, runtime, image, question, most=1)
    first, other, asked = (given[0] for given in scores)
    assert (first - other).abs().max() > 0.5 and (first - asked).abs().max() > 0.5


def test_three_pictures_at_once_are_three_alone(folder, runtime, scores):
    images, questions = [picture(i) for i in range(3)], ["A?", "Much longer?", "So?"]
    together, _ = answered(folder, runtime, images, questions, most=3, temperature=1.0, seed=5)
    batch = torch.stack(scores).transpose(0, 1).clone()
    for i in range(3):
        scores.clear()
        alone, _ = answered(folder, runtime, images[i], questions[i], most=3, temperature=1.0, seed=5 + i)
        assert alone.ids[0].tolist() == together.ids[i].tolist()[: alone.ids.shape[1]]
        assert close(batch[i][: len(scores)], torch.cat(scores))
    assert len({tuple(row.tolist()) for row in together.ids}) == 3


def test_codes_are_not_written_into_text_where_the_config_masks_them(tmp_path, runtime, scores):
    masked = tiny_unitoken.save(tmp_path / "masked", mask_image_logits=True)
    answered(str(masked), runtime, picture(), most=1)
    assert scores[0][0, FIRST : FIRST + 64].isinf().all() and scores[0].isinf().sum() == 64


# ── generation ──────────────────────────────────────────────────────────────────────────────────


def draw(folder, runtime, prompt="a red circle", seed=7, **inputs):
    given = {"prompt": prompt, "seed": seed, "model": folder} | inputs
    drawn, image = tiny.peek("text-to-image-codes", given, runtime, "paint.codes", "pixels.image")
    return drawn.ids, image.pixels


def drawn_by_hand(reference, prompt="a red circle", seed=7, guidance=3.0, top_k=4000, temperature=1.0, height=SIDE, width=SIDE, ids_of_codes=None, steps=None):
    """Two whole passes an id, without a cache: guidance, constraint, top-k, then a draw among the codes. codes, and scores of what was free."""
    generator = torch.Generator().manual_seed(seed)
    of_code = torch.arange(FIRST, FIRST + 64) if ids_of_codes is None else torch.tensor(ids_of_codes)
    rows, columns = height // 2, width // 2
    prefix = [0, *byte_ids(DRAW + prompt), 8710, 16853]
    told = [8197, 8804 + height // 4, 8804 + width // 4]
    found, scores = [], []
    for position in range(rows * (columns + 1)):
        if (position + 1) % (columns + 1) == 0:
            told.append(8803)
            continue
        with_prompt, without = (reference.logits(reference.embed(ids)).float() for ids in (prefix + told, told))
        logits = without + guidance * (with_prompt - without) if guidance > 1 else with_prompt
        allowed = torch.full_like(logits, -torch.inf)
        allowed[of_code] = logits[of_code]
        scores.append(allowed[of_code])
        if temperature == 0:
            id = int(allowed.argmax())
        else:
            allowed = allowed / temperature
            allowed[allowed < allowed.topk(min(top_k, len(allowed))).values[-1]] = -torch.inf
            id = int(of_code[torch.multinomial(allowed.softmax(-1)[of_code], 1, generator=generator)])
        told.append(id)
        found.append(int((of_code == id).nonzero()))
        if steps and len(found) == steps:
            break
    return found, torch.stack(scores), told


@pytest.mark.parametrize("settings", [{}, {"guidance": 1.0}, {"guidance": 5.5, "top_k": 3}, {"temperature": 0.0}, {"temperature": 2.0, "top_k": 9}])
def test_a_picture_is_that_of_two_whole_passes_an_id(folder, runtime, reference, scores, settings):
    codes_drawn, image = draw(folder, runtime, **settings)
    expected, logits, _ = drawn_by_hand(reference, **settings)
    assert codes_drawn.flatten().tolist() == expected
    assert close(torch.cat(scores), logits)
    assert codes_drawn.shape == (1, 8, 8) and len(set(expected)) > 5
    pixels = (reference.decode(codes_drawn[0]) / 2 + 0.5).clamp(0, 1)
    assert np.abs(image - pixels.numpy()).max() < 1e-5


def test_a_picture_in_bfloat16_is_that_of_whole_passes_in_bfloat16(folder, precise, scores):
    """The draws are the same until a rounding falls between two codes; the scores up to there agree within bfloat16."""
    reference = Reference(dtype=getattr(torch, precise.precision))
    with torch.no_grad():
        expected, logits, _ = drawn_by_hand(reference, steps=12)
    drawn, _ = draw(folder, precise)
    found = drawn.flatten().tolist()
    same = next((i for i, (a, b) in enumerate(zip(found, expected)) if a != b), 11) + 1
    assert same >= 3 and close(torch.cat(scores)[:same], logits[:same], precise.precision)


@pytest.mark.parametrize(("height", "width"), [(8, 12), (12, 4)])
def test_other_sizes_say_their_grid_and_end_their_rows(folder, reference, scores, height, width):
    parts = autoregressive.load(folder)
    words, nothing = (autoregressive.picture_prompt(parts.tokenizer, Text(("a",)), conditional=flag) for flag in (True, False))
    found = autoregressive.sample_codes(parts.model, words, nothing, seed=Seed(3), height=height, width=width)
    expected, logits, _ = drawn_by_hand(reference, "a", seed=3, height=height, width=width)
    assert found.ids.shape == (1, height // 2, width // 2) and found.ids.flatten().tolist() == expected
    assert close(torch.cat(scores), logits)


def test_what_the_model_reads_is_the_published_sequence_once(folder, reference, monkeypatch):
    """Every id is read once, the end of a row with the code before it; the unconditional row has no words before 8197."""
    from flowmm.models.residency import residency

    parts = autoregressive.load(folder)
    module, read = residency("cpu").load(parts.model), []
    forward = module.model.forward
    monkeypatch.setattr(module.model, "forward", lambda **inputs: read.append((inputs["input_ids"], inputs["attention_mask"])) or forward(**inputs))
    words, nothing = (autoregressive.picture_prompt(parts.tokenizer, Text(("a red circle",)), conditional=flag) for flag in (True, False))
    autoregressive.sample_codes(parts.model, words, nothing, seed=Seed(7))
    _, _, told = drawn_by_hand(reference)
    ids, mask = torch.cat([ids for ids, _ in read], dim=1), read[0][1]
    prefix = [0, *byte_ids(DRAW + "a red circle"), 8710, 16853]
    assert ids[0].tolist() == prefix + told[:-2]  # neither the last code nor the end of the last row is read
    assert mask[1].tolist() == [0] * len(prefix) + [1] * 3 and ids[1, len(prefix) :].tolist() == told[:-2]
    assert {ids.shape[1] for ids, _ in read[1:]} == {1, 2}


def test_codes_go_by_the_names_of_the_vocabulary(tmp_path, runtime, reference):
    """The id of code names[i] is 4 + i, as names say, and not by its place."""
    names = torch.randperm(64, generator=torch.Generator().manual_seed(3)).tolist()
    other = str(tiny_unitoken.save(tmp_path / "shuffled", codes=names))
    ids_of_codes = [FIRST + names.index(code) for code in range(64)]
    drawn, _ = draw(other, runtime)
    assert drawn.flatten().tolist() == drawn_by_hand(reference, ids_of_codes=ids_of_codes)[0]
    _, prompt = answered(other, runtime, picture(), most=1)
    assert prompt.ids[0, 4:12].tolist() == [ids_of_codes[code] for code in codes_of(reference, picture().to_pil(0))[0].tolist()]


def test_three_pictures_of_three_seeds_are_three_alone(folder, runtime, scores):
    together, _ = draw(folder, runtime, ["a red circle", "two", ""], seed=40)
    batch = torch.stack(scores).transpose(0, 1).clone()
    for i, prompt in enumerate(("a red circle", "two", "")):
        scores.clear()
        alone, _ = draw(folder, runtime, prompt, seed=40 + i)
        assert torch.equal(alone[0], together[i]) and close(batch[i], torch.cat(scores))
    assert len({tuple(one.flatten().tolist()) for one in together}) == 3
    again, _ = draw(folder, runtime, "a red circle", seed=40, count=2)
    assert torch.equal(again[0], together[0]) and not torch.equal(again[1], again[0])


# ── the VQGAN ───────────────────────────────────────────────────────────────────────────────────


def test_codes_are_those_of_transformers_and_pixels_those_of_the_original_decoder(folder, reference):
    codebook = codes.load(folder)
    for source in (folder, f"{folder}/vqgan.safetensors"):
        assert codes.load(source).fingerprint == codebook.fingerprint
    image = Image(np.random.default_rng(2).random((2, 3, 16, 24), dtype=np.float32))
    found = codes.encode(codebook, image)
    expected = reference.vq.encode(torch.from_numpy(image.pixels) * 2 - 1).image_tokens
    assert torch.equal(found.ids.flatten(), expected) and len(expected.unique()) > 10
    made = codes.decode(codebook, found)
    for i in range(2):
        pixels = (reference.decode(found.ids[i]) / 2 + 0.5).clamp(0, 1)
        assert np.abs(made.pixels[i] - pixels[0].numpy()).max() < 1e-5
    assert made.pixels.std() > 0.05


def test_the_codes_a_question_is_asked_with_are_those_the_codebook_gives(folder):
    parts, image = vlm.load(folder), picture(4, 90, 70)
    pixels = vision.preprocess(parts.processor, image)
    seen = vision.encode(parts.encoder, pixels)
    assert torch.equal(seen.codes, codes.encode(codes.load(folder), Image(pixels.coded.numpy())).ids)


@pytest.mark.parametrize("size", [(44, 28), (90, 70), (16, 16), (1, 1), (7, 200)])
def test_pictures_are_prepared_as_unitoken_does(folder, size):
    image = picture(6, *size)
    pixels = vision.preprocess(vlm.load(folder).processor, image)
    pil = image.to_pil(0)
    assert (pixels.coded * 2 - 1 - normalised(square(pil))).abs().max() < 1e-6
    assert (pixels.values - normalised(pil.resize((28, 28), PIL.Image.BICUBIC))).abs().max() < 1e-6
    assert isinstance(vlm.prompt(vlm.load(folder).tokenizer, vision.encode(vlm.load(folder).encoder, pixels), Text(("x",))), Prompt)


# ── graphs of several parts ─────────────────────────────────────────────────────────────────────


def test_what_was_drawn_is_looked_at_as_pixels(folder, runtime, reference):
    """The graph draw-and-ask: the drawn picture, rounded to 8 bits, goes back through both readings."""
    given = {"prompt": "a red circle", "question": QUESTION, "seed": 11, "most": 4, "model": folder}
    drawn, image, tokens = tiny.peek("draw-and-ask", given, runtime, "paint.codes", "picture.image", "answer.tokens")
    assert drawn.ids.flatten().tolist() == drawn_by_hand(reference, seed=11)[0]
    ids, _ = continued(reference, embedded(reference, image.to_pil(0)), 4)
    assert tokens.ids[0].tolist()[: len(ids)] == ids


def test_one_question_three_readings(folder, runtime, reference):
    """The graph unitoken-two-readings."""
    image = picture(8)
    edges = [f"answer_{name}.tokens" for name in ("both", "by_codes", "by_features")]
    found = tiny.peek("unitoken-two-readings", {"image": image, "question": QUESTION, "most": 4, "model": folder}, runtime, *edges)
    for tokens, options in zip(found, ({}, {"features": torch.zeros(0, 32)}, {"with_codes": False})):
        ids, _ = continued(reference, embedded(reference, image.to_pil(0), **options), 4)
        assert tokens.ids[0].tolist()[: len(ids)] == ids
    assert len({tuple(tokens.ids[0].tolist()) for tokens in found}) == 3
