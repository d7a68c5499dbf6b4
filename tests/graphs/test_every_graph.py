"""Every shipped graph on tiny models: from end to end, in a process of its own, in company, from the cache."""

import pytest

import flowmm
from flowmm.face.find import shipped

NAMES = sorted(path.stem for path in shipped().glob("*.json"))


@pytest.fixture(scope="module")
def runtimes(tmp_path_factory):
    """In this process with a cache, and in a process of its own."""
    made = [flowmm.Runtime("cpu", cache=tmp_path_factory.mktemp("cache"), threads=1), flowmm.Runtime("cpu", cache=None, threads=1, separate=True)]
    yield made
    for runtime in made:
        runtime.close()


def test_every_shipped_graph_has_a_tiny_model(tiny_models):
    assert sorted(tiny_models) == NAMES


@pytest.mark.parametrize("name", NAMES)
def test_another_process_gives_the_same_values_and_a_second_run_computes_nothing(name, runtimes, tiny_models):
    graph, given = flowmm.load(name), tiny_models[name]()
    here, apart = (graph.run(given, runtime=runtime) for runtime in runtimes)
    assert list(here) == list(apart) == list(graph.outputs)
    for output in graph.outputs:
        assert here[output] == apart[output], output
    again = graph.run(given, runtime=runtimes[0])
    assert again.executed == ("folder" in graph.inputs), "a folder is listed anew each time"
    for output in graph.outputs:
        assert again[output] == here[output], output


@pytest.mark.parametrize("name", NAMES)
def test_the_types_are_known_once_the_model_is_and_shapes_come_out_as_foretold(name, runtimes, tiny_models):
    from flowmm.graph.describe import describe
    from flowmm.graph.signature import check_inputs

    graph, given = flowmm.load(name), tiny_models[name]()
    checked = graph.check(**given)
    assert checked.problems == [], [str(problem) for problem in checked.problems]
    _, values = check_inputs(graph.wiring, given, graph.folder, graph.inputs)
    facts = describe(checked, values).facts
    result = graph.run(given, runtime=runtimes[0])
    for output, link in graph.wiring.outputs.items():
        told, value = facts[link.producer, link.output], result[output]
        for field in () if told.shape is None or isinstance(value, list) else vars(value).values():
            if hasattr(field, "shape") and len(field.shape) == len(told.shape):
                assert all(said in (None, size) for said, size in zip(told.shape, field.shape)), (output, told, field.shape)
                break
