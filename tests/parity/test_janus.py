"""Janus through the saved graphs equals JanusForConditionalGeneration: prompts, text, codes and pictures, to the last bit where not said otherwise."""

import numpy as np
import pytest
import tiny
import tiny_janus
import torch

import flowmm
from flowmm.models import residency
from flowmm.nodes import autoregressive, codes, vision, vlm
from flowmm.nodes._families import family_of
from flowmm.nodes._families.janus import CAPTION, nearest
from flowmm.sockets import Codes, Image, Seed, Text

QUESTION, PROMPT = "what is in it?", "a red circle"
# Logits in batches of other sizes, with padding, or of a whole sequence at once round differently: measured 1.7e-6 of up to 5.
ROUNDING = 2e-5


@pytest.fixture(scope="session")
def folder(tmp_path_factory):
    return tiny_janus.save(tmp_path_factory.mktemp("janus"))


@pytest.fixture(scope="session")
def processor():
    return tiny_janus.processor()


@pytest.fixture(scope="session")
def models(folder):
    """The reference in both dtypes."""
    from transformers import JanusForConditionalGeneration

    made = {dtype: JanusForConditionalGeneration.from_pretrained(folder, dtype=getattr(torch, dtype)).eval() for dtype in ("float32", "bfloat16")}
    for one in made.values():  # lost on the way through the folder: see test_upstream_faults.py
        one.generation_config.generation_kwargs = {"boi_token_id": tiny_janus.tokenizer().convert_tokens_to_ids(tiny_janus.BEGIN)}
    return made


@pytest.fixture
def model(models):
    return models["float32"]


@pytest.fixture(scope="module")
def runtimes():
    made = {dtype: flowmm.Runtime("cpu", cache=None, threads=1, dtype=dtype) for dtype in ("float32", "bfloat16")}
    yield made
    for one in made.values():
        one.close()


@pytest.fixture
def runtime(runtimes):
    return runtimes["float32"]


def picture(seed=0, height=40, width=57):
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)


def turns(question, *said):
    """A conversation in the form of a chat template; the picture comes with what is said first."""
    lines = [*said, question]
    roles = ["user", "assistant"] * len(lines)
    return [
        {"role": role, "content": [*([{"type": "image"}] if i == 0 else []), {"type": "text", "text": line}]}
        for i, (role, line) in enumerate(zip(roles, lines))
    ]


def read(processor, question, *said, pixels=None, dtype=torch.float32):
    """What the library makes of a conversation about a picture."""
    text = processor.apply_chat_template(turns(question, *said), add_generation_prompt=True)
    made = processor(text=text, images=picture() if pixels is None else pixels, return_tensors="pt")
    return {"input_ids": made.input_ids, "attention_mask": made.attention_mask, "pixel_values": made.pixel_values.to(dtype)}


def written(model, inputs, most=8, **settings):
    """ids and logits of what `generate` writes."""
    made = model.generate(**inputs, generation_mode="text", max_new_tokens=most, return_dict_in_generate=True, output_logits=True, **settings)
    return made.sequences[:, inputs["input_ids"].shape[1] :], torch.stack(made.logits, dim=1)


def prompted(processor, *prompts):
    messages = [[{"role": "user", "content": [{"type": "text", "text": prompt}]}] for prompt in prompts]
    texts = [processor.apply_chat_template(one, add_generation_prompt=True) for one in messages]
    return processor(text=texts, generation_mode="image", return_tensors="pt", padding=True)


def drawn(model, processor, seed=5, **settings):
    """Codes as `generate` draws them, with the settings deepseek has."""
    inputs = prompted(processor, PROMPT)
    torch.manual_seed(seed)
    return model.generate(**{"do_sample": True, "top_k": 0, "guidance_scale": 5} | settings, **inputs, generation_mode="image")


def ask(folder, runtime, *edges, **inputs):
    return tiny.peek("ask", {"image": picture(), "question": QUESTION, "most": 8, "model": str(folder)} | inputs, runtime, *edges)


def draw(folder, runtime, *edges, **inputs):
    return tiny.peek("text-to-image-codes", {"prompt": PROMPT, "seed": 5, "model": str(folder)} | inputs, runtime, *edges)


def stepwise(writer, prompts, ids):
    """Logits [B, L, N] before each of the ids, which are what was written."""
    with torch.no_grad():
        found = [writer.begin(prompts)]
        for position in range(ids.shape[1] - 1):
            found.append(writer.step(ids[:, position].repeat(len(prompts))))
    return torch.stack(found, dim=1)


# ── understanding ───────────────────────────────────────────────────────────────────────────────


def test_prompt_and_text_are_those_of_processor_and_generate(folder, model, processor, runtime):
    pixels, hidden, prompt, made, text = ask(folder, runtime, "pixels.pixels", "seen.hidden", "prompt.prompt", "write.tokens", "write.text")
    inputs = read(processor, QUESTION)
    assert torch.equal(pixels.values, inputs["pixel_values"])
    assert torch.equal(prompt.ids, inputs["input_ids"]) and torch.equal(prompt.mask, inputs["attention_mask"])
    assert torch.equal(hidden.values, model.model.get_image_features(inputs["pixel_values"]).pooler_output)
    ids, _ = written(model, inputs, do_sample=False)
    assert torch.equal(made.ids, ids) and len(set(ids[0].tolist())) > 4
    assert text.lines == tuple(line.strip() for line in processor.batch_decode(ids, skip_special_tokens=True))


def test_logits_of_every_word_are_those_of_generate_and_of_one_forward(folder, model, processor, runtime):
    handle, prompt, made = ask(folder, runtime, "parts.model", "prompt.prompt", "write.tokens")
    _, expected = written(model, read(processor, QUESTION), do_sample=False)
    with residency.residency("cpu").pinned(handle) as module:
        mine = stepwise(family_of(handle).writer(module, handle), [prompt], made.ids)
    assert torch.equal(mine, expected)
    inputs = read(processor, QUESTION)
    whole = torch.cat([inputs["input_ids"], made.ids], dim=1)
    with torch.no_grad():
        forward = model(input_ids=whole, pixel_values=inputs["pixel_values"]).logits[:, prompt.ids.shape[1] - 1 : -1]
    assert (mine - forward).abs().max() <= ROUNDING and mine.abs().max() > 3


@pytest.mark.parametrize("settings", [{"temperature": 1.0}, {"temperature": 0.7, "top_k": 12, "top_p": 0.8}])
def test_one_seed_writes_what_generate_samples(folder, model, processor, settings):
    parts = vlm.load(str(folder))
    hidden = vision.encode(parts.encoder, vision.preprocess(parts.processor, Image.accept(picture())))
    prompt = vlm.prompt(parts.tokenizer, hidden, Text((QUESTION,)))
    made = autoregressive.sample_text(parts.model, prompt, parts.tokenizer, seed=Seed(11), most=12, **settings)
    torch.manual_seed(11)
    ids, _ = written(model, read(processor, QUESTION), most=12, do_sample=True, **{"top_k": 0, **settings})
    assert torch.equal(made.tokens.ids, ids)
    assert not torch.equal(ids, written(model, read(processor, QUESTION), most=12, do_sample=False)[0])


def test_several_turns_are_the_processors_chat_template(folder, model, processor, runtime):
    said = [" what is in it? ", "a circle ", "is it red?", "yes, it is."]
    prompt, made = ask(folder, runtime, "prompt.prompt", "write.tokens", history=said, question=" how large is it? ")
    inputs = read(processor, " how large is it? ", *said)
    assert torch.equal(prompt.ids, inputs["input_ids"])
    assert torch.equal(made.ids, written(model, inputs, do_sample=False)[0])


def test_two_questions_in_turn(folder, model, processor, runtime):
    answers = flowmm.load("chat").run({"image": picture(), "first": QUESTION, "second": "and how large?", "most": 8, "model": str(folder)}, runtime=runtime)

    def answer(*said):
        ids, _ = written(model, read(processor, *said), do_sample=False)
        return processor.batch_decode(ids, skip_special_tokens=True)[0].strip()

    first = answer(QUESTION)
    assert answers.first_answer.lines == (first,)
    assert answers.second_answer.lines == (answer("and how large?", QUESTION, first),)
    assert answers.second_answer != ask(folder, runtime, "write.text", question="and how large?")[0]


def test_a_caption_is_the_answer_to_a_request_for_one(folder, model, processor, runtime):
    prompt, made = tiny.peek("caption", {"image": picture(), "most": 8, "model": str(folder)}, runtime, "prompt.prompt", "write.tokens")
    inputs = read(processor, CAPTION)
    assert torch.equal(prompt.ids, inputs["input_ids"]) and torch.equal(made.ids, written(model, inputs, do_sample=False)[0])


def test_without_the_system_prompt_where_the_processor_says_so(tmp_path, processor, runtime):
    import json

    folder = tiny_janus.save(tmp_path)
    path = folder / "processor_config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"use_default_system_prompt": False}))
    (prompt,) = ask(folder, runtime, "prompt.prompt")
    processor.use_default_system_prompt = False
    try:
        expected = read(processor, QUESTION)["input_ids"]
    finally:
        processor.use_default_system_prompt = True
    assert torch.equal(prompt.ids, expected)


def test_another_picture_or_question_changes_the_logits(folder, runtime):
    def first(**inputs):
        handle, prompt = ask(folder, runtime, "parts.model", "prompt.prompt", **inputs)
        with residency.residency("cpu").pinned(handle) as module, torch.no_grad():
            return family_of(handle).writer(module, handle).begin([prompt])

    base = first()
    assert (base - first(image=picture(1))).abs().max() > 0.1
    assert (base - first(question="what is on it?")).abs().max() > 0.01  # one letter of three hundred
    assert (base - first(history=["who?", "me"])).abs().max() > 0.1


def test_three_questions_are_answered_as_each_alone(folder, runtime):
    """Ids and draws alike; the logits round differently beside others, padding included."""
    asked, seen = ["what is in it?", "why?", "is there anything else to be seen?"], [picture(i) for i in range(3)]
    handle, prompt, made = ask(folder, runtime, "parts.model", "prompt.prompt", "write.tokens", image=seen, question=asked, temperature=1.0, seed=20)
    assert (prompt.mask == 0).any()
    with residency.residency("cpu").pinned(handle) as module, torch.no_grad():
        together = family_of(handle).writer(module, handle).begin([prompt])
    for i in range(3):
        alone = ask(folder, runtime, "prompt.prompt", "write.tokens", image=seen[i], question=asked[i], temperature=1.0, seed=20 + i)
        assert torch.equal(made.ids[i], alone[1].ids[0])
        with residency.residency("cpu").pinned(handle) as module, torch.no_grad():
            assert (together[i] - family_of(handle).writer(module, handle).begin([alone[0]])[0]).abs().max() <= ROUNDING


def test_text_in_bfloat16_is_that_of_generate_in_bfloat16(folder, models, processor, runtimes):
    hidden, made = ask(folder, runtimes["bfloat16"], "seen.hidden", "write.tokens")
    ids, _ = written(models["bfloat16"], read(processor, QUESTION, dtype=torch.bfloat16), do_sample=False)
    assert hidden.values.dtype == torch.bfloat16 and torch.equal(made.ids, ids)


def test_a_picture_is_padded_to_a_square_with_the_grey_it_was_trained_with(folder, runtime):
    """JanusImageProcessorPil is called; Janus pads with 127."""
    (pixels,) = ask(folder, runtime, "pixels.pixels", image=picture(height=64, width=16))
    grey = (127 / 255 - 0.5) / 0.5
    assert pixels.values.shape == (1, 3, 32, 32)
    assert torch.allclose(pixels.values[..., :9], torch.tensor(grey, dtype=torch.float32), atol=1e-6)  # the narrowest it makes of it is 14
    assert pixels.values[..., 9:23].std() > 0.1


# ── drawing ─────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("guidance", [5.0, 2.5])
def test_codes_are_those_generate_draws(folder, model, processor, runtime, guidance):
    (made,) = draw(folder, runtime, "paint.codes", guidance=guidance)
    expected = drawn(model, processor, guidance_scale=guidance)
    assert torch.equal(made.ids.flatten(1), expected) and len(expected.unique()) > 4


def test_what_is_left_out_is_what_deepseek_has(folder, model, processor, runtime):
    made, handle = draw(folder, runtime, "paint.codes", "parts.model")
    assert torch.equal(made.ids.flatten(1), drawn(model, processor))
    assert [handle.setting(name) for name in ("guidance", "image_temperature", "image_top_k", "tokens")] == [5.0, 1.0, 0, 512]


def test_the_likeliest_codes_and_the_fewest_are_generates_too(folder, model, processor, runtime):
    (made,) = draw(folder, runtime, "paint.codes", temperature=0.0)
    assert torch.equal(made.ids.flatten(1), drawn(model, processor, do_sample=False))
    (made,) = draw(folder, runtime, "paint.codes", temperature=1.3, top_k=9, top_p=0.9)
    expected = drawn(model, processor, temperature=1.3, top_k=9, top_p=0.9)
    assert torch.equal(made.ids.flatten(1), expected)


def test_the_unconditional_prompt_is_padding_but_for_what_begins_text_and_picture(folder, processor, runtime):
    positive, negative = draw(folder, runtime, "words.prompt", "nothing.prompt")
    words, inputs = processor.tokenizer, prompted(processor, PROMPT)
    assert torch.equal(positive.ids, inputs.input_ids) and torch.equal(positive.mask, inputs.attention_mask)
    begin, pad = words.convert_tokens_to_ids(tiny_janus.BEGIN), words.convert_tokens_to_ids(tiny_janus.PAD)
    assert negative.ids[0].tolist() == [words.bos_token_id, *[pad] * (inputs.input_ids.shape[1] - 2), begin]
    assert torch.equal(negative.mask, inputs.attention_mask)


def unrolled(model, ids, codes):
    """Logits [2B, L, N] of codes by one forward over both prompts and all codes at once."""
    with torch.no_grad():
        embeds = torch.cat([model.get_input_embeddings()(ids), model.prepare_embeddings_for_image_generation(codes[:, :-1].repeat(2, 1))], dim=1)
        hidden = model.model.language_model(inputs_embeds=embeds).last_hidden_state[:, ids.shape[1] - 1 :]
        return model.model.generation_head(hidden)


def test_logits_of_every_code_are_those_of_one_forward(folder, model, runtime):
    handle, positive, negative, made = draw(folder, runtime, "parts.model", "words.prompt", "nothing.prompt", "paint.codes")
    flat = made.ids.flatten(1)
    with residency.residency("cpu").pinned(handle) as module:
        mine = stepwise(family_of(handle).painter(module, handle), [positive, negative], flat)
    expected = unrolled(model, torch.cat([positive.ids, negative.ids]), flat)
    assert mine.shape == (2, tiny_janus.COUNT, tiny_janus.CODES)
    assert (mine - expected).abs().max() <= ROUNDING and (mine[0] - mine[1]).abs().max() > 0.5


def test_pixels_are_those_of_decode_image_tokens(folder, model, processor, runtime):
    made, image = draw(folder, runtime, "paint.codes", "pixels.image")
    with torch.no_grad():
        decoded = model.decode_image_tokens(made.ids.flatten(1))
    assert np.array_equal(image.pixels.transpose(0, 2, 3, 1), ((decoded + 1) / 2).clamp(0, 1).numpy()) and image.pixels.std() > 0.05
    # The processor's own postprocess, given channels first as it wants them: it cuts off where deepseek's code does too.
    unscaled = processor.image_processor.postprocess(list(decoded.permute(0, 3, 1, 2).float()))["pixel_values"]
    assert np.abs(np.stack(unscaled) - image.pixels * 255).max() <= 1.001


def test_another_prompt_or_seed_draws_another_picture(folder, runtime):
    (base,), (other,), (again,) = (draw(folder, runtime, "paint.codes", **one) for one in ({}, {"prompt": "a blue star"}, {"seed": 6}))
    assert not torch.equal(base.ids, other.ids) and not torch.equal(base.ids, again.ids)


def test_three_prompts_are_drawn_as_each_alone(folder, runtime):
    """The same codes; with prompts of several lengths the shorter ones are padded, and logits round differently."""
    prompts = ["a red circle", "two", "a large blue star on a white background"]
    handle, positive, negative, made = draw(folder, runtime, "parts.model", "words.prompt", "nothing.prompt", "paint.codes", prompt=prompts, seed=30)
    assert (positive.mask == 0).any()
    with residency.residency("cpu").pinned(handle) as module, torch.no_grad():
        painter = family_of(handle).painter
        together = painter(module, handle).begin([positive, negative]).unflatten(0, (2, 3))
        for i, prompt in enumerate(prompts):
            one, none, alone = draw(folder, runtime, "words.prompt", "nothing.prompt", "paint.codes", prompt=prompt, seed=30 + i)
            assert torch.equal(made.ids[i], alone.ids[0])
            assert (together[:, i] - painter(module, handle).begin([one, none])).abs().max() <= ROUNDING


def test_several_pictures_of_one_prompt_draw_from_seeds_in_turn(folder, model, processor, runtime):
    (made,) = draw(folder, runtime, "paint.codes", count=3)
    for i in range(3):
        assert torch.equal(made.ids[i].flatten(), drawn(model, processor, seed=5 + i)[0])


def test_codes_in_bfloat16_are_drawn_from_the_networks_own_logits(folder, models, runtimes):
    """`generate` guides in bfloat16; here guidance is float32, so a loop over the same network, guided so, is what it is compared with."""
    positive, negative, made, image = draw(folder, runtimes["bfloat16"], "words.prompt", "nothing.prompt", "paint.codes", "pixels.image")
    model, generator = models["bfloat16"], torch.Generator().manual_seed(5)
    embeds, cache, chosen = model.get_input_embeddings()(torch.cat([positive.ids, negative.ids])), None, []
    with torch.no_grad():
        for _ in range(tiny_janus.COUNT):
            read = model.model.language_model(inputs_embeds=embeds, cache=cache, use_cache=True)
            cache = read.cache
            wanted, plain = model.model.generation_head(read.last_hidden_state[:, -1]).float().chunk(2)
            code = torch.multinomial((plain + 5.0 * (wanted - plain)).softmax(-1)[0], 1, generator=generator)
            chosen.append(code)
            embeds = model.prepare_embeddings_for_image_generation(code.repeat(2)[:, None])
        decoded = model.decode_image_tokens(torch.cat(chosen)[None])
    assert torch.equal(made.ids.flatten(), torch.cat(chosen))
    assert np.array_equal(image.pixels.transpose(0, 2, 3, 1), ((decoded.float() + 1) / 2).clamp(0, 1).numpy())


# ── codes alone ─────────────────────────────────────────────────────────────────────────────────


def test_codes_are_looked_up_normalised_as_deepseek_does(folder, model):
    codebook = codes.load(str(folder))
    image = Image(np.random.default_rng(3).random((2, 3, 48, 32), dtype=np.float32))
    made = codes.encode(codebook, image)
    with torch.no_grad():
        latents = model.model.vqmodel.quant_conv(model.model.vqmodel.encoder(torch.from_numpy(image.pixels) * 2 - 1))
    flat = torch.nn.functional.normalize(latents.permute(0, 2, 3, 1).reshape(-1, 8), dim=-1)
    entries = torch.nn.functional.normalize(model.model.vqmodel.quantize.embedding.weight, dim=-1)
    distances = (flat**2).sum(1, keepdim=True) + (entries**2).sum(1) - 2 * flat @ entries.T
    assert torch.equal(made.ids, distances.argmin(1).reshape(2, 6, 4)) and len(made.ids.unique()) > 4


def test_every_code_is_nearest_to_its_own_entry_however_long_that_is(folder, model):
    weight = model.model.vqmodel.quantize.embedding.weight.detach()
    grid = torch.arange(tiny_janus.CODES).reshape(1, 8, 8)
    assert torch.equal(nearest(3.7 * weight[grid].permute(0, 3, 1, 2), weight), grid)


def test_a_grid_of_another_size_is_decoded_too(folder, model):
    """The same decoder: a square of the trained size out of it is not what is compared, since its convolutions see the neighbours."""
    grid = torch.arange(24).reshape(1, 3, 8)
    image = codes.decode(codes.load(str(folder)), Codes(grid))
    vq = model.model.vqmodel
    with torch.no_grad():
        entries = torch.nn.functional.normalize(vq.quantize.embedding(grid), dim=-1).permute(0, 3, 1, 2)
        expected = vq.decoder(vq.post_quant_conv(entries.contiguous()))
    assert image.pixels.shape == (1, 3, 24, 64) and np.array_equal(image.pixels, ((expected + 1) / 2).clamp(0, 1).numpy())


# ── both halves ─────────────────────────────────────────────────────────────────────────────────


def test_draw_and_ask_are_both_halves_on_weights_loaded_once(folder, model, processor):
    residency.residency("cpu").clear()
    before = residency.LOADS["janus"]
    runtime = flowmm.Runtime("cpu", cache=None, threads=1)
    inputs = {"prompt": PROMPT, "seed": 5, "question": QUESTION, "most": 8, "model": str(folder)}
    made = flowmm.load("draw-and-ask").run(inputs, runtime=runtime)
    assert residency.LOADS["janus"] == before + 1
    with torch.no_grad():
        decoded = model.decode_image_tokens(drawn(model, processor))
    pixels = ((decoded[0] + 1) / 2).clamp(0, 1).numpy()
    assert np.array_equal(made.image.pixels[0].transpose(1, 2, 0), pixels)
    ids, _ = written(model, read(processor, QUESTION, pixels=np.asarray(made.image.to_pil(0))), do_sample=False)
    assert made.answer.lines == tuple(line.strip() for line in processor.batch_decode(ids, skip_special_tokens=True))
    assert flowmm.load("draw-and-ask").run(inputs | {"seed": 6}, runtime=runtime).answer != made.answer
    runtime.close()


def test_a_live_model_is_the_same_model(folder, model, processor, runtime):
    inputs = {"image": picture(), "question": QUESTION, "most": 8}
    live = {"model": model, "tokenizer": processor.tokenizer, "image_processor": processor.image_processor}
    made = flowmm.load("ask").run(inputs | {"model": live}, runtime=runtime).answer
    processor.use_default_system_prompt = False  # a live tokenizer and image processor do not know of it
    try:
        ids, _ = written(model, read(processor, QUESTION), do_sample=False)
    finally:
        processor.use_default_system_prompt = True
    assert made.lines == tuple(line.strip() for line in processor.batch_decode(ids, skip_special_tokens=True))
