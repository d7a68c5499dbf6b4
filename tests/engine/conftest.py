from __future__ import annotations

import threading

import pytest
import stage_nodes

from flowmm import Runtime


@pytest.fixture(autouse=True)
def ran():
    """The calls of nodes so far, in order."""
    stage_nodes.RAN.clear()
    stage_nodes.BOX.clear()
    stage_nodes.ALIVE.clear()
    return stage_nodes.RAN


@pytest.fixture
def on_disk(tmp_path):
    """Makes runtimes that share one cache folder and nothing else."""
    made = []

    def make(**options):
        made.append(Runtime("cpu", cache=tmp_path / "cache", threads=1, **options))
        return made[-1]

    yield make
    for runtime in made:
        runtime.close()


@pytest.fixture(scope="session")
def separate():
    """A runtime whose nodes run in a process of their own."""
    made = Runtime("cpu", separate=True, cache=None, threads=1)
    yield made
    made.close()


class Background:
    """A run in a thread of its own: its result or its error, once joined."""

    def __init__(self, graph, inputs, runtime, **options):
        self.run, self._finish = graph.prepare(inputs, runtime=runtime, **options)
        self.result = self.error = None
        self._thread = threading.Thread(target=self._work, daemon=True)
        self._thread.start()

    def _work(self):
        try:
            self.result = self._finish(self.run.execute())
        except BaseException as error:
            self.error = error

    def join(self):
        self._thread.join(30)
        assert not self._thread.is_alive(), "the run did not end"
        return self


@pytest.fixture
def background():
    return Background
