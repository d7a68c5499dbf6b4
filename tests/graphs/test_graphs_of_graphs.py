"""The shipped graphs that are made of graphs: what they give is what their pieces give alone, to the bit, and what rounds share runs once."""

from __future__ import annotations

import csv
import json
from collections import Counter

import numpy as np
import PIL.Image
import pytest

import flowmm
from flowmm.engine.workers.base import NodeFailed
from flowmm.face.find import shipped
from flowmm.models import residency
from flowmm.nodes.image import grid
from flowmm.sockets import Seed, Text
from flowmm.zoo import table, world
from flowmm.zoo.judge import agrees, judge

MADE = {"best-of-n", "folder-captioner", "redraw-until-it-matches", "seed-guidance-sheet"}
pytestmark = pytest.mark.skipif(not set(table.graphs()) >= MADE, reason="the embedded pack has not all of their models yet")


@pytest.fixture
def runtime(monkeypatch):
    """With nothing kept from another test, weights neither."""
    monkeypatch.setattr(residency, "_residencies", {})
    made = flowmm.Runtime("cpu", cache=None, threads=1)
    yield made
    made.close()


def alone(name, **inputs):
    """A graph's result in a runtime of its own, so that nothing comes from what was made before."""
    apart = flowmm.Runtime("cpu", cache=None, threads=1)
    try:
        return flowmm.load(name).run(inputs, runtime=apart)
    finally:
        apart.close()


def watched(name, runtime, **inputs):
    """The result, how often each node ran (by its name without the round), and the weights that were read."""
    ran, loads = Counter(), residency.LOADS.total()
    result = flowmm.load(name).run(inputs, runtime=runtime, listener=lambda event: ran.update([plain(event.node)] if event.kind == "running" else []))
    return result, ran, residency.LOADS.total() - loads


def plain(node):
    return "".join(part.partition("]")[2] if "]" in part else part for part in node.split("["))


# ── best of N ───────────────────────────────────────────────────────────────────────────────────

WANTED = {"prompt": "a red star below a blue ring", "steps": 6}


def test_the_best_is_the_one_that_the_judge_scores_highest_and_its_seed_draws_it_again(runtime):
    result, ran, loads = watched("best-of-n", runtime, **WANTED, seed=1, candidates=3)
    single = {seed: alone("text-to-image", **WANTED, seed=seed).image for seed in (1, 2, 3)}
    scores = {seed: float(alone("clip-match", image=[image.to_pil(0)], texts=[WANTED["prompt"]]).scores.values[0, 0]) for seed, image in single.items()}
    best = max(scores, key=scores.get)
    assert result.seed == Seed(best) and result.image == single[best]
    assert list(result.scores.columns) == [f"seed {seed}" for seed in sorted(scores, key=scores.get, reverse=True)]
    assert np.allclose(result.scores.values[0], sorted(scores.values(), reverse=True), atol=1e-3), "all at once or one by one: rounding apart"
    assert (ran["paint/words"], ran["paint/not_words"], ran["paint/paint"], ran["paint/pixels"], ran["match/picture"]) == (1, 1, 3, 3, 1)
    assert loads == 4 and len(set(scores.values())) == 3  # text encoder, denoiser, autoencoder, CLIP


def test_one_candidate_more_draws_one_picture_and_another_judge_none(runtime):
    graph = flowmm.load("best-of-n")
    graph.run(WANTED | {"candidates": 2}, runtime=runtime)
    more, ran, _ = watched("best-of-n", runtime, **WANTED, candidates=3)
    assert ran["paint/paint"] == 1 and more.scores.values.shape == (1, 3)
    other, ran, _ = watched("best-of-n", runtime, **WANTED, candidates=3, judge=str(shipped().parent / "flowmm" / "zoo" / "weights" / "clip"))
    assert ran["paint/paint"] == 0 and other.seed == more.seed


# ── seeds by guidance ───────────────────────────────────────────────────────────────────────────


def test_each_cell_is_the_single_picture_and_stands_at_its_labels(runtime):
    given = {"prompt": "a blue star above a red circle", "steps": 3, "seed": 5, "seeds": 2, "guidances": [1, 2.5]}
    result, ran, loads = watched("seed-guidance-sheet", runtime, **given)
    cells = [(seed, guidance) for seed in (5, 6) for guidance in (1, 2.5)]
    for image, (seed, guidance) in zip(result.images, cells, strict=True):
        assert image == alone("text-to-image", prompt=given["prompt"], steps=3, seed=seed, guidance=guidance).image, (seed, guidance)
    assert result.sheet == grid(result.images, Text(("5", "6")), Text(("1", "2.5")), across="guidance", down="seed")
    assert (ran["paint/words"], ran["paint/paint"], ran["sheet"]) == (1, 4, 1) and loads == 3


def test_the_sheet_equals_the_sweep_of_the_command_line(runtime):
    sheet = flowmm.load("seed-guidance-sheet").run({"steps": 1, "seeds": 2, "guidances": [1, 2]}, runtime=runtime).sheet
    prompt = flowmm.load("seed-guidance-sheet").inputs["prompt"].default
    swept = flowmm.load("text-to-image").sweep(prompt=prompt, steps=1, seed=range(2), guidance=[1, 2], runtime=runtime)
    assert sheet == swept.sheet() and all(cell.result.executed == 0 for cell in swept)


# ── redrawn until it matches ────────────────────────────────────────────────────────────────────

MOST = 8


def test_it_is_redrawn_until_it_matches_and_no_longer(runtime):
    result, ran, loads = watched("redraw-until-it-matches", runtime)
    caption = result.caption.lines[0]
    drawn = [alone("text-to-image-codes", prompt=caption, seed=2 + i).image for i in range(3)]
    scores = [float(alone("image-text-matching", image=[image.to_pil(0)], texts=[caption]).matching.values[0, 0]) for image in drawn]
    assert [score >= 0.9 for score in scores] == [False, False, True]
    assert (result.rounds, result.good) == (3, True) and result.image == drawn[2]
    assert np.isclose(float(result.score.values[0, 0]), scores[2], atol=1e-5) and result.score.rows == (caption,)
    assert agrees(judge(result.image.to_pil(0)), world.parse(caption)) and not agrees(judge(drawn[0].to_pil(0)), world.parse(caption))
    assert (ran["say/write"], ran["redraw/draw/words"], ran["redraw/match/tokens"]) == (1, 1, 1), "what no round changes runs once"
    assert (ran["redraw/draw/paint"], ran["redraw/match/judge"]) == (3, 3) and loads == 4, "weights are read once, not once a round"


def test_it_gives_up_after_so_many_rounds_and_says_so(runtime):
    result, ran, _ = watched("redraw-until-it-matches", runtime, image=str(shipped() / "examples" / "red-circle.png"), least=1.5, seed=40)
    assert (result.rounds, result.good) == (MOST, False) and ran["redraw/draw/paint"] == MOST
    assert result.image == alone("text-to-image-codes", prompt=result.caption.lines[0], seed=40 + MOST - 1).image
    assert flowmm.load("redraw-until-it-matches").run({"least": 0.0}, runtime=runtime).rounds == 1


# ── a folder captioned ──────────────────────────────────────────────────────────────────────────


@pytest.fixture
def album(tmp_path):
    """Scenes by file name, in the folder's order, of different sizes."""
    rng = np.random.default_rng(8)
    found = {name: world.random_scene(rng) for name in ("2.png", "10.png", "last.png")}
    for size, (name, scene) in zip((32, 64, 128), found.items()):
        world.draw(scene).resize((size, size), PIL.Image.Resampling.NEAREST).save(tmp_path / name)
    (tmp_path / "notes.txt").write_text("no picture")
    return found


def test_each_picture_has_the_caption_that_it_has_alone(runtime, album, tmp_path):
    result, ran, loads = watched("folder-captioner", runtime, folder=str(tmp_path))
    assert result.names.lines == tuple(album)
    assert list(result.captions) == [alone("caption", image=str(tmp_path / name)).caption.lines[0] for name in album]
    assert all(world.agree(world.parse(caption), scene) for caption, scene in zip(result.captions, album.values()))
    assert ran["say/write"] == 3 and loads == 1 and result.sheet.width > 3 * 192
    begun = flowmm.load("folder-captioner").run({"folder": str(tmp_path), "beginning": "a picture of", "most": 2}, runtime=runtime).captions
    assert len(begun) == 2 and all(caption.startswith("a picture of") for caption in begun)


def test_a_picture_more_is_a_caption_more_and_an_empty_folder_is_told(runtime, album, tmp_path):
    flowmm.load("folder-captioner").run({"folder": str(tmp_path)}, runtime=runtime)
    world.draw(world.random_scene(np.random.default_rng(9))).save(tmp_path / "3.png")
    result, ran, _ = watched("folder-captioner", runtime, folder=str(tmp_path))
    assert result.names.lines == ("2.png", "3.png", "10.png", "last.png") and ran["say/write"] == 1
    (tmp_path / "none").mkdir()
    with pytest.raises(NodeFailed, match="folder .*the folder `none` holds no picture"):
        flowmm.load("folder-captioner").run({"folder": str(tmp_path / "none")}, runtime=runtime)


# ── from a command line ─────────────────────────────────────────────────────────────────────────


def test_the_command_line_runs_them_all_and_leaves_files(tmp_path, monkeypatch, capfd):
    from flowmm import cli

    monkeypatch.setenv("FLOWMM_HOME", str(tmp_path / "home"))

    def run(name, *arguments):
        monkeypatch.setattr("sys.argv", ["flowmm", "run", name, *arguments, "-o", str(tmp_path / name), "-q"])
        with pytest.raises(SystemExit) as left:
            cli.main()
        assert not left.value.code, capfd.readouterr().err
        return tmp_path / name

    best = run("best-of-n", "--steps", "2", "--candidates", "2")
    assert {path.name for path in best.iterdir()} == {"image.png", "seed.json", "sheet.png", "scores.csv"}
    rows = list(csv.reader((best / "scores.csv").open()))
    assert rows[0][1] == f"seed {json.loads((best / 'seed.json').read_text())}"
    sheet = run("seed-guidance-sheet", "--steps", "1", "--seeds", "2", "--guidances", "1", "--guidances", "2")
    assert {path.name for path in sheet.iterdir()} == {"sheet.png", *(f"images-{i}.png" for i in range(4))}
    redrawn = run("redraw-until-it-matches", "--least", "0")
    assert json.loads((redrawn / "rounds.json").read_text()) == 1 and json.loads((redrawn / "good.json").read_text()) is True
    captions = (run("folder-captioner", "--most", "2") / "captions.txt").read_text().splitlines()
    assert len(captions) == 2 and captions[0] == "a small blue circle on a white background"
