"""The API as its own document describes it: every operation, with data that fits and data that does not, answers as it is declared to."""

from __future__ import annotations

import itertools
import os
from collections import Counter
from collections.abc import Iterator
from copy import deepcopy
from typing import Any

import httpx
import pytest
import requests
import schemathesis
from hypothesis import HealthCheck, Phase, given, seed, settings
from odd_pictures import picture
from running import TOKEN
from schemathesis import GenerationMode
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi import checks

CASES = 300 if os.environ.get("FLOWMM_SOAK") else 12  # of each operation and kind
SEED = int(os.environ.get("FLOWMM_SEED", "1"))
SWEPT = {"flowmm": 1, "inputs": {"path": {}}, "nodes": {"one": {"op": "image.load", "in": {"path": {"from": "input.path"}}}}, "outputs": {"image": {"from": "one.image"}}}
GRAPH = {"flowmm": 1, "nodes": {"one": {"op": "image.load", "in": {"path": "examples/red-circle.png"}}}, "outputs": {"image": {"from": "one.image"}}}
CONFORMS = [not_a_server_error, checks.status_code_conformance, checks.content_type_conformance, checks.response_schema_conformance,
            checks.response_headers_conformance]  # fmt: skip
pytestmark = pytest.mark.timeout(0 if CASES > 100 else 300)


@pytest.fixture(scope="module")
def document(server) -> dict[str, Any]:
    return server.http.get("/openapi.json").json()


@pytest.fixture(scope="module")
def known(server) -> dict[str, dict[str, str]]:
    """What is there to be asked for, by the beginning of the paths that take it."""
    run = server.run(GRAPH)
    upload = server.http.post("/api/uploads", content=picture("PNG"), headers={"Content-Type": "image/png"}).json()["id"]
    etag = server.http.put("/api/graphs/mine", json=GRAPH, headers={"If-None-Match": "*"}).json()["etag"]
    server.http.put("/api/graphs/mine", json=GRAPH | {"title": "Second"}, headers={"If-Match": etag})
    server.http.put("/api/graphs/gone", json=GRAPH, headers={"If-None-Match": "*"})
    trash = server.http.delete("/api/graphs/gone", headers={"If-Match": server.http.get("/api/graphs/gone").headers["etag"]}).json()["trash"]
    sweep = server.post("/api/sweeps", graph=SWEPT, axes={"path": ["examples/red-circle.png", "examples/blue-star.png"]}).json()
    for cell in sweep["cells"]:
        server.ended(cell["run"])
    return {"/api/sweeps/{id}": {"id": sweep["id"]}, "/api/runs/{id}": {"id": run["id"], "name": "image"}, "/api/uploads/{id}": {"id": upload}, "/api/graphs/{name}": {"name": "mine", "etag": etag},
            "/api/values/{key}": {"key": run["outputs"]["image"]["key"]}, "/api/trash/{number}": {"number": trash}}  # fmt: skip


def kinds(operation: Any, known: dict[str, dict[str, str]]) -> Iterator[tuple[GenerationMode, dict[str, str] | None]]:
    """Fitting data and, where something can be wrong, data that does not fit; with any path, and with one that leads to something."""
    there = next((words for path, words in known.items() if operation.path.startswith(path)), None)
    paths = [None, {name: word for name, word in there.items() if f"{{{name}}}" in operation.path}] if there else [None]
    json = "application/json" in operation.definition.raw.get("requestBody", {}).get("content", {})
    wrong = json or any(one["in"] == "query" for one in operation.definition.raw.get("parameters", []))
    return itertools.product([GenerationMode.POSITIVE, *([GenerationMode.NEGATIVE] if wrong else [])], paths)


def test_every_operation_answers_as_its_document_says(server, document, known):
    found, seen = [], Counter()
    open_ = deepcopy(document)
    del open_["security"]  # else half of the data that is wrong were a wrong token
    operations = [one.ok() for one in schemathesis.openapi.from_dict(open_).get_all_operations()]
    with requests.Session() as session:
        for operation in sorted(operations, key=lambda one: one.method == "delete"):
            statuses: set[int] = set()
            for mode, path in kinds(operation, known):

                @seed(SEED)
                @settings(max_examples=CASES, deadline=None, database=None, suppress_health_check=list(HealthCheck), phases=[Phase.generate])
                @given(operation.as_strategy(generation_mode=mode, path_parameters=path))
                def ask(case):
                    answer = case.call(base_url=server.url, session=session, headers={"Authorization": f"Bearer {TOKEN}"}, timeout=60)
                    statuses.add(answer.status_code)
                    seen[answer.status_code] += 1
                    try:
                        case.validate_response(answer, checks=CONFORMS)
                    except BaseExceptionGroup as problems:
                        found.extend(f"{operation.method.upper()} {answer.request.url[:200]}: {one}" for one in problems.exceptions)

                ask()
            if operation.method == "get":
                assert min(statuses) < 300 or "/api/pictures" in operation.path, f"{operation.path} was never answered: {statuses}"
    print(f"\n{sum(seen.values()):,} requests to {len(operations)} operations:", dict(sorted(seen.items())))
    assert not found, "\n\n".join(found[:10])
    assert server.run(GRAPH | {"title": "afterwards"})["state"] == "done"


def test_the_document_knows_what_is_said_to_whoever_has_no_token(server, document):
    with httpx.Client(base_url=server.url) as nobody:
        for path, operations in document["paths"].items():
            for method, operation in operations.items():
                answer = nobody.request(method, path.replace("{", "").replace("}", ""), headers={"Content-Type": "application/json"})
                declared = operation["responses"][str(answer.status_code)]["content"]
                assert answer.status_code == 401 and answer.headers["content-type"] in declared, (method, path)
                assert declared["application/json"]["schema"] == {"$ref": "#/components/schemas/Refusal"}


@pytest.mark.parametrize("to", ["1", 1.0, True, None, 2**63, -1])
def test_a_place_in_the_queue_is_a_whole_number_and_nothing_like_one(server, known, to):
    answer = server.post(f"/api/runs/{known['/api/runs/{id}']['id']}/move", to=to)
    assert (answer.status_code, answer.json()["error"]["code"]) == (422, "bad-request")
