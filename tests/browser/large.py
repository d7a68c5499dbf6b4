"""Graphs as large as they get: text to image many times over, five nodes each, side by side."""

from __future__ import annotations

from typing import Any

WIDE, COLUMNS, HIGH = 290, 10, 640  # px from node to node; copies in a row; px from row to row


def large(nodes: int, laid_out: bool = True) -> dict[str, Any]:
    """A valid graph of about so many nodes, its wires short; laid_out: with a place for each, as a saved graph has."""
    made: dict[str, Any] = {}
    places: dict[str, list[int]] = {":inputs": [-400, 0], ":outputs": [COLUMNS * WIDE * 4, 0]}
    for i in range(nodes // 5):
        text, parts, words, paint, pixels = (f"{name}_{i}" for name in ("text", "parts", "words", "paint", "pixels"))
        left, top = (i % COLUMNS) * WIDE * 4, (i // COLUMNS) * HIGH
        made |= {
            text: {"op": "text.lines", "version": 1, "in": {"text": "a red circle"}},
            parts: {"op": "diffusion.load", "version": 1, "in": {"source": {"from": "input.model"} if i == 0 else "zoo:sd"}},
            words: {"op": "diffusion.encode_prompt", "version": 1, "in": {
                "tokenizer": {"from": f"{parts}.tokenizer"}, "encoder": {"from": f"{parts}.text_encoder"}, "text": {"from": f"{text}.text"}}},
            paint: {"op": "diffusion.sample", "version": 1, "in": {
                "denoiser": {"from": f"{parts}.denoiser"}, "schedule": {"from": f"{parts}.schedule"},
                "positive": {"from": f"{words}.conditioning"}, "seed": i}},
            pixels: {"op": "diffusion.decode", "version": 1, "in": {"autoencoder": {"from": f"{parts}.autoencoder"}, "latent": {"from": f"{paint}.latent"}}},
        }  # fmt: skip
        places |= {text: [left, top], parts: [left, top + 200], words: [left + WIDE, top], paint: [left + 2 * WIDE, top], pixels: [left + 3 * WIDE, top]}
    graph = {"flowmm": 1, "title": f"{len(made):,} nodes", "nodes": made}
    graph |= {"inputs": {"model": {"default": "zoo:sd"}}, "outputs": {"image": {"from": "pixels_0.image"}}}
    return graph | ({"layout": {"nodes": places}} if laid_out else {})
