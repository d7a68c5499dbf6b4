"""Forms: every saved graph as a gradio app, its components, its API for gradio's clients, its runs."""

from __future__ import annotations

import json
import time
from contextlib import contextmanager

import api_nodes as n
import gradio_client
import httpx
import numpy
import PIL.Image
import pytest
from gradio_client import handle_file
from running import Serving
from test_api import document

from flowmm import Graph


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
    made = gradio_client.Client(f"{server.url}/app/{name}/", headers={"Authorization": f"Bearer {server.token}"}, verbose=False)
    try:
        yield made
    finally:
        made.close()


def latest(server: Serving) -> dict:
    return server.http.get("/api/runs", params={"limit": 1}).json()[0]


def test_a_saved_graph_is_a_form_and_a_function_of_the_same_names(server):
    publish(server, "sums", sums())
    page = server.http.get("/app/sums/", headers={"Accept": "text/html"})
    assert page.status_code == 200 and "Sums" in page.text and "default-src 'self'" in page.headers["content-security-policy"]
    with client(server, "sums") as asked:
        assert asked.predict(a=20, b=22, api_name="/run") == 42
        assert asked.predict(api_name="/run") == 5, "what is left out has its default"
    run = latest(server)
    assert run["name"] == "sums" and run["source"] == "app" and run["state"] == "done"
