"""Training everything: in order, what is complete left out, what begins from a failure not tried; runs that do not learn, and sheets."""

import subprocess
import sys

import pytest
from PIL import Image

torch = pytest.importorskip("torch")

from flowmm.zoo import WEIGHTS, __main__, sheets, train_all
from flowmm.zoo.recipes import RECIPES, Recipe, training

FAKES = {"codec": Recipe(1, "sd/vae", trained="codec"), "clip": Recipe(2, "clip"), "sd": Recipe(4, "sd", after=("codec", "clip")), "vit": Recipe(1, "vit"),
         "edit": Recipe(2, "sd-edit", after=("sd",))}  # fmt: skip


def leave_model(name, out):
    folder = train_all.folder_of(name, out)
    folder.mkdir(parents=True)
    (folder / "model.safetensors").write_bytes(b"")


@pytest.fixture
def tried(monkeypatch):
    """Recipes as they are tried, with their minutes; those in `failing` leave no model."""

    class Tried(dict):
        failing: set = set()

    made = Tried()

    def train_apart(name, out, minutes, device, threads):
        made[name] = minutes
        if name in made.failing:
            return "stopped at a gate: it is bad"
        leave_model(name, out)
        return "trained"

    monkeypatch.setattr(train_all, "RECIPES", FAKES)
    monkeypatch.setattr(train_all, "train_apart", train_apart)
    return made


def test_every_recipe_comes_after_what_it_begins_from():
    names = list(RECIPES)
    for name, one in RECIPES.items():
        assert all(names.index(before) < names.index(name) for before in one.after), name
        assert one.minutes > 0 and one.shipped
    folders = [train_all.folder_of(name, WEIGHTS) for name in RECIPES]
    assert len(set(folders)) == len(folders)


def test_all_are_trained_in_order_with_the_minutes_shared(tried, tmp_path, capsys):
    assert train_all.train_all(tmp_path, minutes=5) == 0
    assert list(tried.items()) == [("codec", 0.5), ("clip", 1.0), ("sd", 2.0), ("vit", 0.5), ("edit", 1.0)]
    assert capsys.readouterr().out.splitlines()[-5:] == [f"{name:16s} trained" for name in FAKES]


def test_what_begins_from_a_failure_is_not_tried_and_the_rest_is(tried, tmp_path, capsys):
    tried.failing = {"clip"}
    assert train_all.train_all(tmp_path) == 1
    assert list(tried) == ["codec", "clip", "vit"]
    told = capsys.readouterr().out.splitlines()[-5:]
    assert told[1].endswith("stopped at a gate: it is bad") and told[2].endswith("begins from clip") and told[4].endswith("begins from sd")


def test_a_second_time_only_what_failed_is_trained(tried, tmp_path):
    tried.failing = {"clip"}
    train_all.train_all(tmp_path)
    tried.clear()
    tried.failing = set()
    assert train_all.train_all(tmp_path) == 0
    assert list(tried) == ["clip", "sd", "edit"]


@pytest.mark.parametrize(
    ("log", "expected"),
    [
        (None, True), ("gate passed: single 0.99, wanted >= 0.98\n", True), ("gate failed: single 0.50, wanted >= 0.98\nstopped at a gate\n", False),
        ("  1.00 min  step    10  samples 160\n", False), ("gate passed: codec 1.0\n  0.50 min  step    10  samples 160\n", False),
        ("  1.00 min  step    10  samples 160\ngate passed: single 0.99, wanted >= 0.98\nsome warning\n", True),
    ],
)  # fmt: skip
def test_a_model_is_complete_when_its_log_ends_at_a_passed_gate(tmp_path, log, expected):
    assert not train_all.complete("vit", tmp_path)
    leave_model("vit", tmp_path)
    if log is not None:
        train_all.log_of("vit", tmp_path).write_text(log)
    assert train_all.complete("vit", tmp_path) is expected


def test_a_process_that_fails_is_told_with_its_last_words(tmp_path):
    told = train_all.train_apart("nothing", tmp_path, 0.01, "cpu", 1)
    assert told.startswith("failed with 1: error: no recipe 'nothing'; there are codec")
    assert "no recipe" in train_all.log_of("nothing", tmp_path).read_text()


def test_a_gate_that_fails_is_told_and_a_sheet_is_drawn_all_the_same(tmp_path, monkeypatch):
    class Failing:
        @staticmethod
        def train(out, minutes, device, resume):
            assert (minutes, device, resume) == (RECIPES["vit"].minutes, "cpu", True)
            raise training.GateFailed("vit is bad")

    drawn = []
    monkeypatch.setattr("flowmm.zoo.recipes.recipe", lambda name: Failing)
    monkeypatch.setattr(sheets, "write", lambda name, out: drawn.append((name, out)))
    with pytest.raises(SystemExit, match="stopped at a gate: vit is bad"):
        __main__.main(["train", "vit", "--out", str(tmp_path), "--resume"])
    assert drawn == [("vit", tmp_path)]


def test_the_command_line_names_what_there_is():
    done = subprocess.run([sys.executable, "-m", "flowmm.zoo", "train", "nothing"], capture_output=True, text=True, check=False)
    assert done.returncode == 1 and "error: no recipe 'nothing'; there are codec" in done.stderr and "Traceback" not in done.stderr


# --- runs that do not learn ----------------------------------------------------------------------------------------


def test_a_figure_is_awaited_until_it_is_reached_once():
    awaited = {"gap": (2.0, 0.1)}
    training.still_learning({"gap": 0.01}, 1.9, awaited)
    with pytest.raises(training.GateFailed, match="gap is 0.05 after 2.0 minutes.*not learning"):
        training.still_learning({"gap": 0.05}, 2.0, awaited)
    training.still_learning({"gap": 0.2}, 2.5, awaited)
    training.still_learning({"gap": 0.0}, 3.0, awaited)
    assert awaited == {}


def test_a_run_that_does_not_learn_is_stopped_long_before_its_end(tmp_path, monkeypatch):
    class Quick(training.Clock):
        ticks = 0.0

        @staticmethod
        def _now():
            Quick.ticks += 0.05
            return Quick.ticks

    monkeypatch.setattr(training, "Clock", Quick)
    layer, gaps = torch.nn.Linear(2, 1), iter([0.01, 0.02, 0.03, 0.04, 0.05, 0.06, 0.07])
    with pytest.raises(training.GateFailed, match="a run that learns has 0.5 after 2"):
        training.learn(tmp_path / "one.pt", {"one": layer}, 60, False, lambda step: lambda fraction: layer(torch.ones(1, 2)).sum(), peak=1e-3, batch=1,
                       notes=lambda: {"gap": next(gaps)}, least={"gap": (2, 0.5)})  # fmt: skip
    assert Quick.ticks < 4


# --- sheets --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["vit", "blip", "dit"])
def test_a_sheet_shows_what_was_asked_and_made(name, tmp_path):
    if not (WEIGHTS / RECIPES[name].shipped / "flowmm.json").is_file():
        pytest.skip(f"the pack has no {name} yet")
    assert sheets.write(name, tmp_path) is None
    (tmp_path / name).symlink_to(WEIGHTS / RECIPES[name].shipped)
    with Image.open(sheets.write(name, tmp_path, 3)) as sheet:
        assert sheet.width > 3 * sheets.SIDE and sheet.height > sheets.SIDE
        colours = {colour for _, colour in sheet.convert("RGB").getcolors(1 << 20)}
    assert len(colours) > 20  # pictures and letters on white paper


def test_every_sheet_is_of_a_recipe_and_a_graph_that_has_what_it_asks():
    import numpy as np

    import flowmm
    from flowmm.zoo import world

    for name, shown in sheets.SHEETS.items():
        graph = flowmm.load(shown.graph)
        assert name in RECIPES and shown.output in graph.outputs
        asked = shown.asked(world.random_scene(np.random.default_rng(0)), np.random.default_rng(1))
        assert {*shown.models, *asked} <= set(graph.inputs)
