"""What is known only at run time: impure nodes, switches, listings. Their content decides what is computed again."""

from __future__ import annotations

import os

import pytest
import stage_nodes as s

from flowmm import Graph, NodeFailed


def looking() -> Graph:
    graph = Graph()
    with graph:
        graph.output(out=s.shout(s.look("door")))
    return graph


def test_an_impure_node_runs_every_time_and_what_follows_only_when_it_changed(runtime, ran):
    s.BOX["door"] = "open"
    assert looking().run(runtime=runtime).out == "OPEN"
    assert looking().run(runtime=runtime).out == "OPEN"
    assert ran == ["look door", "shout open", "look door"]
    s.BOX["door"] = "shut"
    assert looking().run(runtime=runtime).out == "SHUT"


def test_a_late_chain_is_cut_off_where_nothing_changed(runtime, ran):
    graph = Graph()
    with graph:
        graph.output(out=s.shout(s.trim(s.look("door"))))
    s.BOX["door"] = "open"
    graph.run(runtime=runtime)
    s.BOX["door"] = "  open "
    ran.clear()
    assert graph.run(runtime=runtime).out == "OPEN"
    assert ran == ["look door", "trim"]


def test_what_is_late_hits_the_same_key_as_a_literal_of_equal_content(runtime, ran):
    s.BOX["door"] = "open"
    looking().run(runtime=runtime)
    plain = Graph()
    with plain:
        plain.output(out=s.shout("open"))
    ran.clear()
    assert plain.run(runtime=runtime).out == "OPEN" and ran == []


def test_two_stages_below_an_impure_node_are_keyed_one_after_the_other(runtime, ran):
    graph = Graph()
    with graph:
        first = s.look("door")
        second = s.look(first)
        graph.output(out=s.joined([first, second, s.shout(second)]))
    s.BOX.update(door="open", open="room")
    assert graph.run(runtime=runtime).out == "open+room+ROOM"


# ── switches ────────────────────────────────────────────────────────────────────────────────────


def switched(flag=None) -> Graph:
    graph = Graph()
    flag = graph.input("flag", True) if flag is None else flag
    with graph:
        graph.output(out=s.joined([s.choose(flag, s.shout("yes"), s.shout("no"))]))
    return graph


@pytest.mark.parametrize("flag", [True, False])
def test_a_switch_runs_only_the_branch_it_takes(runtime, ran, flag):
    taken = "yes" if flag else "no"
    assert switched(flag).run(runtime=runtime).out == taken.upper()
    assert ran == [f"shout {taken}", "joined"]


def test_a_switch_can_be_fed_by_an_input_or_by_a_node(runtime):
    assert switched().run({"flag": False}, runtime=runtime).out == "NO"
    graph = Graph()
    with graph:
        graph.output(out=s.choose(s.choose(True, False, True), "yes", "no"))
    assert graph.run(runtime=runtime).out == "no"


def test_the_branch_not_taken_is_no_part_of_any_key(runtime, ran):
    def graph(other: str) -> Graph:
        made = Graph()
        with made:
            made.output(out=s.joined([s.choose(True, s.shout("taken"), s.shout(other))]))
        return made

    graph("one").run(runtime=runtime)
    ran.clear()
    assert graph("another").run(runtime=runtime).out == "TAKEN" and ran == []


def test_a_switch_is_keyed_as_what_it_took(runtime, ran):
    direct = Graph()
    with direct:
        direct.output(out=s.joined([s.shout("yes")]))
    direct.run(runtime=runtime)
    ran.clear()
    assert switched(True).run(runtime=runtime).out == "YES" and ran == []


def test_a_branch_not_taken_may_be_broken(runtime):
    graph = Graph()
    with graph:
        graph.output(out=s.choose(False, s.odd_one(1), s.add(1)))
    assert graph.run(runtime=runtime).out == 2


def test_switches_nest_and_follow_each_other(runtime, ran):
    graph = Graph()
    with graph:
        inner = s.choose(graph.input("inner", True), s.shout("a"), s.shout("b"))
        outer = s.choose(graph.input("outer", True), inner, s.shout("c"))
        graph.output(out=s.choose(True, outer, s.shout("d")), again=s.joined([outer, outer]))
    for flags, letter in [((True, True), "A"), ((True, False), "B"), ((False, True), "C"), ((False, False), "C")]:
        ran.clear()
        result = graph.run({"outer": flags[0], "inner": flags[1]}, runtime=runtime)
        assert (result.out, result.again) == (letter, f"{letter}+{letter}")
        assert ran.count("joined") <= 1


@pytest.mark.parametrize("flag, expected", [(True, 3), (False, 7)])
def test_a_switch_may_take_a_literal_an_input_or_a_default(runtime, flag, expected):
    graph = Graph()
    with graph:
        graph.output(out=s.add(s.choose(flag, graph.input("x", 3), 7), 0))
    assert graph.run(runtime=runtime).out == expected


def test_a_switch_may_take_one_output_of_several(runtime):
    graph = Graph()
    with graph:
        divided = s.divide(47)
        graph.output(out=s.choose(False, divided.quotient, divided.rest))
    assert graph.run(runtime=runtime).out == 7


@pytest.mark.parametrize("flag, expected", [(True, 14), (False, 5)])
def test_a_switch_may_take_a_list_of_wires(runtime, ran, flag, expected):
    graph = Graph()
    with graph:
        late = s.choose(True, s.add(10), 0)
        graph.output(out=s.total(s.choose(flag, [s.add(1), late, 1], [5])))
    assert graph.run(runtime=runtime).out == expected


def test_a_switch_in_front_of_something_impure_waits_for_it(runtime, ran):
    s.BOX["door"] = "open"
    graph = Graph()
    with graph:
        graph.output(out=s.shout(s.choose(True, s.look("door"), "shut")))
    assert graph.run(runtime=runtime).out == "OPEN"
    assert graph.run(runtime=runtime).out == "OPEN"
    assert ran.count("shout open") == 1


def test_a_switch_whose_choice_comes_from_an_impure_node(runtime, ran):
    graph = Graph()
    with graph:
        graph.output(out=s.shout(s.choose(s.is_open("door"), s.shout("in"), s.shout("out"))))
    for state, expected in [("open", "IN"), ("shut", "OUT"), ("open", "IN")]:
        s.BOX["door"] = state
        assert graph.run(runtime=runtime).out == expected
    assert ran.count("shout in") == ran.count("shout out") == 1


def test_what_both_branches_share_runs_once(runtime, ran):
    graph = Graph()
    with graph:
        shared = s.add(1)
        graph.output(out=s.total([shared, s.choose(True, s.add(shared, 5), shared)]))
    assert graph.run(runtime=runtime).out == 9
    assert ran == ["add", "add", "total"]


def test_a_switch_that_returns_no_branch_is_refused(runtime):
    graph = Graph()
    with graph:
        graph.output(out=s.choose_badly(True, 1))
    with pytest.raises(NodeFailed, match="must return one of them"):
        graph.run(runtime=runtime)


# ── listings ────────────────────────────────────────────────────────────────────────────────────


def folder_graph(folder) -> Graph:
    graph = Graph()
    with graph:
        graph.output(texts=s.joined(s.listing(str(folder), "*.txt")), pictures=s.joined(s.listing(str(folder), "*.png")))
    return graph


def test_an_added_file_changes_only_what_depends_on_it(runtime, ran, tmp_path):
    (tmp_path / "a.txt").touch()
    (tmp_path / "b.png").touch()
    folder_graph(tmp_path).run(runtime=runtime)
    ran.clear()
    (tmp_path / "c.txt").touch()
    assert dict(folder_graph(tmp_path).run(runtime=runtime)) == {"texts": "a.txt+c.txt", "pictures": "b.png"}
    assert sorted(ran) == ["joined", "listing *.png", "listing *.txt"]


def test_a_touched_file_runs_nothing_again(runtime, ran, tmp_path):
    (tmp_path / "a.txt").touch()
    folder_graph(tmp_path).run(runtime=runtime)
    ran.clear()
    os.utime(tmp_path / "a.txt", (1, 1))
    folder_graph(tmp_path).run(runtime=runtime)
    assert "joined" not in ran


def test_what_a_later_stage_keys_is_found_on_disk_though_an_earlier_stage_missed(on_disk, ran):
    graph = Graph()
    with graph:
        graph.output(out=s.shout(s.look(s.shout(s.look("door")))))  # the inner shout is cheap and no output: it is not stored
    s.BOX.update(door="hall", HALL="open")
    assert graph.run(runtime=on_disk()).out == "OPEN"
    ran.clear()
    assert graph.run(runtime=on_disk()).out == "OPEN"
    assert ran == ["look door", "shout hall", "look HALL"]
