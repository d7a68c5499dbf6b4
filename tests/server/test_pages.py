"""The editor's pages: one document for each of its addresses, parts that may be kept for ever, a policy that lets nothing out."""

from __future__ import annotations

import httpx
import pytest
from fastapi import FastAPI
from running import TOKEN
from starlette.testclient import TestClient

from flowmm.server import pages

INDEX = '<!doctype html><script type="module" src="/parts/index-1.js"></script>'


@pytest.fixture
def built(tmp_path, monkeypatch):
    (tmp_path / "parts").mkdir()
    (tmp_path / "index.html").write_text(INDEX)
    (tmp_path / "icon.svg").write_text("<svg/>")
    (tmp_path / "parts" / "index-1.js").write_text("1")
    (tmp_path / "secret").write_text("not a part")
    monkeypatch.setattr(pages, "FOLDERS", (tmp_path / "elsewhere", tmp_path))


def client() -> TestClient:
    app = FastAPI()
    pages.add_pages(app)
    return TestClient(app)


@pytest.mark.parametrize("path", ["/", "/edit", "/edit/text-to-image", "/edit/a%20name%2Fwith%20a%20slash"])
def test_every_address_of_the_editor_gives_its_one_document(built, path):
    answer = client().get(path)
    assert answer.status_code == 200 and answer.text == INDEX
    assert answer.headers["cache-control"] == "no-cache"  # the next version is seen at once


def test_the_policy_allows_our_scripts_and_our_server_alone(built):
    policy = dict(one.strip().split(" ", 1) for one in client().get("/").headers["content-security-policy"].split(";"))
    assert policy["default-src"] == "'self'" and policy["connect-src"] == "'self'" and policy["object-src"] == "'none'"
    assert "script-src" not in policy  # so it is default-src: no inline script, no eval
    assert "http" not in str(policy) and "*" not in str(policy)


def test_parts_may_be_kept_for_ever(built):
    answer = client().get("/parts/index-1.js")
    assert answer.text == "1" and "immutable" in answer.headers["cache-control"] and "javascript" in answer.headers["content-type"]


@pytest.mark.parametrize("path", ["/parts/index-0.js", "/parts/", "/parts/../secret", "/parts/%2e%2e/secret"])
def test_what_is_no_part_is_not_found(built, path):
    assert client().get(path).status_code == 404


def test_without_a_built_editor_the_page_says_how_to_build_it(tmp_path, monkeypatch):
    monkeypatch.setattr(pages, "FOLDERS", (tmp_path,))
    answer = client().get("/edit/text-to-image")
    assert answer.status_code == 200 and "web/bundle.py" in answer.text and "/app/" in answer.text
    assert client().get("/parts/index-1.js").status_code == 404


def test_nobody_sees_the_editor_without_the_token(server):
    assert httpx.get(server.url).status_code == 401
    assert httpx.get(server.url, headers={"Authorization": f"Bearer {TOKEN}"}).status_code == 200
