"""Saved graphs: nobody's work is overwritten unseen, nothing leaves the two folders, every refusal is a sentence."""

from __future__ import annotations

import errno
import json
import os
import subprocess
import sys
import threading
from pathlib import Path

import pytest
from saved_folders import files, graph

from flowmm.face import find
from flowmm.server import saved as room
from flowmm.server.refusals import Refused
from flowmm.server.saved import SavedGraphs, etag_of

SHIPPED = Path(find.shipped())
WRONG = ('"' + "0" * 32 + '"')  # fmt: skip


# ── reading ─────────────────────────────────────────────────────────────────────────────────────


def test_a_list_tells_what_every_graph_is_for(folders):
    first = {"op": "text.join", "in": {}}
    data = graph("Mine", about={"en": "About", "zh": "关于"}, tags=["both", "Janus"], inputs={"prompt": {"default": "x"}},
                 nodes={"a": first}, outputs={"text": {"from": "a.text"}})  # fmt: skip
    etag = folders.save("mine", data)
    shipped, mine = folders.list()
    assert (shipped.name, shipped.own, shipped.title, shipped.problem) == ("clip", False, "CLIP", "")
    assert (mine.name, mine.own, mine.title, mine.about, mine.tags) == ("mine", True, "Mine", {"en": "About", "zh": "关于"}, ("both", "Janus"))
    assert (mine.inputs, mine.outputs, mine.etag, mine.problem) == (("prompt",), ("text",), etag, "")
    assert mine.modified == (folders.own / "mine.json").stat().st_mtime
    json.dumps(mine.as_json())


def test_the_list_is_in_the_order_that_teaches_and_then_by_name(folders):
    for name, tags in {"b": [], "a": [], "janus": ["both", "Janus"], "sd": ["generation", "Stable Diffusion"], "vit": ["understanding", "ViT"]}.items():
        folders.save(name, graph(tags=tags))
    assert [item.name for item in folders.list()] == ["clip", "vit", "sd", "janus", "a", "b"]


def test_the_shipped_graphs_are_all_there_and_all_readable(tmp_path):
    listed = SavedGraphs(tmp_path / "none", SHIPPED).list()
    assert {item.name for item in listed} == {path.stem for path in SHIPPED.glob("*.json")}
    assert not [item.problem for item in listed if item.problem]
    assert [find.place(item.tags) for item in listed] == sorted(find.place(item.tags) for item in listed)


def test_an_unreadable_file_is_listed_with_its_reason(folders):
    folders.own.mkdir()
    (folders.own / "half.json").write_bytes(b'{"flowmm": 1, "no')
    (folders.own / "ä.b.json").write_bytes(graph())
    (folders.own / "folder.json").mkdir()
    found = {item.name: item for item in folders.list()}
    assert "is not JSON" in found["half"].problem and found["half"].etag == etag_of(b'{"flowmm": 1, "no')
    assert "cannot be the name of a graph" in found["ä.b"].problem
    assert "is no file" in found["folder"].problem and found["folder"].etag == ""
    assert found["clip"].problem == ""


def test_an_unreadable_graph_can_still_be_read_as_bytes_mended_and_deleted(folders, refused):
    folders.own.mkdir()
    (folders.own / "half.json").write_bytes(b"{")
    data, etag, own = folders.read("half")
    assert (data, own) == (b"{", True)
    folders.delete("half", folders.save("half", graph(), match=etag))


def test_words_that_are_no_text_can_be_listed_and_sent(folders):
    folders.save("odd", b'{"flowmm": 1, "title": {"\\ud800": "\\udfff"}, "about": "\\ud800", "tags": ["\\ud800"]}')
    json.dumps([item.as_json() for item in folders.list()], ensure_ascii=False).encode()


def test_a_list_parses_only_what_changed(folders, monkeypatch):
    for name in "abc":
        folders.save(name, graph(name))
    folders.list()
    parsed = []
    real = room.document.read
    monkeypatch.setattr(room.document, "read", lambda data, name="": parsed.append(name) or real(data, name))
    before = folders.list()
    assert parsed == []
    (folders.own / "b.json").write_bytes(graph("changed by hand"))
    (folders.own / "c.json").unlink()
    after = {item.name: item for item in folders.list()}
    assert parsed == ["`b.json`"] and after["b"].title == "changed by hand" and "c" not in after
    assert after["a"] in before


def test_a_list_after_a_save_shows_what_was_saved_even_where_the_file_looks_the_same(folders, monkeypatch):
    def in_place(path, data, sync):
        path.write_bytes(data)
        os.utime(path, (1000, 1000))

    monkeypatch.setattr(room, "write_whole", in_place)
    etag = folders.save("a", graph("one"))
    for title in ("two", "six", "ten"):
        folders.list()
        etag = folders.save("a", graph(title), match=etag)
        assert [item.title for item in folders.list() if item.own] == [title]


def test_a_name_that_is_not_there_is_404_with_a_near_one(folders, refused):
    error = refused(folders.read, "clib")
    assert error.status == 404 and "`clip`" in error.fix


# ── saving ──────────────────────────────────────────────────────────────────────────────────────


def test_what_is_saved_is_read_back_byte_for_byte_under_its_etag(folders):
    data = b'\xef\xbb\xbf{ "flowmm":1 ,\r\n "unknown": [1.0, 1e5] }'
    etag = folders.save("a b-c_1", data)
    assert folders.read("a b-c_1") == (data, etag, True) and etag == etag_of(data)
    assert folders.path("a b-c_1") == folders.own / "a b-c_1.json"


def test_an_own_graph_hides_the_shipped_one_until_it_is_deleted(folders):
    _, shipped, _ = folders.read("clip")
    etag = folders.save("clip", graph("Mine"), match=shipped)
    assert [(item.name, item.own) for item in folders.list()] == [("clip", True)]
    assert folders.read("clip")[2] and folders.path("clip").parent == folders.own
    assert folders.version("clip", shipped) == (folders.shipped / "clip.json").read_bytes()
    folders.delete("clip", etag)
    assert folders.read("clip")[1:] == (shipped, False) and [item.own for item in folders.list()] == [False]


@pytest.mark.parametrize(
    ("there", "named", "status", "code"),
    [
        ("own", {}, 428, "no-etag"),
        ("own", {"match": WRONG}, 412, "changed"),
        ("own", {"none_match": True}, 412, "exists"),
        ("shipped", {}, 428, "no-etag"),
        ("shipped", {"match": WRONG}, 412, "changed"),
        ("shipped", {"none_match": True}, 412, "exists"),
        ("nothing", {"match": WRONG}, 412, "gone"),
    ],
)
def test_a_save_that_would_overwrite_unseen_is_refused_and_changes_nothing(folders, refused, there, named, status, code):
    name = {"own": "mine", "shipped": "clip", "nothing": "new"}[there]
    folders.save("mine", graph("first"))
    before = files(folders.own)
    error = refused(folders.save, name, graph("second"), **named)
    assert (error.status, error.code) == (status, code) and files(folders.own) == before


def test_a_refused_save_says_when_the_other_one_was(folders, refused):
    folders.save("a", graph())
    os.utime(folders.own / "a.json", (1_700_000_000, 1_700_000_000))
    assert "2023-11-14 22:13:20 UTC" in refused(folders.save, "a", graph("b"), match=WRONG).message


def test_a_new_name_may_be_saved_with_or_without_saying_that_it_is_new(folders):
    assert folders.save("a", graph(), none_match=True) == folders.save("b", graph())


def test_a_save_whose_answer_was_lost_may_be_repeated(folders):
    first = folders.save("a", graph("1"))
    second = folders.save("a", graph("2"), match=first)
    assert folders.save("a", graph("2"), match=first) == second
    assert [version["etag"] for version in folders.history("a")] == [first]


@pytest.mark.parametrize(
    "data", [b"", b"[]", b"{}", b"\xff", b'{"flowmm": 2}', b'{"flowmm": 1, "nodes": {"a": {}}}', b'{"flowmm": 1, "a": 1, "a": 2}', b"[" * 10**5]
)
def test_what_is_no_graph_is_not_saved_and_every_reason_is_told(folders, refused, data):
    error = refused(folders.save, "a", data)
    assert error.status == 422 and error.problems and not folders.own.exists()


def test_a_graph_over_the_bound_is_413(folders, refused, monkeypatch):
    monkeypatch.setattr(room, "LARGEST", 50)
    assert refused(folders.save, "a", graph("x" * 50)).status == 413
    folders.own.mkdir()
    (folders.own / "a.json").write_bytes(graph("x" * 50))
    assert refused(folders.read, "a").status == 413
    assert [item.problem != "" for item in folders.list() if item.own] == [True]


def test_of_many_threads_saving_with_one_etag_exactly_one_wins(folders):
    etag = folders.save("a", graph("first"))
    for _ in range(5):
        start, won, lost = threading.Barrier(8), [], []

        def save(number: int, etag=etag, start=start, won=won, lost=lost) -> None:
            start.wait()
            try:
                won.append(folders.save("a", graph(f"{etag} {number}"), match=etag))
            except Refused as error:
                lost.append(error.status)

        threads = [threading.Thread(target=save, args=(number,)) for number in range(8)]
        [thread.start() for thread in threads]
        [thread.join() for thread in threads]
        assert len(won) == 1 and lost == [412] * 7 and folders.read("a")[1] == won[0]
        etag = won[0]
    assert len(folders.history("a")) == 5


def test_of_many_threads_making_one_new_graph_exactly_one_wins(folders):
    start, ends = threading.Barrier(8), []

    def save(number: int) -> None:
        start.wait()
        try:
            folders.save("a", graph(str(number)), none_match=True)
            ends.append(200)
        except Refused as error:
            ends.append(error.status)

    threads = [threading.Thread(target=save, args=(number,)) for number in range(8)]
    [thread.start() for thread in threads]
    [thread.join() for thread in threads]
    assert sorted(ends) == [200] + [412] * 7


def test_a_reader_never_sees_half_a_graph_or_an_error_while_others_save_rename_and_delete(folders):
    etag, stop, seen = folders.save("a", graph("0" * 5000)), threading.Event(), []

    def read() -> None:
        while not stop.is_set():
            for look in (folders.list, lambda: folders.read("a"), lambda: folders.history("a"), folders.trash):
                try:
                    look()
                except Refused as error:
                    seen.append(error.status)
                except BaseException as error:
                    seen.append(repr(error))

    threads = [threading.Thread(target=read) for _ in range(2)]
    [thread.start() for thread in threads]
    for number in range(15):
        etag = folders.save("a", graph(str(number) * 5000), match=etag)
        folders.rename("a", "b", etag)
        folders.rename("b", "a", etag)
        folders.restore(folders.delete("a", etag))
    stop.set()
    [thread.join() for thread in threads]
    assert set(seen) <= {404}


# ── renaming and the trash ──────────────────────────────────────────────────────────────────────


def test_a_rename_takes_the_history_along(folders, refused):
    first = folders.save("a", graph("1"))
    etag = folders.save("a", graph("2"), match=first)
    assert folders.rename("a", "b", etag) == etag
    assert refused(folders.read, "a").status == 404
    assert folders.read("b")[0] == graph("2") and folders.version("b", first) == graph("1")
    folders.save("a", graph("3"))
    assert folders.history("a") == []


def test_a_rename_or_delete_needs_the_right_etag_and_a_free_name(folders, refused):
    etag = folders.save("a", graph("1"))
    folders.save("b", graph("2"))
    before = files(folders.own)
    assert refused(folders.rename, "a", "c", None).status == refused(folders.delete, "a", None).status == 428
    assert refused(folders.rename, "a", "c", WRONG).status == refused(folders.delete, "a", WRONG).status == 412
    assert refused(folders.rename, "a", "b", etag).status == refused(folders.rename, "a", "clip", etag).status == 409
    assert refused(folders.rename, "none", "c", etag).status == refused(folders.delete, "none", etag).status == 404
    assert folders.rename("a", "a", etag) == etag
    assert files(folders.own) == before


def test_shipped_graphs_are_neither_renamed_nor_deleted(folders, refused):
    _, etag, _ = folders.read("clip")
    assert refused(folders.rename, "clip", "mine", etag).status == refused(folders.delete, "clip", etag).status == 403
    assert files(folders.shipped) == {"clip.json": folders.read("clip")[0]}


def test_a_deleted_graph_comes_back_with_its_history(folders, refused):
    first = folders.save("a", graph("1"))
    etag = folders.save("a", graph("2"), match=first)
    trashed = folders.delete("a", etag)
    assert refused(folders.read, "a").status == 404 and [item.name for item in folders.list()] == ["clip"]
    (item,) = folders.trash()
    assert (item["id"], item["name"], item["bytes"]) == (trashed, "a", len(graph("2"))) and item["deleted"] > 0
    assert folders.restore(trashed) == "a"
    assert folders.read("a")[1] == etag and folders.version("a", first) == graph("1") and folders.trash() == []
    assert refused(folders.restore, trashed).status == 404


def test_a_graph_does_not_come_back_over_another(folders, refused):
    trashed = folders.delete("a", folders.save("a", graph("old")))
    folders.save("A", graph("new"))
    assert refused(folders.restore, trashed).status == 409
    assert folders.read("A")[0] == graph("new") and [item["id"] for item in folders.trash()] == [trashed]


def test_an_own_copy_of_a_shipped_graph_comes_back_over_the_shipped_one(folders):
    _, shipped, _ = folders.read("clip")
    folders.restore(folders.delete("clip", folders.save("clip", graph("mine"), match=shipped)))
    assert folders.read("clip")[0] == graph("mine")


def test_what_is_deleted_for_good_is_gone_with_its_history_and_nothing_else_is(folders, refused):
    etag = folders.save("a", graph("second"), match=folders.save("a", graph("first")))
    gone, kept = folders.delete("a", etag), folders.delete("b", folders.save("b", graph()))
    assert folders.forget(gone) == "a"
    assert [item["id"] for item in folders.trash()] == [kept]
    assert not (folders.own / ".trash" / gone).exists()
    assert refused(folders.forget, gone).code == refused(folders.restore, gone).code == "not-in-trash"
    assert refused(folders.forget, "../..").code == "not-in-trash"
    folders.restore(kept)
    assert folders.history("b") == []


def test_the_trash_keeps_every_graph_of_one_name_the_latest_first(folders):
    ids = [folders.delete("a", folders.save("a", graph(str(number)))) for number in range(3)]
    for age, trashed in enumerate(ids):
        os.utime(folders.own / ".trash" / trashed, (1000 + age, 1000 + age))
    assert [item["id"] for item in folders.trash()] == ids[::-1]
    folders.restore(ids[1])
    assert folders.read("a")[0] == graph("1")


# ── history ─────────────────────────────────────────────────────────────────────────────────────


def test_the_history_holds_what_was_replaced_newest_first_with_the_time_it_was_saved(folders, refused):
    etags = [folders.save("a", graph("0"))]
    for number in range(1, 4):
        os.utime(folders.own / "a.json", (5000 - number, 5000 - number))  # the clock goes backwards
        etags.append(folders.save("a", graph(str(number)), match=etags[-1]))
    found = folders.history("a")
    assert [version["etag"] for version in found] == etags[-2::-1]
    assert [version["saved"] for version in found] == [4997, 4998, 4999] and {version["bytes"] for version in found} == {len(graph("0"))}
    assert [folders.version("a", etag) for etag in etags] == [graph(str(number)) for number in range(4)]
    assert refused(folders.version, "a", WRONG).status == 404 and refused(folders.history, "none").status == 404


def test_the_oldest_versions_go(folders, monkeypatch):
    monkeypatch.setattr(room, "VERSIONS", 8)
    etags = [folders.save("a", graph("0"))]
    for number in range(1, 20):
        etags.append(folders.save("a", graph(str(number)), match=etags[-1]))
        assert [version["etag"] for version in folders.history("a")] == etags[-2::-1][:8]


def test_a_hundred_versions_are_kept(folders, monkeypatch):
    monkeypatch.setattr(os, "fsync", lambda _: None)
    etags = [folders.save("a", graph("0"))]
    for number in range(1, 105):
        etags.append(folders.save("a", graph(str(number)), match=etags[-1]))
    assert [version["etag"] for version in folders.history("a")] == etags[-2:-102:-1]


def test_a_version_that_was_damaged_says_so(folders, refused):
    first = folders.save("a", graph("1"))
    folders.save("a", graph("2"), match=first)
    next((folders.own / ".history" / "a").iterdir()).write_bytes(b"garbage")
    assert refused(folders.version, "a", first).status == 422


def test_a_history_left_by_a_crash_is_joined_not_lost(folders):
    first = folders.save("a", graph("1"))
    etag = folders.save("a", graph("2"), match=first)
    os.rename(folders.own / "a.json", folders.own / "b.json")  # as if the process died here in a rename
    one = folders.save("a", graph("3"))
    folders.rename("a", "c", one)
    assert folders.version("c", first) == graph("1")
    folders.rename("b", "a", etag)
    assert folders.read("a")[0] == graph("2")


# ── the disk ────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(("number", "status"), [(errno.ENOSPC, 507), (errno.EDQUOT, 507), (errno.EROFS, 403), (errno.EACCES, 403), (errno.EIO, 500)])
@pytest.mark.parametrize("step", ["write", "fsync", "replace"])
@pytest.mark.parametrize("after", [0, 1])
def test_a_disk_that_fails_at_any_step_leaves_the_old_graph(folders, refused, monkeypatch, number, status, step, after):
    """after: 0 fails while the previous version goes to the history, 1 while the new one is written."""
    etag = folders.save("a", graph("old"))
    folders.save("b", graph("make the folders"), match=folders.save("b", graph()))
    real, count, written = {"write": open, "fsync": os.fsync, "replace": os.replace}[step], [0], room.write_whole

    def failing(*args, **named):
        if count[0] > after and (step != "fsync" or os.path.isfile(f"/proc/self/fd/{args[0]}")):
            raise OSError(number, os.strerror(number))
        return real(*args, **named)

    def counted(*args, **named):
        count[0] += 1
        return written(*args, **named)

    with monkeypatch.context() as patch:
        patch.setattr(room, "write_whole", counted)
        if step == "write":
            patch.setattr("flowmm.files.open", failing, raising=False)
        else:
            patch.setattr(os, step, failing)
        error = refused(folders.save, "a", graph("new"), match=etag)
    assert error.status == status and count[0] == after + 1
    assert folders.read("a")[:2] == (graph("old"), etag)
    assert not [name for name in files(folders.own) if name.endswith(".tmp")]
    first = folders.save("a", graph("new"), match=etag)
    assert folders.read("a")[1] == first and [version["etag"] for version in folders.history("a")] == [etag]


@pytest.mark.parametrize("call", ["rename", "delete"])
def test_a_move_that_fails_halfway_is_undone(folders, refused, monkeypatch, call):
    etag = folders.save("a", graph("2"), match=folders.save("a", graph("1")))
    real = os.rename

    def failing(source, target):
        if ".history" in str(source):
            raise OSError(errno.ENOSPC, "No space left on device")
        return real(source, target)

    with monkeypatch.context() as patch:
        patch.setattr(os, "rename", failing)
        error = refused(folders.rename, "a", "b", etag) if call == "rename" else refused(folders.delete, "a", etag)
    assert error.status == 507 and folders.read("a")[1] == etag and len(folders.history("a")) == 1 and folders.trash() == []


@pytest.mark.skipif(os.name == "nt" or os.geteuid() == 0, reason="a superuser may write anywhere")
def test_a_folder_that_may_not_be_written_says_so(folders, refused):
    etag = folders.save("a", graph())
    folders.own.chmod(0o500)
    try:
        assert refused(folders.save, "a", graph("b"), match=etag).status == refused(folders.save, "n", graph()).status == 403
    finally:
        folders.own.chmod(0o700)
    assert folders.read("a")[1] == etag


def test_a_folder_or_file_that_may_not_be_read_says_so(folders, refused, monkeypatch):
    folders.save("a", graph())

    def denied(*_, **__):
        raise PermissionError(errno.EACCES, "Permission denied")

    with monkeypatch.context() as patch:
        patch.setattr(room, "open", denied, raising=False)
        assert refused(folders.read, "a").status == 403
        (folders.own / "new.json").write_bytes(graph())
        assert "permission denied" in {item.name: item.problem for item in SavedGraphs(folders.own, folders.shipped).list()}["a"]
    monkeypatch.setattr(os, "scandir", denied)
    assert refused(folders.list).status == 403


def test_saved_graphs_and_uploads_load_no_model_library():
    code = "import sys, flowmm.server.saved, flowmm.server.uploads; print([m for m in ('torch', 'transformers', 'diffusers', 'gradio', 'mcp') if m in sys.modules])"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.strip() == "[]"
