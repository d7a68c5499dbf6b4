"""Names and links of saved graphs: odd ones are refused, and nothing outside the two folders is read or written."""

from __future__ import annotations

import json
import os

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from saved_folders import files, graph

from flowmm.server import saved as room
from flowmm.server.refusals import Refused
from flowmm.server.saved import SavedGraphs, etag_of, is_graph_name

WRONG = ('"' + "0" * 32 + '"')  # fmt: skip


BAD = [
    "", ".", "..", "../canary", "a/b", "/etc/passwd", "a\\b", "..\\canary", "a\0b", ".hidden", "a:b", "C:", "con", "CON", "Prn", "aux", "NUL", "com1",
    "Com9", "lpt1", "LPT0", "a.json", "a ", " a", "-a", "_a", "a\n", "con\n", "ä", "ſ", "x" * 81, "\ud800", ".trash", ".history", "a\u202eb", "ａ",
]  # fmt: skip


@pytest.mark.parametrize("name", BAD)
def test_an_odd_name_is_refused_everywhere(folders, refused, name):
    etag = folders.save("a", graph())
    assert not is_graph_name(name)
    for call in (folders.read, folders.history, folders.path):
        assert refused(call, name).status == 404
    for call in (lambda: folders.version(name, WRONG), lambda: folders.delete(name, etag), lambda: folders.rename(name, "b", etag)):
        assert refused(call).status == 404
    assert refused(folders.save, name, graph()).status == 400 and refused(folders.rename, "a", name, etag).status == 400
    assert refused(folders.restore, name).status == 404
    assert files(folders.own) == {"a.json": graph()}


@pytest.mark.parametrize("name", ["a", "7", "a" * 80, "My graph 2", "con1", "console", "com", "com10", "a-", "a_"])
def test_a_plain_name_is_taken(folders, name):
    folders.save(name, graph())
    assert folders.read(name)[0] == graph()


NAMES = st.one_of(
    st.text(max_size=100),
    st.lists(st.sampled_from(["..", "/", "\\", "canary", ".json", "\0", ".", "own", "shipped", "clip", "%2e", " ", "~", ".trash", "con", ":"]), max_size=8).map(
        "".join
    ),
    st.from_regex(room._NAME, fullmatch=True),
)


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(name=NAMES, other=NAMES)
def test_no_name_however_odd_reads_or_writes_outside_the_folders(tmp_path_factory, name, other):
    base = tmp_path_factory.mktemp("odd", numbered=True)
    (base / "shipped").mkdir()
    (base / "canary.json").write_bytes(graph("canary"))
    (base / "canary").write_bytes(graph("canary"))
    folders = SavedGraphs(base / "own", base / "shipped")
    etag = etag_of(graph("written"))
    for call in (
        lambda: folders.read(name), lambda: folders.path(name), lambda: folders.save(name, graph("written")),
        lambda: folders.rename(name, other, etag), lambda: folders.history(other), lambda: folders.version(name, other),
        lambda: folders.delete(name, etag), lambda: folders.delete(other, etag), lambda: folders.restore(other), folders.list, folders.trash,
    ):  # fmt: skip
        try:
            answer = call()
        except Refused as error:
            assert 400 <= error.status < 500
            json.dumps(error.as_json(), ensure_ascii=False).encode()
        else:
            assert "canary" not in str(getattr(answer, "title", answer)) or "canary" in name + other
    outside = {path: data for path, data in files(base).items() if not path.startswith("own" + os.sep)}
    assert outside == {"canary.json": graph("canary"), "canary": graph("canary")}


def test_names_that_only_case_tells_apart_are_not_both_taken(folders, refused):
    etag = folders.save("Cat", graph())
    other = folders.save("dog", graph())
    assert refused(folders.save, "cat", graph()).status == 409
    assert refused(folders.save, "CLIP", graph()).status == 409
    assert refused(folders.rename, "dog", "CAT", other).status == 409
    folders.rename("Cat", "cat", etag)
    assert {item.name for item in folders.list()} == {"cat", "dog", "clip"}


def test_a_link_that_leads_outside_is_neither_read_nor_written_but_listed(folders, refused, tmp_path):
    secret = tmp_path / "secret.json"
    secret.write_bytes(graph("secret"))
    folders.own.mkdir()
    (folders.own / "out.json").symlink_to(secret)
    (folders.own / "nowhere.json").symlink_to(tmp_path / "no such file")
    (folders.own / "round.json").symlink_to("round.json")
    (folders.own / "zero.json").symlink_to("/dev/zero")
    for name in ("out", "nowhere", "round", "zero"):
        for call in (folders.read, folders.history, folders.path):
            assert refused(call, name).status == 403
        assert refused(folders.save, name, graph(), match=etag_of(graph("secret"))).status == 403
        assert refused(folders.delete, name, etag_of(graph("secret"))).status == 403
    assert "leads out" in {item.name: item.problem for item in folders.list()}["out"]
    assert secret.read_bytes() == graph("secret")


def test_a_link_to_another_own_graph_is_followed(folders):
    folders.save("a", graph("A"))
    (folders.own / "b.json").symlink_to("a.json")
    assert folders.read("b")[0] == graph("A")
    folders.list()
    (folders.own / "a.json").write_bytes(graph("changed"))
    assert {item.name: item.title for item in folders.list()}["b"] == "changed"


@pytest.mark.parametrize("hidden", [".history", ".history/a", ".trash"])
def test_a_history_or_trash_that_leads_outside_is_not_used(folders, refused, tmp_path, hidden):
    outside = tmp_path / "outside"
    outside.mkdir()
    etag = folders.save("a", graph())
    (folders.own / hidden).parent.mkdir(exist_ok=True)
    (folders.own / hidden).symlink_to(outside)
    if hidden == ".trash":
        assert refused(folders.delete, "a", etag).status == refused(folders.trash).status == 403
    else:
        assert refused(folders.save, "a", graph("b"), match=etag).status == refused(folders.history, "a").status == 403
    assert not list(outside.iterdir()) and folders.read("a")[1] == etag


def test_a_pipe_among_the_graphs_makes_nobody_wait(folders, refused):
    folders.own.mkdir()
    os.mkfifo(folders.own / "pipe.json")
    assert refused(folders.read, "pipe").status == 409
    assert "is no file" in {item.name: item.problem for item in folders.list()}["pipe"]
