"""How tables show themselves in a notebook: plain HTML, readable on light and dark pages."""

from __future__ import annotations

from html import escape

from .values import numbered


def score_table(score) -> str:
    """A table whose cells are shaded by their value, the best of each column in bold; a single row stands upright."""
    if score.values.shape[0] == 1 and score.values.shape[1] > 1:
        score = type(score)(score.values.T, score.columns, score.rows)
    low, high = float(score.values.min()), float(score.values.max())
    columns = score.columns or numbered(score.values.shape[1])
    rows = score.rows or numbered(score.values.shape[0])
    head = "<tr><th></th>" + "".join(f"<th>{escape(c)}</th>" for c in columns) + "</tr>"
    body = []
    best = score.values.argmax(axis=0)
    for i, (name, row) in enumerate(zip(rows, score.values)):
        cells = []
        for j, x in enumerate(row):
            alpha = (float(x) - low) / (high - low or 1) * 0.6
            weight = "bold" if best[j] == i else "normal"
            cells.append(f'<td style="background:rgba(241,194,50,{alpha:.2f});font-weight:{weight}">{float(x):.3f}</td>')
        body.append(f'<tr><th style="text-align:left">{escape(name)}</th>{"".join(cells)}</tr>')
    return f"<table>{head}{''.join(body)}</table>"


def label_bars(labels) -> str:
    """One bar a label, as long as its probability."""
    rows = []
    for names, probabilities in zip(labels.names, labels.probabilities):
        for name, p in zip(names, probabilities):
            bar = f'<div style="background:#f1c232;height:0.8em;width:{float(p) * 200:.0f}px"></div>'
            rows.append(f'<tr><td style="text-align:left">{escape(name)}</td><td>{float(p):.1%}</td><td>{bar}</td></tr>')
        rows.append("<tr><td colspan=3></td></tr>")
    return f"<table>{''.join(rows[:-1])}</table>"


def heat_pictures(heat) -> str:
    """Each map as a small picture, dark where it is least."""
    import base64
    import io

    import numpy
    import PIL.Image

    from .colours import coloured, stretched

    shown = []
    for rgb in (coloured(stretched(heat.values)) * 255).round().astype(numpy.uint8):
        buffer = io.BytesIO()
        PIL.Image.fromarray(rgb.transpose(1, 2, 0)).save(buffer, "PNG")
        shown.append(f'<img style="height:256px;image-rendering:pixelated" src="data:image/png;base64,{base64.b64encode(buffer.getvalue()).decode()}">')
    return " ".join(shown)
