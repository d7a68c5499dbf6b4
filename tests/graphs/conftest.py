import sys
from functools import cache
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent.parent / "parity"))  # the tiny models

QUICK = {"steps": 1, "guidance": 2.0}


@pytest.fixture(scope="session")
def tiny_models(tmp_path_factory):
    """By graph: inputs that make it quick, on a tiny random model of every kind of source it takes."""
    import tiny
    import tiny_blip
    import tiny_dalle
    import tiny_dit
    import tiny_janus
    import tiny_kandinsky
    import tiny_sd
    import tiny_unitoken
    import tiny_vit

    def folder(name):
        return tmp_path_factory.mktemp(name)

    makers = {
        "clip": lambda: tiny.save_clip(folder("clip")), "sd": lambda: tiny_sd.save(folder("sd")),
        "edit": lambda: tiny_sd.save(folder("edit"), "StableDiffusionInstructPix2PixPipeline", unet={"in_channels": 8}),
        "control": lambda: tiny_sd.save_control(folder("control"), made("sd")),
        "lora": lambda: tiny_sd.save_lora(folder("lora") / "style.safetensors", made("sd")),
        "vit": lambda: tiny_vit.save(folder("vit")), "blip": lambda: tiny_blip.save_blip(folder("blip")),
        "vqa": lambda: tiny_blip.save_blip(folder("vqa"), "ForQuestionAnswering"),
        "match": lambda: tiny_blip.save_blip(folder("match"), "ForImageTextRetrieval"), "dalle": lambda: tiny_dalle.save(folder("dalle")),
        "dit": lambda: tiny_dit.save(folder("dit")), "kandinsky": lambda: tiny_kandinsky.save(folder("kandinsky")) / "both",
        "janus": lambda: tiny_janus.save(folder("janus")), "unitoken": lambda: tiny_unitoken.save(folder("unitoken")),
    }  # fmt: skip

    @cache
    def made(name):
        return str(makers[name]())

    inputs = {
        "ask": lambda: {"model": made("vqa"), "most": 4}, "best-of-n": lambda: {"model": made("sd"), "judge": made("clip"), "candidates": 2, **QUICK}, "caption": lambda: {"model": made("blip"), "most": 4},
        "chat": lambda: {"model": made("janus"), "most": 3}, "class-to-image": lambda: {"model": made("dit"), "label": "1", "negative": "", **QUICK},
        "clip-embed": lambda: {"model": made("clip")}, "clip-match": lambda: {"model": made("clip")}, "clip-search": lambda: {"model": made("clip")},
        "clip-zero-shot": lambda: {"model": made("clip")}, "control": lambda: {"model": made("sd"), "control": made("control"), **QUICK},
        "dalle1": lambda: {"model": made("dalle"), "judge": made("clip"), "candidates": 2},
        "dalle2": lambda: {"model": made("kandinsky"), "prior": made("kandinsky"), "prior_steps": 2, "prior_guidance": 2.0, "width": 16, "height": 16, **QUICK},
        "draw-and-ask": lambda: {"model": made("janus"), "most": 3}, "dvae-reconstruct": lambda: {"model": made("dalle")},
        "edit": lambda: {"model": made("edit"), **QUICK}, "folder-captioner": lambda: {"model": made("blip"), "most": 3}, "image-text-matching": lambda: {"model": made("match")},
        "image-to-image": lambda: {"model": made("sd"), **QUICK, "strength": 1.0}, "inpaint": lambda: {"model": made("sd"), **QUICK},
        "redraw-until-it-matches": lambda: {"model": made("dalle"), "captioner": made("blip"), "judge": made("match")},
        "seed-guidance-sheet": lambda: {"model": made("sd"), "seeds": 2, "guidances": [1.0, 3.0], "steps": 1},
        "style-transfer": lambda: {"model": made("sd"), "control": made("control"), "lora": made("lora"), **QUICK, "strength": 1.0},
        "text-to-image": lambda: {"model": made("sd"), **QUICK}, "text-to-image-codes": lambda: {"model": made("dalle")},
        "unitoken-two-readings": lambda: {"model": made("unitoken"), "most": 3}, "vit-attention": lambda: {"model": made("vit")},
        "vit-classify": lambda: {"model": made("vit")}, "vit-features": lambda: {"model": made("vit")},
    }  # fmt: skip
    return {name: cache(make) for name, make in inputs.items()}
