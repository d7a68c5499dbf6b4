"""What can be known of a graph without running it, and of this server."""

from __future__ import annotations

import gzip
import hashlib
import json
import platform
from importlib import metadata
from typing import Any

from fastapi import APIRouter, Request, Response

from ... import __version__
from ...catalog import packs
from ...catalog.catalogue import catalogue
from ...catalog.reload import in_development, reload
from ...face.axes import spelled
from ...graph.problems import GraphError
from ...machine import device_model, total_memory
from ...models import shelf
from .. import asking
from ..fitting import fitting
from ..looking import look
from ..metrics import resident
from ..parts import Parts
from ..repairs import with_repairs
from .answers import Axis, Check, Compatible, Fitting, Looked, Loops, Model, Nodes, Plan, System
from .bodies import ERRORS, UNCHANGED, AxisRequest, CheckRequest, CompatibleRequest, FittingRequest, Json, LookRequest, NodeRequest, PlanRequest, body, takes


class Catalogue:
    """The node types as JSON, made once; in development again when a node was saved."""

    def __init__(self) -> None:
        self.generation = packs.generation()
        self.data = json.dumps(catalogue(), ensure_ascii=False, separators=(",", ":")).encode()
        self.packed = gzip.compress(self.data)
        self.etag = f'"{hashlib.sha256(self.data).hexdigest()[:32]}"'

    def now(self) -> Catalogue:
        """As it is now."""
        if in_development():
            reload()
        return self if self.generation == packs.generation() else Catalogue()


def router(parts: Parts) -> APIRouter:
    routes = APIRouter(prefix="/api", tags=["graphs"], responses={status: ERRORS[status] for status in (404, 406, 422)})
    made = [Catalogue()]

    @routes.get(
        "/nodes",
        response_model=Nodes,
        summary="Every node type: help, inputs with types, ranges and defaults, outputs",
        response_class=Json,
        responses={304: UNCHANGED},
    )
    def list_nodes(request: Request) -> Response:
        nodes = made[0] = made[0].now()
        headers = {"ETag": nodes.etag, "Cache-Control": "no-cache", "Vary": "Accept-Encoding"}
        if nodes.etag in request.headers.get("if-none-match", ""):
            return Response(status_code=304, headers=headers)
        if "gzip" in request.headers.get("accept-encoding", ""):
            return Response(nodes.packed, media_type="application/json", headers=headers | {"Content-Encoding": "gzip"})
        return Response(nodes.data, media_type="application/json", headers=headers)

    @routes.post(
        "/check",
        response_model=Check,
        summary="A graph's problems, typed edges with predicted shapes, inputs, outputs, memory",
        openapi_extra=takes(CheckRequest),
    )
    def check(asked: CheckRequest = body(CheckRequest)) -> Json:
        graph, _ = parts.library.open(asked.graph, asked.name)
        cells, wrong = [{}], []
        try:
            _, cells = parts.library.cells(graph, asked.axes, asked.combine)
        except GraphError as error:
            wrong = error.problems
        inputs, lost = parts.library.readable(graph, {**asked.inputs, **cells[0]})
        found = asking.check(graph, inputs)
        problems = [problem.as_json() for problem in (*wrong, *lost)] + with_repairs(graph, inputs, found["problems"])
        return Json(found | {"problems": problems, "cells": len(cells)})

    @routes.post(
        "/compatible",
        response_model=Compatible,
        summary="What a wire from this port may lead to, in the graph and among node types",
        openapi_extra=takes(CompatibleRequest),
    )
    def compatible(asked: CompatibleRequest = body(CompatibleRequest)) -> Json:
        graph, _ = parts.library.open(asked.graph, asked.name)
        return Json(asking.compatible(graph, asked.node, asked.port, asked.side))

    @routes.post(
        "/loops", response_model=Loops, summary="What a node may carry from round to round, and what may end it", openapi_extra=takes(NodeRequest)
    )
    def loops(asked: NodeRequest = body(NodeRequest)) -> Json:
        graph, _ = parts.library.open(asked.graph, asked.name)
        return Json(asking.loops(graph, asked.node))

    @routes.post(
        "/axis", response_model=Axis, summary="The values that words stand for: 0..7, 0..1..0.25, a,b,c, or one a line", openapi_extra=takes(AxisRequest)
    )
    def axis(asked: AxisRequest = body(AxisRequest)) -> Json:
        try:
            return Json({"values": spelled(asked.name, asked.text, lists=asked.lists, texts=asked.texts), "problem": ""})
        except GraphError as error:  # of words that somebody is still writing
            return Json({"values": [], "problem": str(error)})

    @routes.post(
        "/plan", response_model=Plan, summary="What a run, or the first of a sweep, would do: nodes cached or to run, memory, models here or missing", openapi_extra=takes(PlanRequest)
    )
    def plan(asked: PlanRequest = body(PlanRequest)) -> Json:
        graph, _ = parts.library.open(asked.graph, asked.name)
        _, (first, *_) = parts.library.cells(graph, asked.axes, asked.combine)
        inputs = parts.library.inputs(graph, {**asked.inputs, **first})
        found = asking.plan(graph, inputs, asked.targets, parts.desk.runtime())
        return Json(found | {"problems": with_repairs(graph, inputs, found["problems"])})

    @routes.post(
        "/look", response_model=Looked, summary="The value on a wire, where it is here without running anything", openapi_extra=takes(LookRequest)
    )
    def look_at(asked: LookRequest = body(LookRequest)) -> Json:
        graph, _ = parts.library.open(asked.graph, asked.name)
        return Json(look(graph, parts.library.inputs(graph, asked.inputs), asked.edge, asked.item, parts.desk.runtime()))

    @routes.post(
        "/fitting", response_model=Fitting, summary="The models that are here, and which of them fit this input of a graph", openapi_extra=takes(FittingRequest)
    )
    def fit(asked: FittingRequest = body(FittingRequest)) -> Json:
        graph, _ = parts.library.open(asked.graph, asked.name)
        return Json(fitting(graph, asked.node, asked.port, parts.library.inputs(graph, asked.inputs)))

    @routes.get("/models", response_model=list[Model], summary="The models that are here: embedded, pulled, converted", tags=["system"])
    def models() -> Json:
        return Json([{"name": one.name, "kind": one.kind, "class": one.cls, "bytes": one.bytes, "licence": one.licence} for one in shelf.entries()])

    @routes.get("/system", response_model=System, summary="Devices, memory, cache, queue, versions", tags=["system"])
    def system() -> Json:
        return Json(_system(parts))

    return routes


def _system(parts: Parts) -> dict[str, Any]:
    devices = []
    for device in parts.settings.devices:
        runtime = parts.desk.runtimes.get(device)
        pid = runtime.worker.pid if runtime else None
        devices.append({
            "name": device, "model": device_model(device), "dtype": parts.settings.dtype, "worker": pid, "resident": resident(pid) if pid else 0,
            "cached": runtime.memory.stats() if runtime else None,
        })  # fmt: skip
    disk = parts.desk.runtime().disk
    cache = {name: value for name, value in disk.stats().items() if name != "folder"} if disk else None
    values, size = parts.results.size()
    versions = {"flowmm": __version__, "python": platform.python_version()}
    for name in ("torch", "transformers", "diffusers"):
        versions[name] = metadata.version(name)
    return {
        "versions": versions, "devices": devices, "memory": total_memory(), "cache": cache, "results": {"values": values, "bytes": size},
        "runs": parts.journal.counts(), "listeners": parts.hub.listening, "epoch": parts.hub.epoch,
    }  # fmt: skip
