"""Forms: every saved graph as a gradio app, its components, its API for gradio's clients, its runs."""

from __future__ import annotations

import gc
import json
import time
from contextlib import contextmanager

import api_nodes as n
import gradio_client
import numpy
import PIL.Image
import pytest
from gradio_client import handle_file
from running import Serving
from test_api import document

from flowmm import Graph
from flowmm.server import forms


def publish(server: Serving, name: str, graph: Graph, **defaults) -> str:
    """Save a graph while the server runs; its etag."""
    made = document(graph.with_defaults(**defaults))
    before = server.http.get(f"/api/graphs/{name}")
    headers = {"If-Match": before.headers["etag"]} if before.status_code == 200 else {"If-None-Match": "*"}
    answer = server.http.put(f"/api/graphs/{name}", json=made, headers=headers)
    assert answer.status_code == 200, answer.text
    return answer.headers["etag"]


def sums(title: str = "Sums", **defaults) -> Graph:
    graph = Graph(title=title)
    a, b = graph.input("a", 2, help="The first."), graph.input("b", 3)
    with graph:
        graph.output(sum=n.add(a, b))
    return graph


def config(server: Serving, name: str) -> dict:
    answer = server.http.get(f"/app/{name}/config")
    assert answer.status_code == 200, answer.text
    return answer.json()


def components(server: Serving, name: str, interactive: bool = True) -> dict[str, dict]:
    """The form's inputs (else outputs) by the name they have for programs."""
    found = config(server, name)
    by_id = {one["id"]: one for one in found["components"]}
    run = next(one for one in found["dependencies"] if one["api_name"] == "run")
    info = server.http.get(f"/app/{name}/gradio_api/info").json()["named_endpoints"]["/run"]
    ids = run["inputs"] if interactive else run["outputs"]
    names = [one["parameter_name"] for one in info["parameters"]] if interactive else [by_id[i]["props"]["label"] for i in ids]
    return {name: by_id[i] for name, i in zip(names, ids)}


@contextmanager
def client(server: Serving, name: str):
    made = gradio_client.Client(f"{server.url}/app/{name}/", headers={"Authorization": f"Bearer {server.token}"}, verbose=False, httpx_kwargs={"timeout": 180})
    try:
        yield made
    finally:
        made.close()


def latest(server: Serving) -> dict:
    return (server.http.get("/api/runs", params={"limit": 1}).json() or [{"name": None, "state": None}])[0]


def test_a_saved_graph_is_a_form_and_a_function_of_the_same_names(server):
    publish(server, "sums", sums())
    page = server.http.get("/app/sums/", headers={"Accept": "text/html"})
    assert page.status_code == 200 and "Sums" in page.text and "default-src 'self'" in page.headers["content-security-policy"]
    with client(server, "sums") as asked:
        assert asked.predict(a=20, b=22, api_name="/run") == 42
        assert asked.predict(api_name="/run") == 5, "what is left out has its default"
    run = latest(server)
    assert run["name"] == "sums" and run["source"] == "app" and run["state"] == "done"


def picture(path, array):
    PIL.Image.fromarray(array).save(path)
    return str(path)


def gradient(height: int = 6, width: int = 8):
    return numpy.arange(height * width * 3, dtype="uint8").reshape(height, width, 3)


# ── what a form shows ───────────────────────────────────────────────────────────────────────────


def test_every_shipped_graph_has_a_form(server):
    for graph in server.http.get("/api/graphs").json():
        if not graph["own"]:
            page = server.http.get(f"/app/{graph['name']}/", headers={"Accept": "text/html"})
            assert page.status_code == 200, (graph["name"], page.text[:500])
            assert list(components(server, graph["name"])) == graph["inputs"]
            assert len(components(server, graph["name"], interactive=False)) == len(graph["outputs"])


def test_the_forms_of_matching_and_of_painting_have_the_right_components(server):
    match = components(server, "clip-match")
    assert {name: one["type"] for name, one in match.items()} == {"image": "gallery", "texts": "textbox", "model": "dropdown"}
    assert len(match["image"]["props"]["value"]) == 2 and match["texts"]["props"]["value"].splitlines()[0] == "a cyan square"
    assert match["texts"]["props"]["info"] == "What may be in the picture. One a line."
    assert match["model"]["props"]["choices"] == [["zoo:clip", "zoo:clip"]] and not match["model"]["props"]["allow_custom_value"]
    assert [one["type"] for one in components(server, "clip-match", interactive=False).values()] == ["dataframe", "dataframe"]

    paint = components(server, "text-to-image")
    kinds = {name: one["type"] for name, one in paint.items()}
    assert kinds == {"prompt": "textbox", "negative": "textbox", "seed": "number", "steps": "number", "guidance": "number", "width": "number",
                     "height": "number", "scheduler": "dropdown", "count": "slider", "model": "dropdown"}  # fmt: skip
    assert (paint["count"]["props"]["minimum"], paint["count"]["props"]["maximum"], paint["count"]["props"]["step"]) == (1, 64, 1)
    assert (paint["seed"]["props"]["precision"], paint["seed"]["props"]["maximum"]) == (0, 2**53 - 1)
    assert paint["steps"]["props"].get("value") is None and paint["steps"]["props"]["minimum"] == 1, "the model's own number of steps is a choice"
    assert ["euler", "euler"] in paint["scheduler"]["props"]["choices"] and "zoo:clip" not in dict(paint["model"]["props"]["choices"])
    assert list(components(server, "text-to-image", interactive=False).values())[0]["type"] == "gallery"
    assert components(server, "inpaint")["mask"]["type"] == "imageeditor"


def test_a_page_names_nothing_outside_this_server(server):
    page = server.http.get("/app/text-to-image/", headers={"Accept": "text/html"})
    policy = dict(part.split(" ", 1) for part in page.headers["content-security-policy"].split("; ") if " " in part)
    assert policy["default-src"] == "'self'" and "http" not in page.headers["content-security-policy"].replace("'self'", "")
    found = config(server, "text-to-image")
    assert found["analytics_enabled"] is False and not found.get("is_space") and not found.get("ssr_mode") and not found.get("share")


def test_forms_are_listed_with_title_and_reason(server):
    publish(server, "sums", sums("Sums & <more>"))
    page = server.http.get("/app/")
    assert page.status_code == 200 and '<a href="sums/">Sums &amp; &lt;more&gt;</a>' in page.text and "text-to-image" in page.text
    assert server.http.get("/app/sums", follow_redirects=False).headers["location"].endswith("/app/sums/")
    assert server.http.get("/app/nothing").json()["error"]["code"] == server.http.get("/app/nothing/").json()["error"]["code"] == "no-graph"


def test_a_form_follows_its_graph_while_the_server_runs(server):
    publish(server, "growing", sums("Before"))
    assert config(server, "growing")["title"] == "Before"
    etag = publish(server, "growing", sums("After"), a=40)
    assert config(server, "growing")["title"] == "After"
    with client(server, "growing") as asked:
        assert asked.predict(api_name="/run") == 43
    assert server.http.delete("/api/graphs/growing", headers={"If-Match": etag}).status_code == 200
    assert server.http.get("/app/growing/").status_code == server.http.get("/app/growing/config").status_code == 404


def test_a_graph_that_cannot_run_says_why_instead_of_a_form(server):
    server.http.put("/api/graphs/odd", headers={"If-None-Match": "*"}, json={
        "flowmm": 1, "nodes": {"x": {"op": "no.such", "version": 1, "in": {}}}, "outputs": {"y": {"from": "x.y"}}})  # fmt: skip
    answer = server.http.get("/app/odd/")
    assert answer.status_code == 422 and answer.json()["error"]["code"] == "unknown-op"


def test_names_with_spaces_and_other_scripts_in_titles_have_forms(server):
    publish(server, "my own graph", sums("图片"))
    assert "图片" in server.http.get("/app/my%20own%20graph/", headers={"Accept": "text/html"}).text
    assert config(server, "my own graph")["root"].endswith("/app/my%20own%20graph")


# ── what comes and goes ─────────────────────────────────────────────────────────────────────────


def test_pictures_come_in_and_go_out_to_the_last_bit(server, tmp_path):
    graph = Graph(title="Mirror")
    image = graph.input("image")
    with graph:
        graph.output(mirrored=n.mirrored(image), what=n.dtype(image))
    publish(server, "mirror", graph)
    given = gradient()
    with client(server, "mirror") as asked:
        gallery, what = asked.predict(image=handle_file(picture(tmp_path / "given.png", given)), api_name="/run")
    assert what == "uint8 [1, 3, 6, 8]"
    got = PIL.Image.open(gallery[0]["image"])
    assert (numpy.asarray(got) == given[:, ::-1]).all() and "flowmm" in got.text, "a picture carries the graph that made it"
    folder = server.parts.uploads.folder
    assert [path for path in folder.rglob("*") if path.is_file() and path.parent != folder] == [], "gradio keeps no copies of its own"


def test_several_pictures_are_a_list_and_several_lines_a_list(server, tmp_path):
    graph = Graph(title="Several")
    images, lines, numbers = graph.input("images"), graph.input("lines", ["one", "three"]), graph.input("numbers", [1, 2])
    with graph:
        graph.output(sizes=n.sizes(images), lengths=n.lengths(lines), total=n.total(numbers))
    publish(server, "several", graph)
    files = [picture(tmp_path / "a.png", gradient()), picture(tmp_path / "b.png", gradient(3, 5))]
    with client(server, "several") as asked:
        given = [{"image": handle_file(path), "caption": None} for path in files]
        assert asked.predict(images=given, api_name="/run") == ([8006, 5003], [3, 5], 3)
        assert asked.predict(images=given[:1], lines="a\n\nbb\nccc", numbers="4\n5", api_name="/run") == ([8006], [1, 2, 3], 9)
        with pytest.raises(gradio_client.exceptions.AppError, match="a line is no number"):
            asked.predict(images=given, numbers="four", api_name="/run")


def test_a_mask_is_what_was_painted_or_a_picture_of_it(server, tmp_path):
    graph = Graph(title="Covered")
    mask = graph.input("mask")
    with graph:
        graph.output(share=n.covered(mask))
    publish(server, "covered", graph)
    strokes = numpy.zeros((4, 4, 4), "uint8")
    strokes[:2] = 255
    plain = numpy.zeros((4, 4), "uint8")
    plain[0] = 255
    layer, ground = picture(tmp_path / "layer.png", strokes), picture(tmp_path / "ground.png", plain)
    with client(server, "covered") as asked:
        painted = {"background": handle_file(ground), "layers": [handle_file(layer)], "composite": None}
        assert asked.predict(mask=painted, api_name="/run") == 0.5
        assert asked.predict(mask={"background": handle_file(ground), "layers": [], "composite": None}, api_name="/run") == 0.25

        # As the page's painter does: the layers go ahead, and the run names them by an id.
        painter = components(server, "covered")["mask"]["id"]
        fields = {"component_id": str(painter), "fn_name": "accept_blobs", "session_hash": "s", "id": "drawn", "type": "layer", "index": "0"}
        with open(layer, "rb") as file:
            sent = server.http.post("/app/covered/gradio_api/component_server/", data=fields, files={"file": ("layer_0.png", file)})
        assert sent.status_code == 200, sent.text
        assert asked.predict(mask={"id": "drawn"}, api_name="/run") == 0.5
        with pytest.raises(gradio_client.exceptions.AppError, match="no longer here"):
            asked.predict(mask={"id": "another"}, api_name="/run")


def test_every_kind_of_value_is_shown(server):
    graph = Graph(title="Kinds")
    seed = graph.input("seed", 3)
    with graph:
        made = n.kinds(seed)
        graph.output(**{name: getattr(made, name) for name in n.Kinds._fields})
    publish(server, "kinds", graph)
    with client(server, "kinds") as asked:
        got = dict(zip(n.Kinds._fields, asked.predict(api_name="/run")))
    assert got["whole"] == 3 and got["huge"] == str(2**200 + 3) and got["number"] == pytest.approx(3 / 7) and got["flag"] is False and got["text"] == "3 ü 文字"
    assert got["numbers"] == [3, 2, 3] and got["texts"] == "one\ntwo"
    assert got["score"]["headers"] == ["", "x", "y", "z"] and [row[0] for row in got["score"]["data"]] == ["a", "b"]
    assert got["labels"] == {"label": "cat", "confidences": [{"label": "cat", "confidence": 0.75}, {"label": "dog", "confidence": 0.25}]}
    assert [len(got[name]) for name in ("image", "batch", "floats", "mask", "pictures")] == [1, 3, 1, 1, 3]


# ── how it goes ─────────────────────────────────────────────────────────────────────────────────


def events(server: Serving, name: str, *data, session: str = "page", until: str = "process_completed", page: bool = True):
    """Run a form as its page does; the messages that come, until the one named."""
    deps = config(server, name)["dependencies"]
    fn = next(i for i, one in enumerate(deps) if (one["api_name"] == "run") != page and one["backend_fn"] and one["inputs"])
    joined = server.http.post(f"/app/{name}/gradio_api/queue/join", json={"data": list(data), "fn_index": deps[fn]["id"], "session_hash": session})
    assert joined.status_code == 200, joined.text
    found = []
    with server.http.stream("GET", f"/app/{name}/gradio_api/queue/data", params={"session_hash": session}) as stream:
        for line in stream.iter_lines():
            if line.startswith("data:"):
                found.append(json.loads(line[5:]))
                if found[-1]["msg"] == until:
                    return found
    raise AssertionError(f"no {until} among {[one['msg'] for one in found]}")


def test_a_page_sees_previews_and_growing_text_on_the_way(server):
    graph = Graph(title="Drawing")
    steps, words = graph.input("steps", 4), graph.input("words", ["a", "<b>", "c"])
    with graph:
        graph.output(image=n.sketch(steps), text=n.write(words))
    publish(server, "drawing", graph)
    found = events(server, "drawing", 4, "a\n<b>\nc")
    text = json.dumps([one["output"] for one in found if one["msg"] == "process_generating"])
    assert "data:image/jpeg;base64," in text and "a &lt;b&gt;" in text
    last = found[-1]["output"]["data"]
    assert last[1] == "a <b> c" and last[0][0]["image"]["url"].startswith(server.url) and last[2]["visible"] is False
    assert any(one["msg"] == "progress" and one["progress_data"][0]["length"] for one in found)


def test_what_is_wrong_is_one_sentence_and_no_traceback(server):
    publish(server, "sums", sums())
    graph = Graph(title="Picky")
    a = graph.input("a", 2)
    with graph:
        graph.output(b=n.picky(a))
    publish(server, "picky", graph)
    with client(server, "picky") as asked, pytest.raises(gradio_client.exceptions.AppError) as failed:
        asked.predict(a=7, api_name="/run")
    assert "7 is not a number this node likes" in str(failed.value) and "Traceback" not in str(failed.value)
    with client(server, "sums") as asked, pytest.raises(gradio_client.exceptions.AppError, match="the input `a`.*whole number"):
        asked.predict(a="seven", api_name="/run")


def waiting(server: Serving, tmp_path, name: str) -> list:
    graph = Graph(title="Waiting")
    names = [graph.input(one, default) for one, default in (("began", ""), ("end", ""), ("number", 1))]
    with graph:
        graph.output(number=n.wait_for(*names))
    publish(server, name, graph)
    return [str(tmp_path / f"{name}-began"), str(tmp_path / f"{name}-end"), 1]


def until(condition) -> None:
    end = time.monotonic() + 180
    while not condition():
        assert time.monotonic() < end, "it never happened"
        time.sleep(0.02)


@pytest.mark.parametrize("page", [True, False], ids=["page", "program"])
def test_whoever_leaves_cancels_the_run(server, tmp_path, page):
    name = "left" if page else "left-program"
    data = waiting(server, tmp_path, name)
    events(server, name, *data, until="process_starts", page=page, session=f"leaving-{page}")  # before or after it was submitted
    until(lambda: latest(server)["name"] == name and latest(server)["state"] == "cancelled")


def test_whoever_left_and_came_back_has_a_run_again(server):
    publish(server, "sums", sums())
    events(server, "sums", 1, 2, session="again", until="process_starts")
    assert events(server, "sums", 3, 4, session="again")[-1]["output"]["data"][0] == 7


def test_a_stopped_run_is_cancelled(server, tmp_path):
    data = waiting(server, tmp_path, "stopped")
    with client(server, "stopped") as asked:
        job = asked.submit(*data, api_name="/run")
        until(lambda: latest(server)["name"] == "stopped" and latest(server)["state"] == "running")
        job.cancel()
        until(lambda: latest(server)["state"] == "cancelled")


def test_a_run_goes_on_while_its_graph_is_saved_anew(server, tmp_path):
    data = waiting(server, tmp_path, "replaced")
    with client(server, "replaced") as asked:
        job = asked.submit(*data, api_name="/run")
        until(lambda: latest(server)["name"] == "replaced" and latest(server)["state"] == "running")
        publish(server, "replaced", sums("Replaced"))
        assert config(server, "replaced")["title"] == "Replaced"
        (tmp_path / "replaced-end").touch()
        assert job.result(timeout=180) == 1


def test_a_form_that_nobody_uses_ends_and_is_made_again_when_asked_for(fresh_server, monkeypatch, tmp_path):
    others = [one for one in gc.get_objects() if isinstance(one, forms.Made)]
    monkeypatch.setattr(forms, "IDLE", 0.2)

    def living() -> int:
        return sum(isinstance(one, forms.Made) and one not in others and not one.living.done() for one in gc.get_objects())

    data = waiting(fresh_server, tmp_path, "slow")
    with client(fresh_server, "slow") as asked:
        until(lambda: living() == 0)
        job = asked.submit(*data, api_name="/run")
        until(lambda: latest(fresh_server)["state"] == "running")
        time.sleep(1)
        assert living() == 1, "it has a run"
        (tmp_path / "slow-end").touch()
        assert job.result(timeout=180) == 1


def test_curl_has_a_form_too(server):
    publish(server, "sums", sums())
    event = server.http.post("/app/sums/gradio_api/call/run", json={"data": [4, 5]}).json()["event_id"]
    answer = server.http.get(f"/app/sums/gradio_api/call/run/{event}")
    assert "event: complete\ndata: [9]" in answer.text


def test_models_that_are_not_here_are_refused_in_a_sentence(server):
    with client(server, "clip-match") as asked:
        for source in ("hf:someone/else", "/etc", "zoo:none"):
            with pytest.raises(gradio_client.exceptions.AppError):
                asked.predict(model=source, api_name="/run")
