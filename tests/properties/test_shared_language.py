"""Random programs as they are shared: as a script, as one file, compared with themselves."""

from __future__ import annotations

import json
import random
import tempfile
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st
from test_language import RUNTIME, Writer, identity, plain, programs

from flowmm import Graph, load
from flowmm.face.export import export
from flowmm.graph.diff import diff
from flowmm.graph.document import dump, of


@settings(deadline=None, max_examples=80)
@given(programs, st.integers(0, 100), st.integers(0, 2**32))
def test_a_script_gives_what_plain_python_gives(program, x, seed):
    made = Graph(of(Writer(shuffle=random.Random(seed)).document(program)))
    text = export(made)
    space = {"__name__": "script"}
    exec(compile(text, "script.py", "exec"), space)
    assert space["graph"](x=x) == {"out": plain(program, x)}, text
    assert all(len(line) <= 120 for line in text.splitlines())


@settings(deadline=None, max_examples=40)
@given(programs, st.integers(0, 100))
def test_a_bundle_of_saved_pieces_has_the_keys_of_the_program(program, x):
    """Every definition of the document becomes a file beside it, and comes back."""
    raw = Writer().document(program)
    with tempfile.TemporaryDirectory() as folder:
        def written(document, path):
            for name, inner in document.pop("graphs").items():
                written(inner, Path(folder) / f"{name}.json")
            path.write_text(json.dumps(document))
            return path

        top = written(json.loads(json.dumps(raw)), Path(folder) / "top.json")
        made = load(top).bundle()
    document = json.loads(dump(made.document))
    assert identity(document, x) == identity(raw, x)
    assert Graph(of(document)).run({"x": x}, runtime=RUNTIME).out == plain(program, x)


@settings(deadline=None, max_examples=80)
@given(programs, st.integers(0, 2**32))
def test_the_order_of_names_is_no_difference(program, seed):
    assert diff(of(Writer().document(program)), of(Writer(shuffle=random.Random(seed)).document(program))) == []


@settings(deadline=None, max_examples=80)
@given(st.lists(st.tuples(st.sampled_from(["plus", "times"]), st.integers(0, 5)), min_size=1, max_size=8), st.integers(0, 2**32))
def test_only_names_differ_where_only_names_do(program, seed):
    raw, other = of(Writer().document(program)), Writer(shuffle=random.Random(seed))
    other.count = 500
    changes = diff(raw, of(other.document(program)))
    assert [(one.kind, int(one.after[1:]) - int(one.before[1:])) for one in changes] == [("node-renamed", 500)] * len(program)
    more = [one.kind for one in diff(raw, of(Writer().document([*program, ("plus", 51)])))]
    assert sorted(more) == ["node-new", "output"]
