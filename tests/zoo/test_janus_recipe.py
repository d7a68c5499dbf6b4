"""Janus' recipe: what is taught is what graphs ask and the library computes, and its folder runs in the saved graphs."""

import pytest

torch = pytest.importorskip("torch")

from transformers import JanusForConditionalGeneration, JanusProcessor
from transformers.models.llama.modeling_llama import LlamaForCausalLM
from untrained import before_janus, scenes

from flowmm.zoo import judge, questions, world
from flowmm.zoo.recipes import blip, dalle1, janus, sight, tokens, training, vq, vqgan

FROZEN_IDS = [60, 150, 119, 68]  # another id for a word would turn a shipped model's words about
WRONG = dict.fromkeys(questions.KINDS, 0.5)


@pytest.fixture(scope="module")
def words():
    return janus.Words()


@pytest.fixture(scope="module")
def begun(tmp_path_factory):
    """A folder of trainings as it is after DALL-E 1's and the VQGAN's, both untrained."""
    torch.manual_seed(3)
    out = tmp_path_factory.mktemp("zoo")
    before_janus(out)
    return out


@pytest.fixture(scope="module")
def folder(begun):
    """An exported Janus that learned nothing yet."""
    torch.manual_seed(5)
    model = janus.begun(janus.build(), begun)
    for name, modules in zip(("janus-eyes.pt", "janus.pt"), janus.parts(model), strict=True):
        average = training.Average(modules, 0.0)
        optimizer = torch.optim.AdamW([parameter for module in modules.values() for parameter in module.parameters()])
        training.save_checkpoint(begun / name, average, optimizer, step=0, spent=0.0)
    janus.export(begun)
    return begun / "janus"


# --- words and eyes ------------------------------------------------------------------------------------------------


def test_every_word_is_one_token_and_no_text_is_unknown(words):
    for word in (*questions.words(), *tokens.words(), "describe"):
        assert len(words.of(word)) == 1, word
    some, rng = scenes(400)
    for scene in some:
        for pair in sight.conversation(scene, rng, WRONG):
            assert words.id(janus.UNKNOWN) not in (*words.of(pair[0]), *words.of(pair[1])), pair
    assert words.id(["a", "red", "left", "background"]) == FROZEN_IDS


def test_patches_name_what_covers_them():
    scene = world.Scene("grey", (world.Thing("square", "red", "small", 8.0, 16.0), world.Thing("star", "blue", "small", 24.0, 16.0)), "left of")
    told = dict(zip(sight.NAMES, sight.named(scene).reshape(5, 8, 8), strict=True))
    assert sight.NAMES["colour"][told["colour"][4, 1]] == "red" and sight.NAMES["colour"][told["colour"][4, 6]] == "blue"
    assert sight.NAMES["shape"][told["shape"][4, 1]] == "square" and sight.NAMES["place"][told["place"][4, 6]] == "right"
    assert told["colour"][0, 0] == 0 and {sight.NAMES["background"][i] for i in told["background"].flat} == {"grey"}


def test_conversations_are_true_and_name_no_held_out_pair():
    some, rng = scenes(500)
    seen = {"caption": 0, "it": 0}
    for scene in some:
        for asked, answer in sight.conversation(scene, rng, WRONG):
            if asked in sight.DESCRIBE:
                seen["caption"] += 1
                assert blip.not_wrong(answer, scene)
            elif asked.startswith("and "):
                seen["it"] += 1
                assert answer in (scene.things[0].colour, scene.things[0].shape, scene.things[0].size)
            for line in (asked, answer):
                told = line.replace("?", "").split()
                assert not any(pair in world.HELD_OUT for pair in zip(told, told[1:], strict=False)), line
    assert min(seen.values()) > 50


def test_vague_captions_tell_nothing_wrong():
    some, rng = scenes(300)
    told = [(world.caption(scene, rng), scene) for scene in some]
    less = [tokens.vague(text, rng) for text, _ in told]
    for text, (whole, scene) in zip(less, told, strict=True):
        assert set(text.split()) <= {*whole.split(), "a", "thing"} and "an thing" not in f" {text}".replace("cyan", "")
        if "thing" not in text:
            assert world.agree(world.parse(text), scene)
    assert sum("thing" in text for text in less) > 30 and sum(text != whole for text, (whole, _) in zip(less, told, strict=True)) > 80


# --- what is taught is what is computed ----------------------------------------------------------------------------


def test_janus_begins_as_dalle_1_draws(begun, words):
    """Same blocks, words and codes: after words DALL-E 1 knows, at the same places, both give the same logits of codes."""
    known, model = LlamaForCausalLM.from_pretrained(begun / "dalle1" / "transformer"), janus.begun(janus.build(), begun)
    names, codes = ["a", "large", "red", "circle"], torch.tensor([[3, 200, 17, 255]])
    first = known.config.vocab_size - vq.ENTRIES
    ids = torch.tensor([[sight.dalle_words()[name] for name in names]])
    with torch.no_grad():
        wanted = known(torch.cat([ids, codes + first], dim=1)).logits[..., first:]
        embeds = [model.get_input_embeddings()(torch.tensor([words.id(names)])), model.prepare_embeddings_for_image_generation(codes)]
        hidden = model.model.language_model(inputs_embeds=torch.cat(embeds, dim=1)).last_hidden_state
        torch.testing.assert_close(model.model.generation_head(hidden), wanted, atol=2e-4, rtol=1e-3)


def test_losses_are_the_library_s_own(begun, words):
    """A row of a batch, alone and through the whole class: the same mean cross-entropy of the same words and codes."""
    torch.manual_seed(5)
    model = janus.begun(janus.build(), begun).eval()
    some, rng = scenes(3, 6)
    turns = [sight.conversation(scene, rng, WRONG, turns) for scene, turns in zip(some, (1, 3, 2), strict=True)]
    pictures, errors, count = blip.pixels_of(some), 0.0, 0
    with torch.no_grad():
        mine = torch.nn.functional.cross_entropy(*janus.told(model, janus.look(model, pictures), *words.conversations(turns)))
        for one, picture in zip(turns, pictures, strict=True):
            ids, wanted = words.conversations([one])
            logits = model(input_ids=ids, pixel_values=picture[None]).logits[0]
            errors += torch.nn.functional.cross_entropy(logits, wanted[0], reduction="sum", ignore_index=-100).item()
            count += (wanted != -100).sum().item()
        assert mine.item() == pytest.approx(errors / count, rel=1e-4)
        texts, codes = ["a red circle", "a large blue star on a grey background"], torch.randint(256, (2, 64))
        errors = 0.0
        for text, row in zip(texts, codes, strict=True):
            ids = words.prompts([text], [False])
            embeds = torch.cat([model.get_input_embeddings()(ids), model.prepare_embeddings_for_image_generation(row[None, :-1])], dim=1)
            logits = model.model.generation_head(model.model.language_model(inputs_embeds=embeds).last_hidden_state[0, ids.shape[1] - 1 :])
            errors += torch.nn.functional.cross_entropy(logits, row).item() / 2
        assert janus.drawing(model, words.prompts(texts, [False, False]), codes).item() == pytest.approx(errors, rel=1e-4)


def test_prompts_are_those_of_the_graphs(folder, words):
    """The nodes put questions, histories and wishes for pictures as training has them."""
    from flowmm.models.source import open_source
    from flowmm.sockets import Text
    from nodes._families.janus import Janus

    family, source = Janus(), open_source(str(folder))
    handle, tokenizer = family.understanding(source)["tokenizer"], janus.tokenizer()
    features = torch.zeros(1, 64, 128)
    said = [("what shape is in the picture?", "circle"), ("and what colour is it?", "red")]
    ids, _ = family.ask(tokenizer, handle, Text((said[1][0],)), features, Text(said[0]))
    whole, _ = words.conversations([said])
    assert ids[0].tolist() == whole[0, : ids.shape[1]].tolist()
    assert whole[0, ids.shape[1] :].tolist() == [words.id("red"), words.id(janus.END_TEXT)]
    for conditional in (True, False):
        ids, mask = family.describe_picture(tokenizer, handle, Text(("a large red circle",)), conditional)
        assert ids.tolist() == words.prompts(["a large red circle"], [not conditional]).tolist() and mask.all()
    ids, _ = family.ask(tokenizer, handle, Text(("",)), features, None)
    assert ids[0].tolist() == words.conversations([[(sight.DESCRIBE[0], "")]])[0][0, : ids.shape[1]].tolist()


def test_what_the_log_calls_right_is_what_the_graph_answers(folder, words):
    """Of an untrained model that says something: its own answers, taken as the wanted ones, are right, and others are not."""
    model = JanusForConditionalGeneration.from_pretrained(folder, dtype=torch.float32).eval()
    some, rng = scenes(4, 8)
    asked = [questions.ask(scene, rng).text for scene in some]
    run = blip.graph("ask", folder)
    ids = [words.of(run(image=blip.image_of([scene]), question=text, most=3).answer.lines[0]) for scene, text in zip(some, asked, strict=True)]
    turns = words.conversations([[(text, words.tokenizer.decode(row[:1]))] for text, row in zip(asked, ids, strict=True)])
    turns[1][turns[1] == words.id(janus.END_TEXT)] = -100
    with torch.no_grad():
        seen = janus.look(model, blip.pixels_of(some))
        assert janus.right_rows(*janus.told(model, seen, *turns), turns[1]) == [True] * 4
        turns[1][turns[1] != -100] += 1
        assert janus.right_rows(*janus.told(model, seen, *turns), turns[1]) == [False] * 4


# --- the whole way -------------------------------------------------------------------------------------------------


def test_a_few_seconds_of_training_lower_both_losses(begun, words, monkeypatch):
    monkeypatch.setattr(dalle1, "SCENES", 64)
    monkeypatch.setattr(training, "learning_rate", lambda peak, *_, **__: peak)
    torch.manual_seed(7)
    model = janus.begun(janus.build(), begun)
    eyes, mind = janus.parts(model)
    eyes["vision"].requires_grad_(False)
    some, rng = scenes(8, 9)
    told, pictures = words.conversations([sight.conversation(scene, rng, WRONG) for scene in some]), blip.pixels_of(some)
    codes, wishes = vq.encode(vqgan.small_book(begun), some).flatten(1), words.prompts([world.caption(scene) for scene in some], [False] * 8)

    def both():
        with torch.no_grad():
            spoken = torch.nn.functional.cross_entropy(*janus.told(model, janus.look(model, pictures), *told))
            return spoken.item(), janus.drawing(model, wishes, codes).item()

    before = both()
    janus.learn_both(model, words, mind, begun, 0.07, "cpu", False)
    after = both()
    assert after[0] < before[0] - 0.3 and after[1] < before[1]


def test_the_folder_opens_in_the_library_and_every_graph(folder):
    processor = JanusProcessor.from_pretrained(folder)
    picture = world.draw(scenes(1)[0][0])
    asked = processor.apply_chat_template(
        [{"role": "user", "content": [{"type": "image"}, {"type": "text", "text": "what colour is it?"}]}], add_generation_prompt=True,
    )  # fmt: skip
    made = processor(images=picture, text=asked, return_tensors="pt")
    assert (made.input_ids == processor.tokenizer.convert_tokens_to_ids(janus.PICTURE)).sum() == 64 and made.pixel_values.shape == (1, 3, 32, 32)
    figures = janus.measure(folder, 4)
    assert {"answers, single: right", "captions, pair", "drawn, one thing, held-out pairs", "chat, second answer", "drawn and asked, colour"} <= figures.keys()
    assert all(0 <= share <= 1 for name, share in figures.items() if "seconds" not in name)


# --- the VQGAN -----------------------------------------------------------------------------------------------------


def test_lifted_entries_are_directions_and_stay_apart():
    entries = torch.randn(256, 4, generator=torch.Generator().manual_seed(1))
    directions = vqgan.lifted(entries)
    torch.testing.assert_close(directions.norm(dim=1), torch.ones(256))
    assert (directions @ directions.T).argmax(dim=1).tolist() == list(range(256))


def test_the_vqgan_in_janus_gives_the_same_codes_and_pictures(folder, begun):
    from transformers import JanusVQVAE

    alone, inside = JanusVQVAE.from_pretrained(begun / "vqgan", dtype=torch.float32).eval(), vqgan.opened(folder)
    pictures = blip.pixels_of(scenes(4)[0])
    codes = vqgan.encode(alone, pictures)
    assert torch.equal(codes, vqgan.encode(inside, pictures))
    run = blip.graph("dvae-reconstruct", folder)
    with torch.no_grad():
        torch.testing.assert_close(vqgan.drawn(inside, codes), vqgan.drawn(alone, codes), atol=1e-4, rtol=1e-3)
    assert judge.judge(world.draw(scenes(1)[0][0])).clean and run(image=blip.image_of(scenes(1)[0])) is not None
