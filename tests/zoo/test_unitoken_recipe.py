"""UniToken's recipe: what is taught is what graphs ask and the loaded network computes, and its folder runs in the saved graphs."""

import pytest

torch = pytest.importorskip("torch")

from transformers import JanusForConditionalGeneration, PreTrainedTokenizerFast
from untrained import before_janus, scenes

from flowmm.models.residency import Residency
from flowmm.models.source import open_source
from flowmm.nodes import codes as books
from flowmm.nodes import vlm
from flowmm.sockets import Hidden, Text
from flowmm.zoo import questions, world
from flowmm.zoo.recipes import blip, dalle1, janus, sight, tokens, training, unitoken, vq, vqgan

WRONG = dict.fromkeys(questions.KINDS, 0.5)
FROZEN_IDS = [16435, 16533, 16498, 16444]  # another id for a word would turn a shipped model's words about


def checkpoint(path, modules):
    optimizer = torch.optim.AdamW([parameter for module in modules.values() for parameter in module.parameters()])
    training.save_checkpoint(path, training.Average(modules, 0.0), optimizer, step=0, spent=0.0)


@pytest.fixture(scope="module")
def words():
    return unitoken.Words()


@pytest.fixture(scope="module")
def out(tmp_path_factory):
    """A folder of trainings as it is after Janus', all untrained."""
    torch.manual_seed(3)
    out = tmp_path_factory.mktemp("zoo")
    before_janus(out)
    for name, modules in zip(("janus-eyes.pt", "janus.pt"), janus.parts(janus.begun(janus.build(), out)), strict=True):
        checkpoint(out / name, modules)
    janus.export(out)
    return out


@pytest.fixture(scope="module")
def model(out, words):
    torch.manual_seed(4)
    return unitoken.begun(unitoken.UniToken(len(words.used)), out, words).eval()


@pytest.fixture(scope="module")
def folder(out, model):
    checkpoint(out / "unitoken.pt", {"unitoken": model})
    unitoken.export(out)
    return out / "unitoken"


def test_ids_are_the_published_ones_and_every_word_is_one_token(words):
    known = unitoken.vocabulary()
    assert known["IMGIMGBCAZ"] == 4 + 120 and known["<racm3:break>"] == 8197 and known["<reserved08706>"] == 8710 and known["<reserved08799>"] == 8803
    assert len(known) == unitoken.VOCABULARY == 16854
    assert [known[name] for name in ("a", "red", "left", "background")] == FROZEN_IDS
    for word in (*questions.words(), *tokens.words(), *unitoken.MORE_WORDS):
        assert len(words.of(word)) == 1, word
    some, rng = scenes(300)
    for scene in some:
        for pair in sight.conversation(scene, rng, WRONG, describe=unitoken.DESCRIBE):
            assert words.number[unitoken.UNKNOWN] not in (*words.of(pair[0]), *words.of(pair[1])), pair


def test_it_begins_with_what_janus_knows(out, model, words):
    """The same features of pictures to the bit, vectors of words and of codes; and the same logits where queries and keys are as long."""
    known = JanusForConditionalGeneration.from_pretrained(out / "janus", dtype=torch.float32).eval()
    pictures = blip.pixels_of(scenes(2)[0])
    names = ["a", "large", "red", "circle"]
    with torch.no_grad():
        torch.testing.assert_close(model.look(pictures), janus.look(known, pictures))
        mine = model.model.embed_tokens(torch.tensor([words.of(name)[0] for name in names]))
        assert torch.equal(mine, known.get_input_embeddings()(torch.tensor(janus.tokenizer().convert_tokens_to_ids(names))))
        codes = torch.tensor([0, 7, 255])
        theirs = known.prepare_embeddings_for_image_generation(codes)
        torch.testing.assert_close(model.model.embed_tokens(codes + unitoken.CODE), theirs, atol=1e-5, rtol=1e-4)
        hidden = torch.randn(5, 128)
        head = torch.nn.functional.linear(hidden, model.lm_head.weight[unitoken.CODE : unitoken.CODE + vq.ENTRIES])
        off = known.model.generation_head(hidden) - head  # up to what does not hang on the picture
        torch.testing.assert_close(off, off[:1].expand_as(off), atol=2e-2, rtol=0)


def test_the_folder_holds_what_was_trained(folder, model, words):
    """Through the loader: the same hidden states and logits as the module that learns, in float16's precision, and no unused id is ever likelier."""
    loaded = Residency("cpu", dtype="float32").load(vlm.load(str(folder)).model)
    some, rng = scenes(3, 5)
    codes = torch.randint(vq.ENTRIES, (3, 64))
    for reading in ("both", "codes"):
        ids, wanted = words.conversations([sight.conversation(scene, rng, WRONG, 2) for scene in some], codes, reading)
        with torch.no_grad():
            seen = model.look(blip.pixels_of(some))[: 0 if reading == "codes" else None]
            mine, _ = unitoken.told(model, seen, ids, wanted)
            real = torch.tensor([*words.used, 0])[ids]
            embeds = loaded.model.embed_tokens(real)
            embeds[ids == words.here] = seen.flatten(0, 1)
            logits = loaded(inputs_embeds=embeds).logits[wanted != -100]
        torch.testing.assert_close(logits[:, words.used], mine, atol=0.05, rtol=0.02)
        unused = sorted(set(range(unitoken.VOCABULARY)) - set(words.used))
        assert (logits[:, unused].amax(dim=1) <= logits[:, words.used].amax(dim=1)).all()


def test_prompts_are_those_of_the_nodes(folder, words):
    from nodes._families.unitoken import UniToken

    family, source = UniToken(), open_source(str(folder))
    handle = family.understanding(source)["tokenizer"]
    spoken = source.component("tokenizer").load_tokenizer(PreTrainedTokenizerFast)
    codes, features = torch.randint(vq.ENTRIES, (1, 8, 8)), torch.zeros(1, 64, 128)
    said = [("what shape is in the picture?", "circle"), ("and what colour is it?", "red")]
    place = torch.tensor([*words.used, -1])

    def ids_of(reading):
        return place[words.conversations([said], codes.flatten(1), reading)[0]][0].tolist()

    for reading, hidden in {"both": Hidden(features, codes=codes), "codes": Hidden(features[:, :0], codes=codes), "features": Hidden(features)}.items():
        made = family.prompt(spoken, handle, Text((said[1][0],)), hidden, Text(said[0])).ids[0].tolist()
        assert made == ids_of(reading)[: len(made)] and place[torch.tensor(words.of("red"))].tolist() == ids_of(reading)[len(made) : -1]
    made = family.prompt(spoken, handle, Text(("",)), Hidden(features), None).ids[0].tolist()
    assert made == place[words.conversations([[(unitoken.DESCRIBE[0], "")]], codes.flatten(1), "features")[0]][0, : len(made)].tolist()
    for nothing in (False, True):
        made, _ = family.describe_picture(spoken, handle, Text(("a large red circle",)), not nothing)
        whole = place[words.drawings(["a large red circle"], codes.flatten(1), [nothing])[0]][0].tolist()
        assert made[0].tolist() == whole[: made.shape[1]] and whole[made.shape[1] : made.shape[1] + 2] == [unitoken.ROWS] * 2
        assert whole[made.shape[1] + 2 :][8::9] == [unitoken.ROW_END] * 7


def test_the_vqgan_is_the_same_under_both_names(folder, out):
    """UniToken's loader makes diffusers' VQModel of it: the same codes of pictures, the same pictures of codes."""
    alone = vqgan.opened(out / "vqgan")
    book = Residency("cpu", dtype="float32").load(books.load(str(folder)))
    pictures = blip.pixels_of(scenes(4)[0])
    codes = vqgan.encode(alone, pictures)
    with torch.no_grad():
        torch.testing.assert_close(book.encode(pictures).latents, alone.quant_conv(alone.encoder(pictures)), atol=1e-4, rtol=1e-3)
        near = torch.nn.functional.normalize(alone.quantize.embedding(codes) + 0.01 * torch.randn(*codes.shape, vqgan.WIDTH), dim=-1)
        nearest = book.quantize(near.permute(0, 3, 1, 2))[2][2].reshape(codes.shape)
        assert torch.equal(nearest, torch.einsum("bhwd,nd->bhwn", near, alone.quantize.embedding.weight).argmax(dim=-1))
        entries = book.quantize.get_codebook_entry(codes.flatten(), (*codes.shape, vqgan.WIDTH))
        torch.testing.assert_close(book.decoder(book.post_quant_conv(entries)), vqgan.drawn(alone, codes), atol=1e-3, rtol=1e-2)


def test_a_few_seconds_of_training_lower_both_losses(out, words, monkeypatch):
    monkeypatch.setattr(dalle1, "SCENES", 64)
    monkeypatch.setattr(training, "learning_rate", lambda peak, *_, **__: peak)
    torch.manual_seed(7)
    model = unitoken.begun(unitoken.UniToken(len(words.used)), out, words)
    model.vit.requires_grad_(False)
    some, rng = scenes(8, 9)
    codes = vq.encode(vqgan.small_book(out), some).flatten(1)
    told = words.conversations([sight.conversation(scene, rng, WRONG) for scene in some], codes, "both")
    wishes = words.drawings([world.caption(scene) for scene in some], codes, [False] * 8)

    def both():
        with torch.no_grad():
            spoken = torch.nn.functional.cross_entropy(*unitoken.told(model, model.look(blip.pixels_of(some)), *told))
            return spoken.item(), unitoken.drawing(model, *wishes).item()

    before = both()
    unitoken.learn_both(model, words, out, 0.07, "cpu", False)
    after = both()
    assert after[0] < before[0] - 0.3 and after[1] < before[1]


def test_every_graph_runs_on_it(folder):
    figures = unitoken.measure(folder, 4)
    assert {"answers, single: right", "captions, pair", "drawn, two things", "chat, second answer", "answers by codes"} <= figures.keys()
    assert all(0 <= share <= 1 for name, share in figures.items() if "seconds" not in name)
