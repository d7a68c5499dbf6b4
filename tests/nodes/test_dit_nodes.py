"""DiT nodes: classes by name and number, what rules say beforehand, clear refusals."""

import json
import shutil

import pytest
import tiny_dit
from test_describe_rules import fact, known

from flowmm import Graph
from flowmm.models.source import SourceError
from flowmm.nodes import diffusion, dit
from flowmm.sockets import Seed, Text


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tiny_dit.save(tmp_path_factory.mktemp("dit"))


@pytest.fixture
def classes(folder):
    return dit.load(str(folder)).classes


def ids(classes, *labels):
    return dit.encode_class(classes, Text(labels)).hidden[:, 0].tolist()


def test_a_class_is_known_by_any_of_its_names_or_its_number(classes):
    assert ids(classes, "tench", "Tinca tinca", "tench, Tinca tinca", "0", " TENCH ") == [0] * 5
    assert ids(classes, "white shark", "999", "5", "") == [2, 999, 5, 1000]


def test_names_mean_what_they_mean_to_the_pipeline(classes, folder):
    pipeline = tiny_dit.pipeline(folder)
    names = sorted(pipeline.labels)
    assert len(names) == 8 and ids(classes, *names) == pipeline.get_label_ids(names)
    assert ids(classes, "crane") == [517]  # two classes are called so


@pytest.mark.parametrize(
    ("label", "words"),
    [
        ("golden retriver", "no class `golden retriver`; there is `golden retriever`, or give a number from 0 to 999"),
        ("1000", "no class `1000`; .* number from 0 to 999"),
        ("-1", "no class `-1`"),
        ("x" * 100_000, "no class `x{37}…`; there is `tench"),
    ],
)
def test_an_unknown_class_is_refused_with_close_ones(classes, label, words):
    with pytest.raises(ValueError, match=words):
        ids(classes, label)


def test_without_names_numbers_do(tmp_path):
    classes = dit.load(str(tiny_dit.save(tmp_path, labels=None, num_embeds_ada_norm=10))).classes
    assert ids(classes, "9", "") == [9, 10]
    with pytest.raises(ValueError, match="have numbers only, and `tench` is none of them: give one from 0 to 9"):
        ids(classes, "tench")


def test_damaged_names_are_said(folder, tmp_path):
    broken = shutil.copytree(folder, tmp_path / "model")
    index = json.loads((broken / "model_index.json").read_text())
    for wrong in ({"0": 3}, ["tench"]):
        (broken / "model_index.json").write_text(json.dumps(index | {"id2label": wrong}))
        with pytest.raises(SourceError, match="id2label of its model_index.json is damaged"):
            dit.load(str(broken))


def test_spaces_and_rules_agree_with_what_is_made(folder):
    parts, spaces = dit.load(str(folder)), dit.load.spec.spaces({"source": str(folder)})
    assert {name: dict(space.facts) for name, space in spaces.items()} == {
        "S": {"channels": 4, "factor": 2, "scale": 0.18215, "shift": 0.0}, "C": {"family": "class", "classes": 1000}, "X": {"channels": 0},
        "P": {"predicts": "epsilon", "betas": "linear", "start": 0.0001, "end": 0.02, "timesteps": 1000, "zero_snr": False},
    }  # fmt: skip
    handles = dit.load.spec.describe(known(dit.load, source=str(folder)))
    wanted = dit.encode_class(parts.classes, Text(("1", "2")))
    told = dit.encode_class.spec.describe(known(dit.encode_class, {"label": fact(Text(("1", "2")))}))
    assert told == fact(wanted)
    rule = known(diffusion.sample, {"denoiser": handles["denoiser"], "positive": told}, count=2)
    rule.spaces.update(spaces)
    latent = diffusion.sample(parts.denoiser, parts.schedule, wanted, seed=Seed(0), steps=1, guidance=1.0, count=2)
    assert diffusion.sample.spec.describe(rule) == fact(latent)
    for name in ("denoiser", "autoencoder"):
        from flowmm.models.residency import residency

        held = sum(p.numel() * p.element_size() for p in residency("cpu").load(getattr(parts, name)).parameters())
        assert abs(handles[name].weights - held) <= 4096, name


def test_a_shape_that_is_no_square_is_refused(folder):
    parts = dit.load(str(folder))
    with pytest.raises(ValueError, match="paints squares, not 8 × 4 latents: give the same width and height"):
        diffusion.sample(parts.denoiser, parts.schedule, dit.encode_class(parts.classes, Text(("1",))), seed=Seed(0), steps=1, guidance=1.0, width=16)
    latent = diffusion.sample(
        parts.denoiser, parts.schedule, dit.encode_class(parts.classes, Text(("1",))), seed=Seed(0), steps=1, guidance=1.0, width=16, height=16
    )
    assert latent.values.shape == (1, 4, 8, 8) and latent.values.isfinite().all()


def test_another_number_of_classes_and_prompts_are_refused_before_weights_load(folder, diffusion_folder, tmp_path):
    ten = str(tiny_dit.save(tmp_path, labels=None, num_embeds_ada_norm=10))

    def problems(conditioning):
        with Graph() as graph:
            parts = dit.load(str(folder))
            diffusion.sample(parts.denoiser, parts.schedule, conditioning(), seed=0, guidance=1.0)
        return "\n".join(map(str, graph.check().errors()))

    assert "does not fit with `load.denoiser`, which is wired to `sample.denoiser`: classes 10, not 1000" in problems(
        lambda: dit.encode_class(dit.load(ten).classes, "1")
    )

    def prompt():
        other = diffusion.load(diffusion_folder)
        return diffusion.encode_prompt(other.tokenizer, other.text_encoder, "a")

    assert "family clip, not class" in problems(prompt)


def test_another_kind_of_model_is_refused_by_name(folder, diffusion_folder, tmp_path):
    with pytest.raises(SourceError, match="`dit.load` wants a DiT pipeline; .* is a StableDiffusionPipeline"):
        dit.load(diffusion_folder)
    with pytest.raises(SourceError, match="is a DiTPipeline"):
        diffusion.load(str(folder))
    half = shutil.copytree(folder, tmp_path / "half")
    shutil.rmtree(half / "transformer")
    with pytest.raises(SourceError, match="lists a transformer, but has no folder of that name: download it again"):
        dit.load(str(half))


def test_progress_shows_a_preview_of_each_step(folder):
    from flowmm.catalog import Context

    parts, seen = dit.load(str(folder)), []
    diffusion.sample(parts.denoiser, parts.schedule, dit.encode_class(parts.classes, Text(("1",))), seed=Seed(0), steps=3, guidance=1.0,
                     context=Context("paint", report=lambda *told: seen.append(told)))  # fmt: skip
    assert [(done, total) for done, total, _ in seen] == [(0, 3), (1, 3), (2, 3), (3, 3)] and seen[1][2]().pixels.shape == (1, 3, 8, 8)


