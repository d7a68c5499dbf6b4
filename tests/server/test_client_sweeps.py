"""graph.sweep on a server is graph.sweep here: the same cells, table, sheet and files, each cell a run there."""

from __future__ import annotations

import api_nodes as n
import pytest

from flowmm import Graph, GraphError
from flowmm.face.line import Watched
from flowmm.store.keys import digest


def painted() -> Graph:
    graph = Graph(title="Painted")
    with graph:
        image = n.paint(graph.input("seed", 1), size=graph.input("size", 8))
        graph.output(image=image, mean=n.mean(image))
    return graph


def picky() -> Graph:
    graph = Graph()
    with graph:
        a = graph.input("a", 1)
        graph.output(out=n.not_seven(a), more=n.add(a))
    return graph


def told(swept) -> tuple:
    return swept.axes, swept.combine, swept.table, swept.labels(), len(swept.failed)


def test_cells_table_sheet_and_files_are_those_of_here(remote, runtime, tmp_path):
    graph = painted()
    here, there = graph.sweep(seed=range(2), size=[4, 8], runtime=runtime), remote.open(graph).sweep(seed=range(2), size=[4, 8])
    assert told(here) == told(there)
    assert digest(here.sheet()) == digest(there.sheet())
    for one, other in zip(here, there):
        assert digest(one.result["image"]) == digest(other.result["image"])
    names = [path.name for path in there.save(tmp_path / "there")]
    assert names == [path.name for path in here.save(tmp_path / "here")]
    assert (tmp_path / "there/sweep.csv").read_bytes() == (tmp_path / "here/sweep.csv").read_bytes()


def test_values_go_side_by_side_and_what_is_no_list_holds_for_all(remote, runtime):
    given = {"combine": "zip", "seed": [3, 4], "size": [4, 6], "only": ["mean"]}
    assert told(painted().sweep(runtime=runtime, **given)) == told(remote.open(painted()).sweep(**given))
    assert [cell.inputs for cell in remote.open(painted()).sweep(seed=[5], size=4)] == [{"seed": 5}]


def test_pictures_and_lists_are_axes_as_here(remote, runtime, tmp_path):
    graph = Graph()
    with graph:
        graph.output(mean=n.mean(graph.input("image")), total=n.total(graph.input("numbers", [1])))
    pictures = [n.paint.spec.function(seed) for seed in range(2)]
    for i, picture in enumerate(pictures):
        (tmp_path / f"{i}.png").write_bytes(picture.png(0, embed=False))
    there = remote.open(graph)
    means = graph.sweep(image=pictures, runtime=runtime).values("mean")
    assert there.sweep(image=pictures).values("mean") == there.sweep(image=tmp_path).values("mean") == means
    assert there.sweep(image=pictures[0], numbers=[[1, 2], [3]]).values("total") == [3, 3]
    assert len(there.sweep(image=pictures[:1], numbers=[1, 2])) == 1, "one list is one value of an input that takes lists"


def test_a_cell_that_fails_leaves_the_others(remote, runtime):
    here, there = picky().sweep(a=[6, 7, 8], runtime=runtime), remote.open(picky()).sweep(a=[6, 7, 8])
    assert told(here) == told(there) and there.values("out")[1] is None
    assert str(there[1].error) == str(here[1].error) and dict(there[1].error.result) == dict(here[1].error.result)


def test_what_cannot_be_swept_is_told_as_here(remote, runtime):
    there = remote.open(painted())
    for given in ({"nothing": [1]}, {"seed": []}, {"seed": ["x", "y"]}, {"combine": "zip", "seed": [1, 2], "size": [1, 2, 3]}):
        errors = []
        for sweep in (lambda given=given: painted().sweep(runtime=runtime, **given), lambda given=given: there.sweep(**given)):
            with pytest.raises(GraphError) as caught:
                sweep()
            errors.append(caught.value)
        assert errors[0].problems[0].code == errors[1].problems[0].code, given


def test_interrupted_it_cancels_all_its_runs(remote, server, tmp_path, monkeypatch):
    graph = Graph()
    with graph:
        graph.output(out=n.wait_for(str(tmp_path / "began"), str(tmp_path / "end"), number=graph.input("number", 0)))
    sweep = remote.open(graph).sweep

    def interrupted(self):
        raise KeyboardInterrupt

    monkeypatch.setattr(Watched, "end", interrupted)
    with pytest.raises(KeyboardInterrupt):
        sweep(number=range(3))
    monkeypatch.undo()
    newest = [server.ended(run["id"])["state"] for run in server.http.get("/api/runs", params={"limit": 3}).json()]
    assert newest == ["cancelled"] * 3
