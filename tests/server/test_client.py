"""flowmm.connect: a graph on a server is called like one of this machine, and gives the same, bit for bit."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
from pathlib import Path

import api_nodes as n
import numpy
import PIL.Image
import pytest
from running import TOKEN
from test_api import sums

import flowmm
from flowmm import Graph, GraphError
from flowmm.face import line as line_room
from flowmm.graph.document import dump
from flowmm.sockets import Image, Latent, Mask, Seed, Text
from flowmm.store.keys import digest


def pictures() -> Graph:
    graph = Graph(title="Pictures")
    image = graph.input("image")
    with graph:
        graph.output(same=n.mirrored(n.mirrored(image)), kind=n.dtype(image), mean=n.mean(image))
    return graph


def masks() -> Graph:
    graph = Graph()
    with graph:
        graph.output(covered=n.covered(graph.input("mask")))
    return graph


def of_every_kind() -> Graph:
    graph = Graph(title="Every kind")
    with graph:
        wires = n.kinds(graph.input("seed", 5), _name="kinds")
        graph.output(**{name: getattr(wires, name) for name in n.Kinds._fields})
    return graph


def same(here, there) -> None:
    """Two results are the same, bit for bit."""
    assert list(here) == list(there)
    for name in here:
        assert type(here[name]) is type(there[name]) and digest(here[name]) == digest(there[name]), name


def noise(*shape: int) -> numpy.ndarray:
    return numpy.random.default_rng(0).integers(0, 256, shape, "uint8")


# ── what a server has ───────────────────────────────────────────────────────────────────────────


def test_a_server_lists_its_graphs_and_loads_them_as_they_are_here(server, remote):
    assert remote.graphs()["clip-match"] == flowmm.load("clip-match").title and remote.url == server.url and repr(remote) == f"<flowmm server {server.url}>"
    here, there = flowmm.load("clip-match"), remote.load("clip-match")
    assert (there.name, there.title, there.about, there.outputs) == (here.name, here.title, here.about, here.outputs)
    assert {name: (str(one.type), one.help, one.title, one.default) for name, one in here.inputs.items()} == {
        name: (one.type, one.help, one.title, one.default) for name, one in there.inputs.items()}  # fmt: skip
    assert repr(there) == f"{repr(here)[:-1]} at {server.url}>"


def test_a_loaded_graph_stays_what_it_was_when_someone_saves_another(server, remote, tmp_path):
    etag = server.http.put("/api/graphs/kept", content=dump(sums().document), headers={"If-None-Match": "*", "Content-Type": "application/json"}).headers["etag"]
    loaded = remote.load("kept")
    other = dump(sums().document).replace('"b": 10', '"b": 20')
    assert server.http.put("/api/graphs/kept", content=other, headers={"If-Match": etag, "Content-Type": "application/json"}).status_code == 200
    assert loaded(a=1).more == 12 and remote.load("kept")(a=1).more == 22
    assert flowmm.load(loaded.save(tmp_path / "saved.json"))(a=1).more == 12


def test_the_address_may_be_the_one_that_serve_printed(server):
    assert flowmm.connect(f"{server.url}/?token={TOKEN}").graphs()


# ── the same results ────────────────────────────────────────────────────────────────────────────


def test_every_kind_of_value_is_the_same_as_here_bit_for_bit(remote):
    here, there = of_every_kind()(seed=9), remote.run(of_every_kind(), seed=9)
    same(here, there)
    assert there.executed == here.executed == 1 and there.image.pixels.dtype == "uint8" and there.floats.pixels.dtype == "float32"
    assert there["pictures"][1].pixels.shape == here.pictures[1].pixels.shape
    assert repr(there).partition(";")[0] == repr(here).partition(";")[0]
    with pytest.raises(AttributeError, match="no output 'other'; there are whole"):
        there.other
    there.batch.pixels[0] = 0  # an array of one's own


def test_values_are_fetched_when_they_are_looked_at_and_once(remote, monkeypatch):
    asked = []
    ask = line_room.Line.ask
    monkeypatch.setattr(line_room.Line, "ask", lambda self, method, path, **more: (asked.append(path), ask(self, method, path, **more))[1])
    result = remote.run(of_every_kind(), seed=10)
    assert not [path for path in asked if "/outputs/" in path]
    assert result.text is result.text and len(result) == len(n.Kinds._fields)
    assert [path.rpartition("/")[2] for path in asked if "/outputs/" in path] == ["text"]


def test_results_are_saved_as_here_and_a_picture_carries_what_made_it(remote, tmp_path):
    PIL.Image.fromarray(noise(4, 6, 3)).save(tmp_path / "cat.png")
    here, there = pictures()(image=tmp_path / "cat.png"), remote.run(pictures(), image=tmp_path / "cat.png")
    saved = [[path.name for path in result.save(tmp_path / folder)] for result, folder in ((here, "here"), (there, "there"))]
    assert saved[0] == saved[1]
    text = [json.loads(PIL.Image.open(tmp_path / folder / "same.png").text["flowmm"]) for folder in ("here", "there")]
    assert text[0] == text[1] and text[0]["inputs"]["image"]["file"] == "cat.png" and str(tmp_path) not in json.dumps(text)
    PIL.Image.open(tmp_path / "cat.png").save(tmp_path / "there" / "cat.png")
    assert (flowmm.load(tmp_path / "there" / "same.png")().same.pixels == here.same.pixels).all()


def test_only_what_is_wanted_is_computed(remote):
    result = remote.open(sums()).run({"a": 3001}, only=["more", "first.value"])
    assert dict(result) == {"more": 3012, "first.value": 3002} and result.executed == 2
    assert remote.open(sums()).peek("first.value", a=3001) == 3002
    assert asyncio.run(remote.open(sums()).run_async(a=3001)).less == 3001


@pytest.mark.parametrize("kind", ["path", "text path", "jpeg", "bmp", "animated", "grey", "sixteen bits", "pil", "bytes", "array", "batch", "list", "value"])
def test_a_picture_arrives_exactly_however_it_is_given(remote, tmp_path, kind):
    picture = PIL.Image.fromarray(noise(5, 7, 3))
    for name in ("a.png", "a.jpg", "a.bmp"):
        picture.save(tmp_path / name)
    picture.save(tmp_path / "a.webp", save_all=True, append_images=[picture.rotate(180)], lossless=True)
    PIL.Image.fromarray(noise(4, 4).astype("uint16") * 250).save(tmp_path / "deep.png")
    given = {
        "path": tmp_path / "a.png", "text path": str(tmp_path / "a.png"), "jpeg": tmp_path / "a.jpg", "bmp": tmp_path / "a.bmp",
        "animated": tmp_path / "a.webp", "grey": picture.convert("L"), "sixteen bits": tmp_path / "deep.png", "pil": picture.convert("RGBA"),
        "bytes": (tmp_path / "a.jpg").read_bytes(), "array": noise(5, 7, 3), "batch": noise(3, 3, 5, 7), "list": [tmp_path / "a.png", tmp_path / "a.bmp"],
        "value": Image(noise(2, 3, 4, 4)),
    }[kind]  # fmt: skip
    same(pictures()(image=given), remote.run(pictures(), image=given))


def test_masks_lists_texts_and_seeds_arrive_as_they_are(remote, tmp_path):
    PIL.Image.fromarray(noise(4, 6, 3)).save(tmp_path / "mask.bmp")
    for given in (tmp_path / "mask.bmp", Mask(noise(2, 1, 4, 4)), noise(4, 4)):
        same(masks()(mask=given), remote.run(masks(), mask=given))
    graph = Graph()
    with graph:
        graph.output(sizes=n.sizes(graph.input("images")), lengths=n.lengths(graph.input("text")), number=n.same(graph.input("number", 2**70)))
    inputs = {"images": [noise(2, 3, 3), Image(noise(1, 3, 4, 5))], "text": Text(("one", "\ud800ü")), "number": -(2**90)}
    same(graph(**inputs), remote.run(graph, **inputs))
    assert remote.run(sums(), a=Seed(4).value).more == 15


def test_what_the_server_made_goes_back_without_being_sent(remote):
    made = remote.run(of_every_kind(), seed=11)
    same(pictures()(image=made.floats), remote.run(pictures(), image=made.floats))
    assert remote.run(pictures(), image=made.floats).kind == "float32 [1, 3, 4, 4]"


def test_what_an_upload_cannot_hold_exactly_is_said_in_words(remote):
    for given in (Image(noise(1, 3, 3, 3).astype("float32") / 255), noise(3, 3, 3) / 255.0):
        with pytest.raises(GraphError, match="`image` is a picture of float32, which cannot be sent.*uint8"):
            remote.run(pictures(), image=given)
    with pytest.raises(GraphError, match="`image` is a Latent, which cannot be sent"):
        remote.run(pictures(), image=Latent(noise(1, 1)))
    with pytest.raises(GraphError, match="the input `a`: a object cannot be sent"):
        remote.run(sums(), a=object())


def test_a_graph_may_be_a_document_a_file_or_a_name(remote, tmp_path):
    (tmp_path / "graph.json").write_text(dump(sums().document))
    raw = json.loads(dump(sums().document))
    for graph in (sums().document, raw, tmp_path / "graph.json", str(tmp_path / "graph.json"), flowmm.load(tmp_path / "graph.json")):
        assert remote.run(graph, a=5).more == 16
    assert remote.open("clip-match").name == "clip-match"


def test_default_pictures_of_a_file_lie_beside_it(remote, tmp_path):
    PIL.Image.fromarray(noise(4, 6, 3)).save(tmp_path / "beside.png")
    graph = pictures()
    graph.save(tmp_path / "graph.json")
    raw = json.loads((tmp_path / "graph.json").read_text())
    raw["inputs"]["image"] = {"default": "beside.png"}
    (tmp_path / "graph.json").write_text(json.dumps(raw))
    same(flowmm.load(tmp_path / "graph.json")(), remote.run(tmp_path / "graph.json"))


def test_the_shipped_clip_match_gives_here_and_there_the_same(remote):
    inputs = {"texts": ["a cyan square", "a red circle"], "image": str(Path(flowmm.load("clip-match").path).parent / "examples" / "red-circle.png")}
    runtime = flowmm.Runtime("cpu", threads=1)
    here, there = flowmm.load("clip-match").run(inputs, runtime=runtime), remote.load("clip-match")(**inputs)
    same(here, there)
    assert there.scores.rows == ("a cyan square", "a red circle")


# ── events ──────────────────────────────────────────────────────────────────────────────────────


def told(events: list) -> list[str]:
    """Kinds in order, of each sort in a row only one; how often a node reports depends on the clock."""
    kinds = ["working" if event.kind in ("progress", "preview") else event.kind for event in events]
    return [kind for i, kind in enumerate(kinds) if i == 0 or kinds[i - 1] != kind]


def test_events_are_those_of_a_run_here_in_the_same_order(remote):
    graph = Graph()
    with graph:
        graph.output(image=n.sketch(n.add(2, 1, _name="steps"), _name="sketch"), text=n.write(["a", "red", "circle"], _name="writer"))
    here = list(graph.stream())
    there = list(remote.open(graph).stream())
    assert told(there)[0] == told(here)[0] == "planned" and told(there)[-1] == told(here)[-1] == "done" and set(told(here)) == set(told(there))
    assert there[0].total == here[0].total == 3
    for events in (here, there):
        finished = [event for event in events if event.kind == "finished"]
        assert sorted(name for event in finished for name in event.nodes) == ["sketch", "steps", "writer"] and not any(event.cached for event in finished)
        assert {name for event in finished for name in event.took} >= {"sketch", "writer"}
        assert {event.steps for event in events if event.kind == "progress" and event.node == "sketch"} == {4}
        assert all("a red circle".startswith(event.text) for event in events if event.kind == "preview" and event.node == "writer")
        drawn = [event.image for event in events if event.kind == "preview" and event.node == "sketch"]
        assert drawn and all(isinstance(picture, Image) for picture in drawn)
    same(here[-1].result, there[-1].result)
    again = list(remote.open(graph).stream())
    assert sorted(name for event in again for name in event.cached) == ["sketch", "writer"] and told(again)[-1] == "done"


def test_a_listener_hears_what_happens_before_the_end(remote):
    heard = []
    result = remote.open(sums()).run({"a": 4001, "text": "unheard"}, listener=heard.append)
    assert told(heard) == ["planned", "finished"] and result.more == 4012


def test_a_socket_that_is_lost_is_opened_again_where_it_was(remote, server, monkeypatch):
    """Every socket ends after its third frame, and still each event comes once and in order."""
    import websockets.sync.client as library
    from websockets.exceptions import ConnectionClosedError

    recv, sockets = library.ClientConnection.recv, {}

    def short(self, timeout=None):
        sockets[self] = sockets.get(self, 0) + 1
        if sockets[self] > 3:
            raise ConnectionClosedError(None, None)
        return recv(self, timeout)

    monkeypatch.setattr(library.ClientConnection, "recv", short)
    graph = Graph()
    with graph:
        graph.output(text=n.write([f"word{i}" for i in range(12)], _name="writer"))
    events = list(remote.open(graph).stream())
    texts = [event.text for event in events if event.kind == "preview"]
    assert len(sockets) > 2 and events[-1].result.text == " ".join(f"word{i}" for i in range(12))
    assert texts == sorted(set(texts), key=len) and all(events[-1].result.text.startswith(text) for text in texts)
    assert [event.kind for event in events].count("planned") == 1


def test_importing_flowmm_imports_neither_httpx_nor_websockets():
    code = "import sys, flowmm, flowmm.face.remote; print([name for name in ('httpx', 'websockets', 'torch', 'fastapi') if name in sys.modules])"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.strip() == "[]"
