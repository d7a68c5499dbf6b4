"""The one socket: what happens is told in order, to all who listen, also to those who come back or read slowly."""

from __future__ import annotations

import asyncio
import json
from contextlib import ExitStack
from urllib.parse import urlencode

import api_nodes as n
import msgpack
import pytest
from running import TOKEN, Serving
from test_api import document, sums
from test_api_runs import submitted, until_began, waiting
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import ClientConnection, connect

from flowmm import Graph
from flowmm.engine.events import Event
from flowmm.server import hub as room
from flowmm.server.hub import Hub
from flowmm.server.live import Live
from flowmm.server.routes import events as route

TOO_BIG = 1009  # of RFC 6455


class Ear:
    """A socket that listens; hello: the first frame."""

    def __init__(self, server: Serving, **query):
        self.socket: ClientConnection = listen(server, **query).__enter__()
        self.hello = self.next()

    def next(self) -> dict:
        return msgpack.unpackb(self.socket.recv(30))

    def until_ended(self, *ids: str) -> list[dict]:
        """Every frame up to the end of these runs."""
        frames, left = [], set(ids)
        while left:
            frames.append(self.next())
            if frames[-1]["type"] == "run" and frames[-1]["state"] in ("done", "failed", "cancelled"):
                left.discard(frames[-1]["id"])
        return frames

    def __enter__(self) -> Ear:
        return self

    def __exit__(self, *_) -> None:
        self.socket.close()


def listen(server: Serving, token: str = TOKEN, **query) -> ClientConnection:
    url = f"ws{server.url.removeprefix('http')}/api/events?{urlencode(query)}"
    return connect(url, additional_headers={"Authorization": f"Bearer {token}"}, proxy=None, max_size=None)


def drawing(steps: int) -> dict:
    graph = Graph()
    with graph:
        graph.output(image=n.sketch(steps, _name="sketch"))
    return document(graph)


# ── what is told ────────────────────────────────────────────────────────────────────────────────


def test_the_first_frame_says_where_the_numbers_stand(server):
    with Ear(server) as ear:
        assert ear.hello == {"type": "hello", "epoch": server.parts.hub.epoch, "seq": server.parts.hub.seq, "caught_up": False}


def test_a_run_is_told_in_order_from_its_submission_to_its_outputs(server):
    with Ear(server) as ear:
        id_ = submitted(server, document(sums()), inputs={"a": 501})
        frames = ear.until_ended(id_)
    assert [frame["seq"] for frame in frames] == list(range(ear.hello["seq"] + 1, ear.hello["seq"] + 1 + len(frames)))
    told = [frame.get("state", frame["type"]) for frame in frames]
    assert told[:3] == ["queued", "running", "planned"] and told[-1] == "done" and set(told[3:-1]) == {"nodes"}
    names = [name for frame in frames if frame["type"] == "nodes" for name in frame["names"]]
    assert sorted(names) == ["first", "less", "more", "word"] and frames[2]["total"] == len(names) - sum(len(f["cached"]) for f in frames if f["type"] == "nodes")
    assert frames[-1]["outputs"]["more"]["summary"] == {"value": 512} and frames[-1]["error"] is None
    assert all(frame["id"] == id_ for frame in frames)


def test_a_failure_and_a_cancelled_run_are_told(server, tmp_path):
    graph = Graph()
    with graph:
        graph.output(out=n.picky(3, _name="picky"))
    with Ear(server) as ear:
        failed = ear.until_ended(submitted(server, document(graph)))[-1]
        assert failed["state"] == "failed" and failed["error"]["node"] == "picky"
        made, inputs = waiting(tmp_path)
        id_ = submitted(server, made, inputs=inputs)
        until_began(server, id_)
        server.post(f"/api/runs/{id_}/cancel")
        assert ear.until_ended(id_)[-1]["state"] == "cancelled"


def test_places_in_the_queue_and_deletions_are_told(server, tmp_path):
    runs = []
    for number in range(3):
        graph, inputs = waiting(tmp_path, number)
        runs.append(submitted(server, graph, inputs=inputs))
    with Ear(server, run=runs[2]) as ear:
        server.post(f"/api/runs/{runs[2]}/move", to=0)
        assert {"id": runs[2], "state": "queued", "place": 0}.items() <= ear.next().items()
        (tmp_path / "end").touch()
        ear.until_ended(runs[2])
        server.http.delete(f"/api/runs/{runs[2]}")
        assert ear.next()["state"] == "deleted"
    for id_ in runs[:2]:
        server.ended(id_)


def test_progress_and_pictures_come_while_a_node_works(server):
    with Ear(server) as ear:
        frames = ear.until_ended(submitted(server, drawing(3)))
    progress = [frame for frame in frames if frame["type"] == "progress"]
    steps = [frame["step"] for frame in progress]  # on a busy machine not every one
    assert steps and steps == sorted(set(steps)) and {(frame["node"], frame["steps"]) for frame in progress} == {("sketch", 4)}
    pictures = [frame["image"] for frame in frames if frame["type"] == "preview"]
    assert pictures and all(picture.startswith(b"\xff\xd8\xff") for picture in pictures)


def test_of_a_text_that_grows_only_what_is_new_is_told(server):
    words = ["a", "red", "circle", "on", "white"]
    graph = Graph()
    with graph:
        graph.output(text=n.write(words, _name="writer"))
    with Ear(server) as ear:
        frames = [frame for frame in ear.until_ended(submitted(server, document(graph))) if frame["type"] == "text"]
    text = ""
    for frame in frames:
        assert frame["at"] == len(text) and frame["node"] == "writer"
        text = text[: frame["at"]] + frame["text"]
    assert " ".join(words).startswith(text) and len(text) > 0 and len(frames) > 1


def test_a_text_that_is_not_the_longer_one_begins_anew():
    hub = Hub()
    live = Live("a", 1, "cpu", hub)
    for text in ("one", "one two", "three"):
        live.listen(Event("preview", node="writer", text=text))
    kept = [msgpack.unpackb(frame) for _, _, frame in hub._kept]
    assert [(frame["at"], frame["text"]) for frame in kept] == [(0, "one"), (3, " two"), (0, "three")]
    assert live.state()["texts"] == {"writer": "three"}


# ── coming back ─────────────────────────────────────────────────────────────────────────────────


def test_who_comes_back_gets_what_was_missed_and_nothing_twice(server):
    with Ear(server) as ear:
        seen = ear.until_ended(submitted(server, document(sums()), inputs={"a": 601}))
    id_ = submitted(server, document(sums()), inputs={"a": 602})
    server.ended(id_)
    with Ear(server, since=seen[-1]["seq"], epoch=ear.hello["epoch"]) as again:
        assert again.hello["caught_up"] and again.hello["seq"] == seen[-1]["seq"]
        missed = again.until_ended(id_)
    assert [frame["seq"] for frame in missed] == list(range(seen[-1]["seq"] + 1, missed[-1]["seq"] + 1))
    assert missed[0]["state"] == "queued" and missed[-1]["state"] == "done"


@pytest.mark.parametrize("query", [{"since": 1, "epoch": "of another server"}, {"since": 10**9}, {"since": -5}, {"since": 0}])
def test_who_was_away_too_long_or_knew_another_server_learns_that_nothing_follows(server, query):
    server.run(document(sums()))
    with Ear(server, **query) as ear:
        assert ear.hello == {"type": "hello", "epoch": server.parts.hub.epoch, "seq": ear.hello["seq"], "caught_up": False}
        assert ear.hello["seq"] >= 1
        id_ = submitted(server, document(sums()))
        assert ear.next()["id"] == id_


def test_frames_are_kept_within_bounds_and_who_missed_more_is_told(monkeypatch):
    monkeypatch.setattr(room, "KEPT_FRAMES", 10)

    async def scene():
        hub = Hub()
        for i in range(25):
            hub.publish("note", "a", text=str(i))
        assert len(hub._kept) == 10 and hub._kept_bytes == sum(len(frame) for _, _, frame in hub._kept)
        assert hub.listen(15, hub.epoch).hello["caught_up"] and not hub.listen(14, hub.epoch).hello["caught_up"]
        caught = [msgpack.unpackb(frame)["text"] for frame in hub.listen(15, hub.epoch)._waiting.values()]
        assert caught == [str(i) for i in range(15, 25)]
        monkeypatch.setattr(room, "KEPT_BYTES", 100)
        hub.publish("note", "a", text="last")
        assert hub._kept_bytes <= 100 and msgpack.unpackb(hub._kept[-1][2])["text"] == "last"

    asyncio.run(scene())


def test_who_asks_for_one_run_hears_of_that_run_alone(server):
    first = submitted(server, drawing(2))
    with Ear(server, run=first) as ear:
        other = submitted(server, document(sums()), inputs={"a": 701})
        heard = ear.until_ended(first)
        assert {frame["id"] for frame in heard} == {first}
        server.ended(other)
    with Ear(server, run=first, since=0, epoch=ear.hello["epoch"]) as again:
        if again.hello["caught_up"]:
            assert {frame["id"] for frame in again.until_ended(first)} == {first}


# ── slow readers, and many ──────────────────────────────────────────────────────────────────────


async def arrived(listener, count: int) -> list[dict]:
    frames = []
    async for frame in listener:
        frames.append(msgpack.unpackb(frame))
        if len(frames) == count:
            return frames


def test_a_slow_reader_gets_only_the_last_picture_and_progress_of_a_node():
    async def scene():
        hub = Hub()
        listener = hub.listen()
        for step in range(100):
            for node in ("one", "two"):
                hub.publish("progress", "a", node=node, step=step)
                hub.publish("preview", "a", node=node, image=b"x" * 1000)
        hub.publish("note", "a", text="after")
        frames = await arrived(listener, 5)
        assert [(frame["type"], frame.get("node"), frame.get("step")) for frame in frames] == [
            ("progress", "one", 99), ("preview", "one", None), ("progress", "two", 99), ("preview", "two", None), ("note", None, None)]  # fmt: skip
        assert [frame["seq"] for frame in frames] == [397, 398, 399, 400, 401]

    asyncio.run(scene())


def test_a_reader_that_is_too_slow_is_told_that_frames_are_lost(monkeypatch):
    monkeypatch.setattr(room, "MOST_WAITING", 10_000)

    async def scene():
        hub = Hub()
        slow, quick = hub.listen(), hub.listen()
        heard = asyncio.ensure_future(arrived(quick, 300))
        for i in range(300):
            hub.publish("text", "a", node="writer", at=0, text="x" * 100 + str(i))
            assert slow._bytes <= 10_000
            await asyncio.sleep(0)
        frames = await arrived(slow, 2)
        assert frames[0] == {"type": "lost"} and frames[1]["seq"] > 100
        assert [frame["seq"] for frame in await heard] == list(range(1, 301))

    asyncio.run(scene())


def test_a_reader_who_has_left_holds_nothing():
    async def scene():
        hub = Hub()
        listener = hub.listen()
        assert hub.listening == 1
        listener.close()
        hub.publish("note", "a", text="unheard")
        assert hub.listening == 0 and not listener._waiting

    asyncio.run(scene())


def test_twenty_listeners_hear_the_same(server):
    with ExitStack() as stack:
        ears = [stack.enter_context(Ear(server)) for _ in range(20)]
        id_ = submitted(server, document(sums()), inputs={"a": 801})
        heard = [ear.until_ended(id_) for ear in ears]
        assert server.http.get("/api/system").json()["listeners"] >= 20
        assert all(frames == heard[0] for frames in heard)


def test_who_talks_too_much_is_shown_the_door(server, monkeypatch):
    with Ear(server) as ear:
        with pytest.raises(ConnectionClosed) as closed:
            for _ in range(route.MOST_HEARD + 100):
                ear.socket.send("hello?")
            while True:
                ear.next()
        assert closed.value.rcvd.code == route.TOO_MUCH and "listening" in closed.value.rcvd.reason


def test_a_message_that_is_too_long_ends_the_socket_and_nothing_else(server):
    with Ear(server) as talker, Ear(server) as ear:
        with pytest.raises(ConnectionClosed) as closed:
            talker.socket.send(b"x" * (1 << 17))
            talker.next()
        assert closed.value.rcvd.code == TOO_BIG
        server.parts.hub.publish("note", "a", text="still here")
        assert ear.next()["text"] == "still here"


def test_a_listener_without_the_token_is_refused(server):
    with pytest.raises(InvalidStatus) as refused:
        listen(server, token="wrong")
    assert refused.value.response.status_code == 401
    assert json.loads(refused.value.response.body)["error"]["message"]


# ── how much is told ────────────────────────────────────────────────────────────────────────────


def told(server: Serving, graph: dict) -> list[bytes]:
    """The frames of a run as bytes."""
    with Ear(server) as ear:
        id_ = submitted(server, graph)
        frames = []
        while True:
            frames.append(ear.socket.recv(60))
            frame = msgpack.unpackb(frames[-1])
            if frame["type"] == "run" and frame["state"] == "done" and frame["id"] == id_:
                return frames


def fan(count: int, start: int) -> dict:
    """One node that feeds all the others."""
    graph = Graph()
    with graph:
        one = n.add(start, _name="one")
        graph.output(sum=n.total([n.add(one, i, _name=f"n{i}") for i in range(count)]))
    return document(graph)


def test_a_node_that_feeds_999_others_is_told_in_less_than_a_megabyte(server):
    frames = told(server, fan(999, 3))
    names = [name for frame in map(msgpack.unpackb, frames) if frame["type"] == "nodes" for name in frame["names"]]
    assert len(names) == len(set(names)) == 1001
    assert sum(map(len, frames)) < 100_000


def test_what_is_told_grows_with_the_nodes_and_no_faster(server):
    sizes = [sum(map(len, told(server, fan(count, 5)))) for count in (100, 800)]
    assert sizes[1] < sizes[0] * 8 * 1.5


def test_many_steps_are_told_one_by_one_and_not_all_again_each_time():
    hub = Hub()
    live = Live("a", 1, "cpu", hub)
    sizes = []
    for count in (100, 1000):
        before = hub._kept_bytes
        for step in range(count):
            live.listen(Event("progress", node="paint", step=step + 1, steps=count))
            live.listen(Event("preview", node="writer", text="word " * (step + 1)))
        sizes.append(hub._kept_bytes - before)
        live = Live("a", 1, "cpu", hub)
    assert sizes[1] < sizes[0] * 10 * 1.2
