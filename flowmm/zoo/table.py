"""What the shipped models reach beside what is aimed at: measured, saved with the weights' digests, and printed as one table.

LINES says which figure of which recipe answers which aim. Figures lie in weights/measured.json, each with the sha256 of the weights it was
measured on; `text` makes the table from them, so that printing it again measures nothing. They take hours, so the file may hold a part of the
pack: the rows of the others say so.
"""

from __future__ import annotations

import hashlib
import json
import os
import statistics
import time
from pathlib import Path
from typing import NamedTuple

from flowmm.zoo import WEIGHTS
from flowmm.zoo.recipes import RECIPES, recipe

SAVED = WEIGHTS / "measured.json"
BEGIN, END = "<!-- python -m flowmm.zoo table -->\n", "<!-- end of the table -->\n"
NOTE = """
Shares are means over seeds, ± their standard deviation; draws: seeds × draws of each. Pictures are read from their pixels by an exact judge;
judge: the share of true pictures it accepts itself, and of those told with one thing wrong, at worst. exact: the truth is known, and no judge is
asked. Pairs of colour and shape never shown are composition; 80 % is aimed at where words lead. seconds: of the saved graph with its defaults,
warm, on two CPU cores.
"""
SECONDS = 2.0  # aimed at, for every graph
THREADS = 2  # of a graph whose seconds are taken


class Line(NamedTuple):
    """A row. aim: the least share, 0 where none was set; reached, unseen: names of figures of `recipe`, unseen being those of held-out pairs.

    graph: the saved graph whose seconds stand in the row. judged: which true pictures the judge is shown for its own score; without, truth is
    known exactly and no judge is asked.
    """

    system: str
    figure: str
    aim: float
    recipe: str
    reached: str
    graph: str
    judged: str = ""
    unseen: str = ""


LINES = (
    Line("CLIP", "zero-shot colour × shape", 0.98, "clip", "zero-shot 48-way, trained pairs", "clip-zero-shot", unseen="zero-shot 48-way, held-out pairs"),
    Line("", "swapped-caption pairs told apart", 0.95, "clip", "right binding chosen", "clip-match"),
    Line("", "R@1 of 64, picture to text", 0.95, "clip", "retrieval R@1 of 64, picture to text", "clip-match"),
    Line("", "R@1 of 64, text to picture", 0.95, "clip", "retrieval R@1 of 64, text to picture", "clip-search"),
    Line("", "zero-shot in Chinese", 0, "clip", "Chinese: zero-shot 48-way, trained pairs", "clip-zero-shot"),
    Line("", "relation told apart in Chinese (of 4)", 0, "clip", "Chinese: right relation chosen", "clip-match"),
    Line("ViT", "top-1 colour × shape", 0.99, "vit", "trained pairs: top-1", "vit-classify", unseen="held-out pairs: top-1"),
    Line("BLIP", "caption is the scene, one thing", 0.95, "blip", "single: all told, all true", "caption", unseen="single, held out: all told, all true"),
    Line("", "caption is the scene, two", 0.95, "blip", "pair: all told, all true", "caption", unseen="pair, held out: all told, all true"),
    Line("", "answer exact, one thing", 0.97, "blip_vqa", "single: right", "ask", unseen="single, held out: right"),
    Line("", "answer exact, two", 0.97, "blip_vqa", "pair: right", "ask", unseen="pair, held out: right"),
    Line("", "matching, one thing", 0.97, "blip_match", "single: verdicts right (ITM)", "image-text-matching", unseen="single, held out: verdicts right (ITM)"),
    Line("", "matching, two", 0.97, "blip_match", "pair: verdicts right (ITM)", "image-text-matching", unseen="pair, held out: verdicts right (ITM)"),
    Line("BLIP-2", "caption is the scene, one thing", 0.95, "blip2", "caption, single: all told, all true", "caption",
         unseen="caption, single, held out: all told, all true"),
    Line("", "caption is the scene, two", 0.95, "blip2", "caption, pair: all told, all true", "caption", unseen="caption, pair, held out: all told, all true"),
    Line("", "answer exact, one thing", 0.97, "blip2", "single: right", "ask", unseen="single, held out: right"),
    Line("", "answer exact, two", 0.97, "blip2", "pair: right", "ask", unseen="pair, held out: right"),
    Line("", "matching, one thing", 0.97, "blip2_match", "single: verdicts right (ITM)", "image-text-matching",
         unseen="single, held out: verdicts right (ITM)"),
    Line("", "matching, two", 0.97, "blip2_match", "pair: verdicts right (ITM)", "image-text-matching", unseen="pair, held out: verdicts right (ITM)"),
    Line("Stable Diffusion", "one object", 0.98, "sd", "trained pairs: size and background too, where told", "text-to-image", "single",
         "held-out pairs: size and background too, where told"),
    Line("", "two objects with relation", 0.90, "sd", "two things: all right", "text-to-image", "pair", "two things, one of them held out: all right"),
    Line("", "one object, in Chinese", 0, "sd", "Chinese, one thing: all right", "text-to-image", "single"),
    Line("", "two objects with relation, in Chinese", 0, "sd", "Chinese, two things: all right", "text-to-image", "pair"),
    Line("", "inpainting, one object: right inside, unchanged outside", 0.95, "sd", "inpainting, one thing: right and unchanged outside", "inpaint", "single"),
    Line("", "inpainting, one of two", 0.95, "sd", "inpainting, one of two: right and unchanged outside", "inpaint", "pair"),
    Line("", "image to image, background told", 0, "sd", "image to image, background told: right", "image-to-image", "single"),
    Line("", "image to image, background not told", 0, "sd", "image to image, background not told: right", "image-to-image", "single"),
    Line("DiT", "class right", 0.98, "dit", "trained pairs: class right", "class-to-image", "single", "held-out pairs: class right"),
    Line("DALL-E 1", "one object", 0.90, "dalle1", "one thing, trained pairs", "text-to-image-codes", "single", "one thing, held-out pairs"),
    Line("", "one object, best of 8 by CLIP", 0.97, "dalle1", "one thing, the best of 8 by CLIP", "dalle1", "single",
         "one thing, held out, the best of 8 by CLIP"),
    Line("DALL-E 2", "one object", 0.90, "dalle2", "one thing, trained pairs", "dalle2", "single", "one thing, held-out pairs"),
    Line("", "one object, best of 8 by CLIP", 0.97, "dalle2", "one thing, the best of 8 by CLIP", "dalle2", "single"),
    Line("Janus", "answer exact, one thing", 0.95, "janus", "answers, single: right", "ask", unseen="answers, single, held out: right"),
    Line("", "answer exact, two", 0.95, "janus", "answers, pair: right", "ask", unseen="answers, pair, held out: right"),
    Line("", "one object drawn", 0.90, "janus", "drawn, one thing, trained pairs", "text-to-image-codes", "single", "drawn, one thing, held-out pairs"),
    Line("UniToken", "answer exact, one thing", 0.95, "unitoken", "answers, single: right", "ask", unseen="answers, single, held out: right"),
    Line("", "answer exact, two", 0.95, "unitoken", "answers, pair: right", "ask", unseen="answers, pair, held out: right"),
    Line("", "one object drawn", 0.90, "unitoken", "drawn, one thing, trained pairs", "text-to-image-codes", "single", "drawn, one thing, held-out pairs"),
    Line("Style transfer", "outline reached and content kept", 0.90, "style", "style reached and content kept", "style-transfer", "styled",
         "never shown: style reached and content kept"),
    Line("ControlNet", "the outline's thing in its place, in the colour told", 0, "control", "one thing, named: right and in place", "control", "single",
         "one thing, never shown: right and in place"),
    Line("Editing", "what was told is changed, the rest kept", 0, "edit", "edit done and the rest kept", "edit", "single", "never shown"),
)  # fmt: skip


# --- measuring -----------------------------------------------------------------------------------------------------


def weights_of(name: str) -> list[Path]:
    """The shipped folders a recipe's figures depend on: its own, and those it is measured with."""
    return [WEIGHTS / folder for folder in (RECIPES[name].shipped, *RECIPES[name].beside)]


def shipped(name: str) -> bool:
    """Whether the pack has a recipe's model, and all that it is measured with."""
    return name in RECIPES and all((folder / "config.json").is_file() or (folder / "flowmm.json").is_file() for folder in weights_of(name))


def digest(folders: list[Path]) -> str:
    """sha256 over the names and bytes of all files in folders; of flowmm.json what a graph reads, not what people do."""
    found = hashlib.sha256()
    for folder in folders:
        for path in sorted(path for path in folder.rglob("*") if path.is_file()):
            data = path.read_bytes()
            if path.name == "flowmm.json":
                card = json.loads(data)
                data = json.dumps({key: card[key] for key in sorted(card) if key not in ("about", "licence", "recipe")}).encode()
            found.update(f"{path.relative_to(folder).as_posix()} {len(data)}\n".encode() + data)
    return found.hexdigest()


def measure(name: str, n: int, seeds: int, folder: Path | None = None) -> dict:
    """A recipe's figures from the shipped folder or another, or the judge's own as "judge": {"n", "figures": {name: [a value a seed]}}."""
    if name == "judge":
        from flowmm.zoo.check import measure_judge

        drawn = [measure_judge(n, 11 + seed) for seed in range(seeds)]
    else:
        module, where = recipe(name), folder or WEIGHTS / RECIPES[name].shipped
        drawn = [module.measure(where, n, seed) for seed in range(seeds)]
    return {"n": n, "figures": {figure: [round(float(one[figure]), 5) for one in drawn] for figure in drawn[0]}}


def record(name: str, n: int, seeds: int) -> dict:
    """What is saved of a shipped model: its digest and its figures. Of the judge the figures alone."""
    return ({} if name == "judge" else {"weights": digest(weights_of(name))}) | measure(name, n, seeds)


def graphs() -> list[str]:
    """The shipped graphs whose models are all in the pack, by name."""
    import flowmm
    from flowmm.face.find import shipped as folder

    loaded = [flowmm.load(path) for path in sorted(folder().glob("*.json"))]
    return [graph.path.stem for graph in loaded if all((WEIGHTS / name / "flowmm.json").is_file() for name in models_of(graph))]


def models_of(graph) -> list[str]:
    """The names of the pack's models that a graph asks for when it is just run."""
    defaults = [given.default for given in graph.inputs.values()]
    return [value.removeprefix("zoo:") for value in defaults if isinstance(value, str) and value.startswith("zoo:")]


def time_graphs() -> dict[str, float]:
    """Seconds of every graph of `graphs` with its own models, by its name, and of each row's graph with each row's model, by `label`."""
    import flowmm

    taken = {name: seconds(name) for name in graphs()}
    for line in LINES:
        key, model = label(line), RECIPES[line.recipe].shipped
        if key not in taken and line.graph in taken:
            own = model in models_of(flowmm.load(line.graph))
            taken[key] = taken[line.graph] if own else seconds(line.graph, model)
    return taken


def label(line: Line) -> str:
    """What the seconds of a row are kept under."""
    return f"{line.graph} on {line.recipe}"


def seconds(name: str, model: str = "", runs: int = 5) -> float:
    """Median seconds of a saved graph with its defaults, maybe on another model, warm, on two threads.

    Warm: the weights are loaded, but no value is kept from the run before.
    """
    import flowmm

    graph, runtime = flowmm.load(name), flowmm.Runtime("cpu", cache=None, threads=THREADS, memory_budget=1)
    inputs = {"model": f"zoo:{model}"} if model else {}
    taken = []
    for _ in range(runs + 1):
        started = time.perf_counter()
        graph.run(inputs, runtime=runtime)
        taken.append(time.perf_counter() - started)
    runtime.close()
    return round(statistics.median(taken[1:]), 4)


# --- what was saved ------------------------------------------------------------------------------------------------


def saved() -> dict:
    """All saved figures by recipe, with "judge" and, in seconds by name, "graphs"; empty when nothing was saved yet."""
    return json.loads(SAVED.read_text(encoding="utf-8")) if SAVED.is_file() else {}


def save(name: str, found: dict) -> None:
    """Keep what was measured, beside what was."""
    whole = dict(sorted((saved() | {name: found}).items()))
    SAVED.with_suffix(".part").write_text(json.dumps(whole, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    os.replace(SAVED.with_suffix(".part"), SAVED)


def stale() -> list[str]:
    """What of the pack was measured on other weights than it has now."""
    kept = saved()
    return [name for name in RECIPES if shipped(name) and name in kept and kept[name]["weights"] != digest(weights_of(name))]


# --- the table -----------------------------------------------------------------------------------------------------


def text(kept: dict) -> str:
    """The table in Markdown and how to read it, from saved figures."""
    rows = ["| system | figure | aim | reached | pairs never shown | draws | judge | seconds |", "|---|---|---|---|---|---|---|---|"]
    for line in LINES:
        found = kept.get(line.recipe)
        if found is None:
            cells = ("not measured yet", "", "", "", took(kept, line))
        else:
            figures = found["figures"]
            unseen = share(figures[line.unseen]) if line.unseen else ""
            draws = f"{len(figures[line.reached])} × {found['n']}"
            cells = (share(figures[line.reached]), unseen, draws, judged(kept, line.judged), took(kept, line))
        rows.append(f"| {' | '.join((line.system, line.figure, f'≥ {100 * line.aim:.0f} %' if line.aim else '–', *cells))} |")
    taken = kept.get("graphs", {})
    if taken:
        slowest, many = max(taken, key=taken.get), sum(" on " not in key for key in taken)
        rows.append(f"| all | seconds of a saved graph, {many} graphs, the slowest: {slowest} | ≤ {SECONDS:.0f} s | {taken[slowest]:.2f} s | | | | |")
    return "\n".join(rows) + "\n" + NOTE


def took(kept: dict, line: Line) -> str:
    """Seconds of a row's graph on its model, where they were taken."""
    found = kept.get("graphs", {}).get(label(line))
    return "" if found is None else f"{found:.2f}"


def share(values: list[float]) -> str:
    """Mean and standard deviation over seeds, in percent."""
    spread = f" ± {100 * statistics.stdev(values):.1f}" if len(values) > 1 else ""
    return f"{100 * statistics.mean(values):.1f}{spread} %"


def judged(kept: dict, what: str) -> str:
    """Shares of true pictures the judge accepts, and of those told with one thing wrong, at worst."""
    if not what:
        return "exact"
    if "judge" not in kept:
        return ""
    figures = kept["judge"]["figures"]
    wrong = max(statistics.mean(values) for name, values in figures.items() if name.startswith(f"{what}, wrong"))
    return f"{100 * statistics.mean(figures[f'true {what} accepted']):.1f} / {100 * wrong:.1f} %"


def put(path: Path, table: str) -> None:
    """Exchange the table in a Markdown file, between its two comments; ValueError where they are not."""
    before, begin, rest = path.read_text(encoding="utf-8").partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        raise ValueError(f"{path} has no place for the table: the lines {BEGIN.strip()} and {END.strip()} say where it goes")
    path.write_text(before + BEGIN + table + END + after, encoding="utf-8")
