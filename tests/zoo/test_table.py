"""The table says what was measured, on the weights that are shipped, and the README shows it."""

import json
from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch")

import flowmm
from flowmm.face.find import shipped as graphs_folder
from flowmm.zoo import __main__, judge, table, world
from flowmm.zoo.recipes import RECIPES, Recipe, sd_measure

README = Path(__file__).resolve().parents[2] / "README.md"
needs_saved = pytest.mark.skipif(not table.SAVED.is_file(), reason="nothing of the pack was measured yet")


# --- what is shipped -----------------------------------------------------------------------------------------------


@needs_saved
def test_what_was_measured_was_measured_on_the_weights_there_are_now():
    assert table.stale() == [], "run `python -m flowmm.zoo measure all --save`, then `python -m flowmm.zoo table README.md`"


@needs_saved
def test_the_readme_shows_the_table_of_the_saved_figures():
    _, begin, rest = README.read_text(encoding="utf-8").partition(table.BEGIN)
    shown, end, _ = rest.partition(table.END)
    assert begin and end and shown == table.text(table.saved())


@needs_saved
def test_every_row_that_was_measured_has_its_figures():
    kept = table.saved()
    for name in (name for name in RECIPES if name in kept):
        figures = kept[name]["figures"]
        for line in (line for line in table.LINES if line.recipe == name):
            assert line.reached in figures and (not line.unseen or line.unseen in figures), line
            assert all(0 <= value <= 1 for value in figures[line.reached])


@needs_saved
def test_every_graph_with_a_model_is_timed_and_so_is_every_row():
    kept = table.saved().get("graphs")
    if kept is None:
        pytest.skip("the graphs were not timed yet")
    assert sorted(name for name in kept if " on " not in name) == sorted(table.graphs())
    assert all(table.label(line) in kept for line in table.LINES if table.shipped(line.recipe))


def test_every_row_is_about_a_saved_graph_and_an_aim():
    names = {path.stem for path in graphs_folder().glob("*.json")}
    assert {line.graph for line in table.LINES} <= names
    assert all((line.aim == 0 or 0.8 <= line.aim < 1) and line.judged in ("", "single", "pair", "styled") for line in table.LINES)
    assert table.LINES[0].system and len({(line.recipe, line.reached) for line in table.LINES}) == len(table.LINES)


# --- how it is made ------------------------------------------------------------------------------------------------

FIGURES = {"trained pairs: top-1": [0.99, 1.0, 0.98], "held-out pairs: top-1": [0.5, 0.5, 0.5]}
SECONDS = {"vit-classify": 0.01, "inpaint": 2.4, "vit-classify on vit": 0.0123}
KEPT = {"vit": {"weights": "", "n": 500, "figures": FIGURES}, "graphs": SECONDS}


def test_the_table_tells_mean_spread_draws_seconds_and_what_is_missing():
    rows = table.text(KEPT).removesuffix(table.NOTE).splitlines()
    assert "| ViT | top-1 colour × shape | ≥ 99 % | 99.0 ± 1.0 % | 50.0 ± 0.0 % | 3 × 500 | exact | 0.01 |" in rows
    assert sum("not measured yet" in row for row in rows) == len(table.LINES) - 1
    assert rows[-1].startswith("| all | seconds of a saved graph, 2 graphs, the slowest: inpaint | ≤ 2 s | 2.40 s |")
    assert len({row.count("|") for row in rows}) == 1


def test_the_judges_own_score_stands_beside_what_it_judged():
    figures = {"true pair accepted": [1.0, 0.99], "pair, wrong colour, accepted": [0.0, 0.0], "pair, wrong binding, accepted": [0.01, 0.02]}
    assert table.judged({"judge": {"figures": figures}}, "pair") == "99.5 / 1.5 %"
    assert table.judged({}, "") == "exact"


def test_a_table_is_exchanged_between_its_comments_and_nowhere_else(tmp_path):
    path = tmp_path / "README.md"
    path.write_text(f"before\n{table.BEGIN}old\n{table.END}after\n")
    table.put(path, "new\n")
    table.put(path, "newer\n")
    assert path.read_text() == f"before\n{table.BEGIN}newer\n{table.END}after\n"
    path.write_text("nothing")
    with pytest.raises(ValueError, match="no place for the table"):
        table.put(path, "new\n")


def test_the_digest_changes_with_weights_names_and_settings_but_not_with_words(tmp_path):
    def made(weights=b"one", name="model.safetensors", **card):
        folder = tmp_path / str(len(list(tmp_path.iterdir())))
        folder.mkdir()
        (folder / name).write_bytes(weights)
        (folder / "flowmm.json").write_text(json.dumps({"about": "words", "guidance": 2.0} | card))
        return table.digest([folder])

    assert made() == made() == made(about="other words")
    assert len({made(), made(b"two"), made(name="other.safetensors"), made(guidance=3.0)}) == 4


def test_each_seed_is_asked_for_once_and_figures_are_kept_in_their_order(monkeypatch):
    class Fake:
        @staticmethod
        def measure(folder, n, seed):
            return {"share": n / 10 + seed / 100, "folder": float(folder == Path("here"))}

    monkeypatch.setattr(table, "recipe", lambda name: Fake)
    assert table.measure("vit", 5, 3, Path("here")) == {"n": 5, "figures": {"share": [0.5, 0.51, 0.52], "folder": [1.0] * 3}}


def test_three_seeds_are_three_different_draws_and_the_same_ones_each_time():
    texts = [sd_measure.prompts(40, 20 + 1000 * seed, False) for seed in (0, 1, 2, 0)]
    assert texts[0] == texts[3] and len({tuple(each) for each in texts}) == 3
    holes = [sd_measure.repair(np.random.default_rng(25 + 1000 * seed), True)[2] for seed in (0, 1, 2)]
    assert len(set(holes)) == 3


def test_measuring_all_goes_on_where_it_was_stopped(monkeypatch, tmp_path, capsys):
    asked = []
    monkeypatch.setattr(table, "SAVED", tmp_path / "measured.json")
    monkeypatch.setattr(table, "RECIPES", {name: Recipe(1, name) for name in ("vit", "clip")})
    monkeypatch.setattr(table, "shipped", lambda name: True)
    monkeypatch.setattr(table, "digest", lambda folders: "the digest")
    monkeypatch.setattr(table, "time_graphs", lambda: {"vit-classify": 0.5})

    def measure(name, n, seeds, folder=None):
        asked.append((name, n, seeds))
        names = {figure for line in table.LINES for figure in (line.reached, line.unseen) if figure}
        return {"n": n, "figures": {figure: [0.5] * seeds for figure in names}}

    monkeypatch.setattr(table, "measure", measure)

    def all_of(n):
        asked.clear()
        __main__.main(["measure", "all", "--n", str(n), "--seeds", "2", "--save"])
        return list(asked)

    assert all_of(10) == [("judge", 10, 2), ("vit", 10, 2), ("clip", 10, 2)]
    printed = capsys.readouterr().out
    assert "| ViT | top-1 colour × shape | ≥ 99 % | 50.0 ± 0.0 %" in printed and printed == table.text(table.saved())
    assert all_of(10) == []
    table.save("vit", table.saved()["vit"] | {"weights": "other"})
    assert all_of(10) == [("vit", 10, 2)]
    assert len(all_of(20)) == 3


def test_a_row_has_the_seconds_of_its_own_model(monkeypatch):
    if not (table.shipped("blip") and table.shipped("blip2")):
        pytest.skip("the pack has no blip2 yet")
    asked = []
    monkeypatch.setattr(table, "seconds", lambda name, *model: asked.append((name, *model)) or float(len(asked)))
    taken = table.time_graphs()
    assert sorted(each[0] for each in asked if len(each) == 1) == sorted(table.graphs())
    assert taken["caption on blip"] == taken["caption"] != taken["caption on blip2"] and ("caption", "blip2") in asked
    assert len(asked) == len(set(asked))


def test_a_warm_graph_computes_each_time(monkeypatch):
    if "clip-match" not in table.graphs():
        pytest.skip("the pack has no clip yet")
    ran, run = [], flowmm.Graph.run

    def counted(self, inputs, **how):
        result = run(self, inputs, **how)
        ran.append((dict(inputs), result.executed))
        return result

    monkeypatch.setattr(flowmm.Graph, "run", counted)
    assert table.seconds("clip-match", runs=2) > 0
    assert [inputs for inputs, _ in ran] == [{}] * 3 and min(executed for _, executed in ran) > 2


# --- Stable Diffusion's own figures --------------------------------------------------------------------------------


@pytest.mark.parametrize("two", [False, True])
def test_a_repair_changes_a_picture_inside_its_mask_alone_and_is_told_truly(two):
    rng, empty = np.random.default_rng(0), 0
    for _ in range(150):
        before, mask, text = sd_measure.repair(rng, two)
        told = world.parse(text)
        assert not {(want.colour, want.shape) for want in told.things} & world.HELD_OUT and told.background and len(told.things) == 1 + two
        assert mask.dtype == np.uint8 and set(np.unique(mask)) == {0, 255} and mask.shape == (1, 32, 32)
        read = judge.judge(before.transpose(1, 2, 0))
        assert read.clean and not judge.agrees(read, told) and read.background == told.background
        kept = judge.judge(np.where(mask == 255, before[:, :1, :1], before).transpose(1, 2, 0))
        assert len(kept.things) == two  # all of the thing that changes, and nothing of the other, lies inside
        empty += len(read.things) == 1 and two
    assert two is False or 50 < empty < 100


def test_stable_diffusion_is_measured_by_its_graphs():
    if not table.shipped("sd"):
        pytest.skip("the pack has no sd yet")
    from flowmm.zoo.recipes import blip

    folder = table.weights_of("sd")[0]
    assert sd_measure.inpainting(blip.graph("inpaint", folder), 2, 0)["inpainting, one thing: unchanged outside"] == 1
    made = sd_measure.generate(blip.graph("text-to-image", folder), ["a red circle", "a blue star"], 5, batch=1)
    alone = sd_measure.generate(blip.graph("text-to-image", folder), ["a blue star"], 6)
    assert made.shape == (2, 32, 32, 3) and made.dtype == np.uint8
    assert np.array_equal(made[1], alone[0])  # each prompt has its own seed, whatever batch it is in
