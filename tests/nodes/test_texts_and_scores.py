import numpy as np
import pytest

import flowmm
from flowmm.nodes import logic, score, seeds, text
from flowmm.sockets import Image, Score, Seed, Text
from flowmm.sockets.values import LARGEST_SEED

TABLE = Score(np.array([[1.0, 5.0], [3.0, 5.0], [2.0, -1.0]], dtype=np.float32), ("a", "b", "c"), ("x", "y"))


def test_templates_fill_every_slot_and_nothing_else():
    filled = text.template("a {} is a {}, {0} stays", Text(("cat", "{}", "{x.__class__}")))
    assert filled.lines[0] == "a cat is a cat, {0} stays"
    assert filled.lines[2] == "a {x.__class__} is a {x.__class__}, {0} stays"
    with pytest.raises(ValueError, match="has no {}"):
        text.template("a picture", Text(("cat",)))


def test_texts_are_joined_repeated_picked_gathered_and_cut():
    two, one = Text(("a", "b")), Text(("x",))
    assert text.join(two, one, separator="-").lines == ("a-x", "b-x")
    assert text.join(one, two).lines == ("x a", "x b")
    assert text.repeat(one, two).lines == ("x", "x") and text.repeat(two, two) == two
    assert text.pick(two, -1).lines == ("b",)
    assert text.gather([two, one]).lines == ("a", "b", "x")
    assert text.cut(Text(("abcdef", "abc")), 3).lines == ("ab…", "abc")
    assert text.lines(" a \n\n b").lines == ("a", "b")
    assert text.lines("a\n\nb", skip_empty=False).lines == ("a", "", "b")
    for wrong in (
        lambda: text.join(two, Text(("x", "y", "z"))), lambda: text.pick(two, 2), lambda: text.gather([]), lambda: text.lines(" \n "),
        lambda: text.repeat(two, Text(("x", "y", "z"))),
    ):  # fmt: skip
        with pytest.raises(ValueError):
            wrong()


def test_names_must_be_as_many_as_rows_and_columns():
    named = score.name(Score(TABLE.values), Text(("p", "q", "r")))
    assert named.rows == ("p", "q", "r") and named.columns == ()
    assert score.name(TABLE, columns=Text(("u", "v"))).rows == ("a", "b", "c")
    with pytest.raises(ValueError, match="3 rows, but there are 1 names"):
        score.name(TABLE, Text(("p",)))


def test_softmax_sums_to_one_over_either_axis_and_survives_large_logits():
    rows = score.softmax(TABLE).values
    assert np.allclose(rows.sum(0), 1) and rows.dtype == np.float32
    assert np.allclose(score.softmax(TABLE, over="columns").values.sum(1), 1)
    assert np.isfinite(score.softmax(Score(TABLE.values * 1e4)).values).all()
    torch = pytest.importorskip("torch")
    logits = np.random.default_rng(0).normal(size=(5, 4)).astype(np.float32) * 20
    expected = torch.from_numpy(logits.T.copy()).softmax(dim=1).numpy().T
    assert np.allclose(score.softmax(Score(logits)).values, expected, rtol=1e-6, atol=1e-7)


def test_the_best_labels_come_first_and_ties_keep_their_order():
    best = score.top(TABLE, count=2)
    assert best.names == (("b", "c"), ("a", "b"))
    assert best.probabilities.tolist() == [[3.0, 2.0], [5.0, 5.0]]
    assert score.top(Score(TABLE.values), count=9).names[0] == ("1", "2", "0")


def test_pictures_are_ranked_by_a_row():
    images = [Image(np.full((1, 3, 2, 2), shade, dtype=np.uint8)) for shade in (0, 9)]
    ranked = score.rank(TABLE, images)
    assert ranked.scores.columns == ("y", "x") and ranked.scores.rows == ("a",) and ranked.scores.values.tolist() == [[5.0, 1.0]]
    assert [one.pixels.max() for one in ranked.images] == [9, 0]
    assert ranked.captions.lines == ("y\n5.00", "x\n1.00")
    assert score.rank(TABLE, [Image(np.zeros((2, 3, 2, 2), dtype=np.uint8))], row=2, count=1).scores.columns == ("x",)
    with pytest.raises(ValueError, match="2 columns, but there are 1 pictures"):
        score.rank(TABLE, images[:1])
    with pytest.raises(ValueError, match="no row 3"):
        score.rank(TABLE, images, row=3)


def test_the_best_of_anything_is_chosen_with_its_place_and_score():
    for items in (["left", "right"], [Seed(3), Seed(4)], [1.5, None]):
        assert score.choose(TABLE, items) == (items[1], 1, 5.0)
    assert score.choose(TABLE, ["left", "right"], row=1) == ("right", 1, 5.0) and score.choose(TABLE, ["left", "right"], row=2) == ("left", 0, 2.0)
    assert score.choose(Score(np.ones((1, 3), dtype=np.float32)), [7, 8, 9]).best == 7, "a tie takes the earlier one"
    for wrong, told in (
        (lambda: score.choose(TABLE, ["left"]), "2 columns, but there are 1 items"),
        (lambda: score.choose(TABLE, ["left", "right"], row=3), "no row 3: the score has 3"),
        (lambda: score.choose(Score(np.zeros((1, 0), dtype=np.float32)), []), "nothing to choose from"),
        (lambda: score.choose(Score(np.array([[np.nan, 1.0]])), [1, 2]), "no number"),
    ):
        with pytest.raises(ValueError, match=told):
            wrong()


def test_what_is_chosen_has_the_type_of_what_it_was_chosen_from():
    with flowmm.Graph() as graph:
        best = score.choose(graph.input("score"), seeds.several(0))
        graph.output(seed=best.best, next=seeds.next(best.best))
    assert graph.check().errors() == []
    with flowmm.Graph() as graph:
        graph.output(text=text.pick(score.choose(graph.input("score"), seeds.several(0)).best))
    error, = graph.check().errors()
    assert error.code == "type-mismatch" and "Seed" in str(error)


def test_a_score_is_good_enough_when_all_of_it_is():
    assert score.at_least(TABLE, least=-1.0) and not score.at_least(TABLE, least=-0.9)
    assert not score.at_least(Score(np.array([[np.nan]])), least=0.0)


def test_seeds_follow_each_other_as_those_of_a_batch_do():
    assert seeds.next(Seed(7)) == Seed(8) and seeds.next(Seed(7), by=4) == Seed(11) and seeds.next(Seed(LARGEST_SEED)) == Seed(0)
    assert seeds.several(Seed(5), count=3) == [Seed(5), Seed(6), Seed(7)]
    assert logic.count() == 1 and logic.count(4) == 5


def test_numbers_are_written_as_a_person_writes_them():
    assert text.numbers([3.0, 0.1, 2, -7.5, 1e-7, Seed(12), None]).lines == ("3", "0.1", "2", "-7.5", "1e-07", "12", "–")
    with pytest.raises(ValueError, match="no number"):
        text.numbers([])


def test_a_switch_hands_on_the_chosen_branch():
    assert logic.switch(True, "a", "b") == "a" and logic.switch(False, "a", "b") == "b"
    assert {name for name, port in logic.switch.spec.inputs.items() if port.lazy} == {"then", "otherwise"}
