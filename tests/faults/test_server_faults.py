"""One thing at a time goes wrong with a server: it says so in a sentence, nothing acknowledged is lost, and the next run works."""

from __future__ import annotations

import asyncio
import errno
import json
import os
import random
import re
import signal
import socket
import sqlite3
import struct
import sys
import threading
from pathlib import Path

import fault_nodes  # noqa: F401
import httpx
import msgpack
import pytest
from server_process import TOKEN, ServerProcess, alive, one, until

sys.path.insert(0, str(Path(__file__).parent.parent / "server"))  # a server in this process
import server_clients
import server_nodes  # noqa: F401
from running import serving
from websockets.sync.client import connect

from flowmm.engine.workers import process
from flowmm.server import desk, results, saved, uploads
from flowmm.server.journal import Journal
from flowmm.server.metrics import resident
from flowmm.server.serve import bind

MB = 1 << 20


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    with serving(tmp_path_factory.mktemp("served")) as made:
        yield made


@pytest.fixture
def home(tmp_path):
    """A server in a process of its own, not started yet."""
    made = ServerProcess(tmp_path / "home")
    yield made
    if made.url:
        made.stop()


def full(*_, **__):
    raise OSError(errno.ENOSPC, "No space left on device")


def works(server) -> bool:
    """A run that was never made before goes through."""
    seed = random.randrange(10**9)
    run = server.run(one("steps", seed=seed))
    return run["state"] == "done" and run["outputs"]["out"]["summary"] == {"value": seed * 7 + 5}


# ── the disk ────────────────────────────────────────────────────────────────────────────────────


def test_a_journal_without_room_refuses_plainly_and_keeps_what_it_acknowledged(server, monkeypatch, tmp_path):
    before = server.post("/api/runs", graph=one("linger", seed=random.randrange(10**9), seconds=0.05), key="before").json()

    def no_room():
        raise sqlite3.OperationalError("database or disk is full")

    with monkeypatch.context() as patch:
        patch.setattr(server.parts.journal, "_commit", no_room)
        answer = server.post("/api/runs", graph=one("steps", seed=1), key="during")
    assert answer.status_code == 507
    error = answer.json()["error"]
    assert error["code"] == "disk-full" and "nothing was recorded" in error["message"] and "room" in error["fix"]
    assert server.ended(before["id"])["state"] == "done"
    assert server.parts.journal.keyed("during") is None and server.parts.journal.keyed("before").id == before["id"]
    assert works(server)


def test_a_run_whose_end_cannot_be_written_ends_once_there_is_room(server, monkeypatch, tmp_path):
    monkeypatch.setattr(desk, "AGAIN", 0.02)
    began, end = tmp_path / "began", tmp_path / "end"
    id = server.post("/api/runs", graph=one("fault_nodes.wait_for", began=str(began), end=str(end), number=8)).json()["id"]
    until(began.exists)
    tried = []

    def no_room():
        tried.append(1)
        raise sqlite3.OperationalError("database or disk is full")

    with monkeypatch.context() as patch:
        patch.setattr(server.parts.journal, "_commit", no_room)
        end.touch()
        until(lambda: len(tried) > 3)
        run = server.http.get(f"/api/runs/{id}").json()
        assert run["state"] == "running" and not run["outputs"], "it is over when it is written down"
    run = server.ended(id)
    assert run["state"] == "done" and run["outputs"]["out"]["summary"] == {"value": 8} and run["attempt"] == 1
    assert works(server)


def test_results_without_room_fail_their_run_with_the_reason(server, monkeypatch):
    seed = random.randrange(10**9)
    with monkeypatch.context() as patch:
        patch.setattr(results.objects, "write", full)
        run = server.run(one("large", "text", seed=seed))
    assert run["state"] == "failed" and run["error"]["code"] == "not-kept" and "no space left" in run["error"]["message"].lower()
    again = server.ended(server.post(f"/api/runs/{run['id']}/retry").json()["id"])
    assert again["state"] == "done" and again["executed"] == 0, "its value was still in the cache"


@pytest.mark.parametrize("module, method, path, body, media", [
    (uploads, "POST", "/api/uploads", server_clients.png(1), "image/png"),
    (saved, "PUT", "/api/graphs/full-disk", server_clients.saved(1), "application/json"),
])  # fmt: skip
def test_what_is_sent_to_a_full_disk_is_refused(server, monkeypatch, module, method, path, body, media):
    headers = {"Content-Type": media, "If-None-Match": "*"}
    with monkeypatch.context() as patch:
        patch.setattr(module, "write_whole", full)
        answer = server.http.request(method, path, content=body, headers=headers)
    assert answer.status_code == 507 and answer.json()["error"]["fix"]
    assert server.http.request(method, path, content=body, headers=headers).status_code in (200, 201)


@pytest.mark.parametrize("place", ["file", "server is a file", "nowhere"])
def test_a_home_that_cannot_be_written_is_one_sentence(tmp_path, place):
    home = tmp_path / "home"
    if place == "file":
        home.write_text("")
    elif place == "server is a file":
        home.mkdir()
        (home / "server").write_text("")
    server = ServerProcess(Path("/proc/no/such/home") if place == "nowhere" else home, log=tmp_path / "log")
    server.start(wait=False)
    said = server.left()
    assert not said.startswith("0:") and "Traceback" not in said and "FLOWMM_HOME" in said
    assert len(said.splitlines()) <= 4, said


def test_scraps_of_a_killed_server_are_gone_after_the_next_start(tmp_path):
    home = tmp_path / "home"
    for scrap in ("graphs/.mine.json.77-0.tmp", "graphs/.history/mine/.00000001-aa.json.77-1.tmp", "server/uploads/.ab.png.77-2.tmp",
                  "server/results/ab/abcd.77-3.tmp"):  # fmt: skip
        (home / scrap).parent.mkdir(parents=True, exist_ok=True)
        (home / scrap).write_bytes(b"half of")
    (home / "graphs" / "notes.tmp").write_text("of a person")
    with serving(home):
        assert [path.name for path in home.rglob("*.tmp")] == ["notes.tmp"]


def test_a_journal_with_a_torn_or_garbled_end_keeps_every_acknowledged_run(home):
    journal = home.home / "server" / "journal.sqlite"
    home.start()
    ids = [home.submit(one("steps", seed=n)) for n in range(5)]
    assert [home.ended(id)["state"] for id in ids] == ["done"] * 5
    home.kill()
    with open(f"{journal}-wal", "ab") as log:
        log.write(random.Random(0).randbytes(5000))  # a transaction that the power cut tore
    home.start()
    assert "damaged" not in home.log() and all(home.run(id)["state"] == "done" for id in ids)
    home.stop()
    data = bytearray(journal.read_bytes())
    data[:4096] = random.Random(1).randbytes(4096)
    journal.write_bytes(data)
    home.start()
    assert "was damaged" in home.log() and "5 runs" in home.log() and "Traceback" not in home.log()
    assert all(home.run(id)["outputs"]["out"]["summary"] == {"value": n * 7 + 5} for n, id in enumerate(ids))


# ── two servers, no worker ──────────────────────────────────────────────────────────────────────


def test_two_servers_on_one_home_the_second_says_who_has_it(home, tmp_path):
    home.start()
    second = ServerProcess(home.home, log=tmp_path / "second.log").start(wait=False)
    said = second.left()
    assert f"in use by another server (process {home.pid})" in said and "FLOWMM_HOME" in said and "Traceback" not in said and not said.startswith("0:")
    assert home.ended(home.submit(one("steps", seed=2)))["state"] == "done"


def test_a_worker_that_cannot_be_started_fails_the_run_with_the_reason(server, monkeypatch):
    def no_memory(*_, **__):
        raise OSError(errno.ENOMEM, "Cannot allocate memory")

    server.parts.desk.runtime().worker.restart()
    until(lambda: not alive_worker(server))
    with monkeypatch.context() as patch:
        patch.setattr(process.subprocess, "Popen", no_memory)
        run = server.run(one("steps", seed=random.randrange(10**9)))
    assert run["state"] == "failed" and "cannot allocate memory" in run["error"]["message"].lower() and run["error"]["node"] == "one"
    with monkeypatch.context() as patch:
        patch.setattr(process, "START", "import sys; sys.exit(3)")
        run = server.run(one("steps", seed=random.randrange(10**9)))
    assert run["state"] == "failed" and run["error"]["code"] == "worker-lost" and "exit status 3" in run["error"]["message"]
    assert works(server)


def alive_worker(server) -> bool:
    found = server.parts.desk.runtime().worker._process
    return found is not None and not found.dead


def test_a_worker_the_system_ends_for_want_of_memory_is_said_so(server, monkeypatch):
    assert works(server)
    kills = iter([0, 1])  # before it started, and after it died
    server.parts.desk.runtime().worker.restart()
    until(lambda: not alive_worker(server))
    monkeypatch.setattr(process, "out_of_memory_kills", lambda: next(kills))
    run = server.run(one("killed", seed=random.randrange(10**9)))
    assert run["error"]["code"] == "worker-lost" and "ran out of memory" in run["error"]["message"]
    monkeypatch.undo()
    assert works(server)


# ── clients ─────────────────────────────────────────────────────────────────────────────────────


def hangs_up(server, head: str, body: bytes = b"", read: int = 0) -> None:
    """Send the beginning of a request and vanish without a good-bye."""
    host, port = server.url.removeprefix("http://").split(":")
    sock = socket.create_connection((host, int(port)))
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    sock.sendall(f"{head}\r\nHost: {host}:{port}\r\nAuthorization: Bearer {TOKEN}\r\n".encode() + body)
    if read:
        assert sock.recv(read)
    sock.close()


UPGRADE = b"Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"


def test_clients_that_vanish_in_the_middle_of_anything_cost_nothing(server, tmp_path, caplog):
    began, end = tmp_path / "began", tmp_path / "end"
    held = server.post("/api/runs", graph=one("fault_nodes.wait_for", began=str(began), end=str(end))).json()["id"]
    until(began.exists)
    before = server.parts.journal.page()
    whole = json.dumps({"graph": one("steps", seed=1)}).encode()
    for _ in range(5):
        hangs_up(server, "POST /api/runs HTTP/1.1", b"Content-Type: application/json\r\nContent-Length: 5000\r\n\r\n" + whole)
        hangs_up(server, "POST /api/uploads HTTP/1.1", b"Content-Type: image/png\r\nContent-Length: 50000\r\n\r\n" + server_clients.png(3))
        hangs_up(server, "POST /api/runs HTTP/1.1", b"Content-Type: application/")
        hangs_up(server, f"GET /api/runs/{held}?wait=60 HTTP/1.1", b"\r\n")
        hangs_up(server, "GET /api/events HTTP/1.1", UPGRADE)
        hangs_up(server, "GET /api/events HTTP/1.1", UPGRADE, read=200)
    until(lambda: server.parts.hub.listening == 0)
    assert server.parts.journal.page() == before, "half a submission is none"
    end.touch()
    assert server.ended(held)["state"] == "done" and works(server)
    assert not [record for record in caplog.records if record.exc_info], caplog.text


def test_a_submission_whose_client_has_gone_is_still_run_once(server):
    """It was whole, so it counts; asked again under its key it is the same run."""
    seed = random.randrange(10**9)
    whole = json.dumps({"graph": one("steps", seed=seed), "key": f"gone {seed}"}).encode()
    hangs_up(server, "POST /api/runs HTTP/1.1", f"Content-Type: application/json\r\nContent-Length: {len(whole)}\r\n\r\n".encode() + whole)
    run = server.run(one("steps", seed=seed), key=f"gone {seed}")
    assert run["state"] == "done" and sum(other.key == f"gone {seed}" for other in server.parts.journal.page(limit=500)) == 1


def test_sockets_that_never_read_cost_little_and_the_others_miss_nothing(server):
    deaf, publish = [], server.parts.hub.publish
    picture = random.Random(0).randbytes(40_000)
    host, port = server.url.removeprefix("http://").split(":")
    for _ in range(200):
        sock = socket.socket()
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        sock.connect((host, int(port)))
        sock.sendall(f"GET /api/events HTTP/1.1\r\nHost: {host}:{port}\r\nAuthorization: Bearer {TOKEN}\r\n".encode() + UPGRADE)
        deaf.append(sock)
    until(lambda: server.parts.hub.listening == 200)
    heard: list[dict] = []
    with connect(f"ws://{host}:{port}/api/events", additional_headers={"Authorization": f"Bearer {TOKEN}"}) as listener:
        assert msgpack.unpackb(listener.recv())["type"] == "hello"

        def read():
            while not heard or heard[-1]["type"] != "note":
                heard.append({name: value for name, value in msgpack.unpackb(listener.recv(60)).items() if name != "image"})

        reading = threading.Thread(target=read, daemon=True)
        reading.start()
        before = resident(os.getpid())
        for n in range(1, 2001):
            publish("running", "a run", node=f"node {n}")
            publish("nodes", "a run", names=[f"node {n}"])
            publish("preview", "a run", node=f"node {n % 7}", image=picture)
            if n % 20 == 0:
                until(lambda: heard and max(one.get("node", "node 0") == f"node {n}" for one in heard[-60:]))
        publish("note", "a run", text="the end")
        reading.join(60)
        grown = resident(os.getpid()) - before
    assert [one["node"] for one in heard if one["type"] == "running"] == [f"node {n}" for n in range(1, 2001)]
    assert "lost" not in {one["type"] for one in heard} and sum(one["type"] == "preview" for one in heard) > 500
    print(f"\n{grown / MB:.0f} MB more for 200 sockets that never read, {2000 * 40_000 / MB:.0f} MB of previews")
    assert grown < 80 * MB, "a deaf socket costs its buffer of 64 KB and one frame, and the places of 2,000 frames that all share"
    for sock in deaf:
        sock.close()
    until(lambda: server.parts.hub.listening == 0)
    assert works(server)


def test_a_small_answer_is_sent_at_once_and_not_when_the_one_before_it_was_acknowledged():
    """Without TCP_NODELAY every second request of a connection takes 40 ms."""

    async def delay() -> int:
        found: list[int] = []
        bound = bind("127.0.0.1", 0)

        async def accept(reader, writer):
            found.append(writer.get_extra_info("socket").getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY))
            writer.close()

        async with await asyncio.start_server(accept, sock=bound):
            reader, writer = await asyncio.open_connection(*bound.getsockname())
            await reader.read()
            writer.close()
        return found[0]

    assert asyncio.run(delay()) != 0


# ── the server's own process ────────────────────────────────────────────────────────────────────

TELLING = "import signal, sys; signal.signal(signal.SIGUSR1, lambda *_: print('modules:', *sorted(sys.modules), flush=True)); "


def test_the_servers_process_never_imports_torch_or_gradio(tmp_path):
    home = ServerProcess(tmp_path / "home", begin=TELLING + "import server_nodes; from flowmm.cli import main; main()").start()
    assert len(home.http.get("/api/nodes").json()["nodes"]) > 30
    id = home.submit(one("large", "text", seed=1))
    assert home.ended(id)["state"] == "done"
    graph = one("steps", seed=1)
    for path in ("/api/check", "/api/plan"):
        assert home.post(path, graph=graph).status_code == 200
    for path in (f"/api/runs/{id}/outputs/out", "/api/graphs", "/api/models", "/api/system", "/api/gallery", "/metrics", "/openapi.json"):
        assert home.http.get(path).status_code == 200, path
    os.kill(home.pid, signal.SIGUSR1)
    modules = until(lambda: re.search(r"modules: (.*)\n", home.log()))[1].split()
    assert "flowmm.server.desk" in modules
    assert not {"torch", "transformers", "diffusers", "gradio", "mcp"} & set(modules)
    home.stop()


def test_a_server_that_is_stopped_leaves_a_closed_journal_and_no_worker(home):
    home.start()
    assert home.ended(home.submit(one("steps", seed=5)))["state"] == "done"
    workers = home.children()
    with httpx.stream("GET", f"{home.url}/api/nodes", headers={"Authorization": f"Bearer {TOKEN}"}):
        home.stop()
    assert workers and not any(map(alive, workers))
    assert not Path(f"{home.home}/server/journal.sqlite-wal").exists(), "all of it is in the one file"
    journal = Journal(home.home / "server" / "journal.sqlite")
    assert journal.counts()["done"] == 1
    journal.close()
