"""A hub on loopback: the routes that huggingface_hub asks for, with the faults a real one can have."""

from __future__ import annotations

import hashlib
import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import unquote, urlsplit


class StubHub:
    """repos: id → {commit: {file: bytes}}; refs: id → {name: commit}. asked: every request as (method, path, headers).

    gated: repositories whose files want the token "good". cut: file → bytes after which each answer is cut off, so long as
    `cuts` lasts. cdn: another server that the bytes of large files are to be fetched from, where they are `blobs`.
    lies: file → other bytes, sent in place of its own. down: a status answered to everything.
    """

    def __init__(self):
        self.repos: dict[str, dict[str, dict[str, bytes]]] = {}
        self.refs: dict[str, dict[str, str]] = {}
        self.gated: set[str] = set()
        self.licences: dict[str, str] = {}
        self.cut: dict[str, int] = {}
        self.cuts = 0
        self.lies: dict[str, bytes] = {}
        self.ranges = True
        self.down = 0
        self.cdn: StubHub | None = None
        self.blobs: dict[str, bytes] = {}
        self.stopped = False
        self.asked: list[tuple[str, str, dict]] = []
        hub = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self):
                hub.answer(self, body=True)

            def do_HEAD(self):
                hub.answer(self, body=False)

            def log_message(self, *_):
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self.server.server_port}"
        threading.Thread(target=self.server.serve_forever, args=(0.01,), daemon=True).start()

    def stop(self):
        self.stopped = True  # connections that are kept open get no answer either
        self.server.shutdown()
        self.server.server_close()

    def add(self, repo, files, revision="main", licence="mit"):
        """A commit of a repository; its hash."""
        commit = hashlib.sha1(repr((repo, revision, sorted(files.items()))).encode()).hexdigest()
        self.repos.setdefault(repo, {})[commit] = dict(files)
        self.refs.setdefault(repo, {})[revision] = commit
        self.licences[repo] = licence
        return commit

    def downloads(self):
        """The files whose bytes were asked for, in order."""
        return [path.split("/", 5)[-1] for method, path, _ in self.asked if method == "GET" and "/resolve/" in path]

    def answer(self, request, body):
        path = unquote(urlsplit(request.path).path)
        if self.stopped:
            request.close_connection = True
            return None
        self.asked.append((request.command, path, dict(request.headers)))
        if self.down:
            return self.send(request, self.down, {}, b"", body)
        if path in self.blobs:
            return self.send_bytes(request, "", self.blobs[path], {}, body)
        parts = path.strip("/").split("/")
        if parts[:2] == ["api", "models"] and len(parts) >= 6 and parts[4] == "revision":
            return self.model_info(request, "/".join(parts[2:4]), "/".join(parts[5:]), body)
        if len(parts) >= 5 and parts[2] == "resolve":
            return self.file(request, "/".join(parts[:2]), parts[3], "/".join(parts[4:]), body)
        return self.send(request, 404, {}, b"{}", body)

    def commit(self, repo, revision):
        return self.refs[repo].get(revision) or (revision if revision in self.repos[repo] else None)

    def refusal(self, request, repo, revision):
        """(status, error code) where the real hub would not answer."""
        if repo not in self.repos:
            return 401, "RepoNotFound"
        if self.commit(repo, revision) is None:
            return 404, "RevisionNotFound"
        return None

    def model_info(self, request, repo, revision, body):
        refused = self.refusal(request, repo, revision)
        if refused:
            return self.send(request, refused[0], {"X-Error-Code": refused[1]}, b"{}", body)
        commit = self.commit(repo, revision)
        siblings = []
        for name, data in self.repos[repo][commit].items():
            one = {"rfilename": name, "size": len(data), "blobId": git(data)}
            if is_large(name):
                one["lfs"] = {"sha256": hashlib.sha256(data).hexdigest(), "size": len(data), "pointerSize": 130}
            siblings.append(one)
        found = {"id": repo, "sha": commit, "siblings": siblings, "tags": [f"license:{self.licences[repo]}"], "cardData": {"license": self.licences[repo]},
                 "gated": "auto" if repo in self.gated else False, "private": False}  # fmt: skip
        self.send(request, 200, {"Content-Type": "application/json"}, json.dumps(found).encode(), body)

    def file(self, request, repo, revision, name, body):
        refused = self.refusal(request, repo, revision)
        if not refused and repo in self.gated and request.headers.get("authorization") != "Bearer good":
            refused = (403 if request.headers.get("authorization") else 401, "GatedRepo")
        if not refused and name not in self.repos[repo][self.commit(repo, revision)]:
            refused = 404, "EntryNotFound"
        if refused:
            return self.send(request, refused[0], {"X-Error-Code": refused[1]}, b"", body)
        data = self.repos[repo][self.commit(repo, revision)][name]
        headers = {"X-Repo-Commit": self.commit(repo, revision), "ETag": f'"{git(data)}"', "Accept-Ranges": "bytes"}
        if is_large(name):
            etag = f'"{hashlib.sha256(data).hexdigest()}"'
            headers |= {"X-Linked-Size": str(len(data)), "X-Linked-ETag": etag, "ETag": etag}
        if self.cdn is not None and is_large(name):
            place = f"/blobs/{hashlib.sha256(data).hexdigest()}"
            self.cdn.blobs[place] = data
            return self.send(request, 302, headers | {"Location": f"{self.cdn.url}{place}"}, b"", body)
        return self.send_bytes(request, name, self.lies.get(name, data), headers, body)

    def send_bytes(self, request, name, data, headers, body):
        start, status = 0, 200
        if self.ranges and (asked := request.headers.get("Range")):
            start, status = int(asked.removeprefix("bytes=").split("-")[0]), 206
            headers["Content-Range"] = f"bytes {start}-{len(data) - 1}/{len(data)}"
        keep = None
        if body and self.cuts and name in self.cut:
            self.cuts -= 1
            keep = max(self.cut[name] - start, 0)
        self.send(request, status, headers, data[start:], body, keep)

    def send(self, request, status, headers, data, body, keep=None):
        request.send_response(status)
        for name, value in {**headers, "Content-Length": str(len(data))}.items():
            request.send_header(name, value)
        request.end_headers()
        if body:
            request.wfile.write(data if keep is None else data[:keep])
            request.wfile.flush()
        if keep is not None:
            request.close_connection = True
            request.connection.shutdown(2)


def is_large(name):
    return name.endswith((".safetensors", ".bin", ".ckpt", ".pt"))


def git(data):
    return hashlib.sha1(b"blob %d\0" % len(data) + data).hexdigest()
