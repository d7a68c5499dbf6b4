"""The Python face: calling, streaming, awaiting, peeking, building and saving graphs."""

from __future__ import annotations

import asyncio
import json

import face_nodes
import pytest

import flowmm
from flowmm.face.find import load


def test_a_graph_is_called_with_its_inputs_by_name(noise_graph, runtime):
    result = noise_graph.run({"seed": 7, "size": 4}, runtime=runtime)
    assert result.image.pixels.shape == (1, 3, 4, 4)
    assert result["image"] is result.image and list(result) == ["image"]
    assert result.executed == 2


def test_the_second_call_runs_nothing(noise_graph, runtime):
    first = noise_graph.run({"seed": 7}, runtime=runtime)
    second = noise_graph.run({"seed": 7}, runtime=runtime)
    assert second.executed == 0 and second.image == first.image


def test_an_input_left_out_takes_its_default(noise_graph, runtime):
    assert noise_graph.run({}, runtime=runtime).image == noise_graph.run({"seed": 3, "size": 16}, runtime=runtime).image


def test_inputs_know_type_range_help_and_default(noise_graph):
    size = noise_graph.inputs["size"]
    assert str(size.type) == "int" and str(size.port.between) == "1 to 64" and size.default == 16
    assert noise_graph.inputs["seed"].help == "The same seed, the same pixels."


@pytest.mark.parametrize("inputs, code", [
    ({"seed": -1}, "bad-input"), ({"seed": "x"}, "bad-input"), ({"seed": True}, "bad-input"), ({"size": 65}, "bad-input"),
    ({"size": 3.5}, "bad-input"), ({"size": None}, "bad-input"), ({"sed": 1}, "no-such-input"),
])  # fmt: skip
def test_a_wrong_input_is_refused_before_anything_runs(noise_graph, runtime, inputs, code):
    with pytest.raises(flowmm.GraphError) as caught:
        noise_graph.run(inputs, runtime=runtime)
    assert [p.code for p in caught.value.problems] == [code] and face_nodes.RAN == []


def test_an_input_without_value_is_asked_for_by_name():
    with flowmm.Graph() as g:
        g.output(image=face_nodes.noise(g.input("seed")))
    with pytest.raises(flowmm.GraphError, match="the input `seed` needs a value"):
        g()


def test_a_node_that_fails_names_itself_and_its_reason(runtime):
    with flowmm.Graph() as g:
        g.output(y=face_nodes.fails(g.input("x", 1)))
    with pytest.raises(flowmm.NodeFailed, match=r"fails \(local:face_nodes.fails\): x is 1, which is never right"):
        g.run({}, runtime=runtime)


def test_only_the_wanted_outputs_run(runtime):
    with flowmm.Graph() as g:
        noise = face_nodes.noise(g.input("seed", 1))
        g.output(plain=noise, inverted=face_nodes.invert(noise))
    assert list(g.run({}, only=["plain"], runtime=runtime)) == ["plain"]
    assert face_nodes.RAN == ["noise"]
    with pytest.raises(flowmm.GraphError, match="no output `plan`"):
        g.run({}, only=["plan"], runtime=runtime)


def test_peek_gives_the_value_of_any_edge(noise_graph):
    inner = noise_graph.peek("noise.image", seed=5, size=4)
    assert noise_graph(seed=5, size=4).image == type(inner)(255 - inner.pixels)
    with pytest.raises(flowmm.GraphError, match="no `noise.imag`"):
        noise_graph.peek("noise.imag")


def test_stream_yields_progress_and_ends_with_the_result():
    with flowmm.Graph() as g:
        g.output(n=face_nodes.steps(g.input("total", 3)))
    events = list(g.stream(total=4))
    assert events[-1].kind == "done" and events[-1].result.n == 4
    steps = [(e.step, e.steps) for e in events if e.kind == "progress"]
    assert steps[-1] == (4, 4)
    assert any(e.eta is not None for e in events if e.kind == "progress")


def test_leaving_a_stream_cancels_the_run():
    with flowmm.Graph() as g:
        g.output(n=face_nodes.steps(g.input("total", 3)))
    for event in g.stream(total=50_000_000):
        if event.kind == "progress":
            break
    assert g(total=2).n == 2  # and the lane is free again


def test_a_failing_stream_ends_with_the_failure():
    with flowmm.Graph() as g:
        g.output(y=face_nodes.fails(g.input("x", 1)))
    last = list(g.stream())[-1]
    assert last.kind == "failed" and last.node == "fails" and isinstance(last.error, flowmm.NodeFailed)


def test_run_async_leaves_the_event_loop_free():
    with flowmm.Graph() as g:
        g.output(n=face_nodes.steps(g.input("total", 3)))

    async def main():
        return [result.n for result in await asyncio.gather(g.run_async(total=2), g.run_async(total=3))]

    assert asyncio.run(main()) == [2, 3]


def test_cancelling_the_task_cancels_the_run():
    with flowmm.Graph() as g:
        g.output(n=face_nodes.steps(g.input("total", 3)))

    async def main():
        task = asyncio.create_task(g.run_async(total=50_000_000))
        await asyncio.sleep(0.2)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(main())
    assert g(total=2).n == 2


def test_a_graph_built_in_code_saves_the_same_json_and_loads_again(noise_graph, tmp_path, runtime):
    path = noise_graph.save(tmp_path / "noise.json")
    again = load(path)
    assert again.document == noise_graph.document
    assert again.run({}, runtime=runtime).image == noise_graph.run({}, runtime=runtime).image
    raw = json.loads(path.read_text())
    assert raw["nodes"]["noise"]["in"]["size"] == {"from": "input.size"}


def test_load_and_save_of_an_untouched_file_changes_no_byte(tmp_path, noise_graph):
    text = '{"nodes": {}, "flowmm":1,\n\n "title": "x", "mine": [1.50, "é"]}'
    (tmp_path / "odd.json").write_text(text)
    graph = load(tmp_path / "odd.json")
    graph.save(tmp_path / "copy.json")
    assert (tmp_path / "copy.json").read_text() == text


def test_a_node_named_twice_gets_a_number_and_a_fixed_name_is_refused():
    with flowmm.Graph() as g:
        seed = g.input("seed", 1)
        face_nodes.noise(seed)
        face_nodes.noise(seed)
        g.add(face_nodes.noise, seed, _name="static")
        with pytest.raises(ValueError, match="no free name"):
            g.add(face_nodes.noise, seed, _name="static")
        with pytest.raises(TypeError, match="has no input 'sed'"):
            face_nodes.noise(sed=seed)
    assert list(g.document.nodes) == ["noise", "noise_2", "static"]


def test_calling_a_node_outside_a_graph_just_runs_it():
    from flowmm.sockets import Seed

    assert face_nodes.noise(Seed(1), size=4).pixels.shape == (1, 3, 4, 4)
    assert face_nodes.steps(3) == 3


def test_a_graph_draws_itself_and_a_result_shows_itself(noise_graph, runtime):
    drawing = noise_graph._repr_html_()
    assert "<svg" in drawing and "noise" in drawing and "Noise" in drawing
    assert "data:image/png;base64," in noise_graph.run({}, runtime=runtime)._repr_html_()


def test_the_shipped_names_are_listed_and_a_wrong_one_is_helped():
    with pytest.raises(flowmm.GraphError, match="Did you mean `clip-match`"):
        flowmm.load("clip-mach")


def test_a_users_own_graph_hides_a_shipped_one(tmp_path, noise_graph, monkeypatch):
    folder = tmp_path / "home" / "graphs"
    folder.mkdir(parents=True)
    noise_graph.save(folder / "clip-match.json")
    assert flowmm.load("clip-match").title == "Noise"


def test_an_input_that_feeds_a_switch_is_typed_against_what_follows(runtime):
    from flowmm.nodes import logic

    with flowmm.Graph() as g:
        chosen = logic.switch(True, g.input("a", 1), 2)
        g.output(n=face_nodes.steps(chosen))
    assert g.run({"a": 3}, runtime=runtime).n == 3
    with pytest.raises(flowmm.GraphError):
        g.run({"a": "three"}, runtime=runtime)
