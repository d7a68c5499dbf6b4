"""Live modules and pipelines as a graph's model: the object itself, its results in memory only, noticed when its weights change."""

import gc

import pytest
import tiny
import torch

import flowmm
from flowmm.engine.workers.base import NodeFailed
from flowmm.graph.problems import GraphError


@pytest.fixture
def runtime(tmp_path):
    made = flowmm.Runtime("cpu", cache=tmp_path / "cache", threads=1)
    yield made
    made.close()


GIVEN = {"prompt": "a red circle", "seed": 3, "steps": 2, "guidance": 2.0}


def paint(model, runtime, **more):
    return flowmm.load("text-to-image").run(GIVEN | more | {"model": model}, runtime=runtime)


def test_a_pipeline_draws_what_its_folder_draws(saved_diffusion, runtime):
    pipeline = tiny.pipeline(saved_diffusion)
    pipeline.text_encoder.eval(), pipeline.unet.eval(), pipeline.vae.eval()
    assert paint(pipeline, runtime).image == paint(str(saved_diffusion), runtime).image


def test_its_results_are_kept_in_memory_and_never_on_disk(saved_diffusion, runtime):
    pipeline = tiny.pipeline(saved_diffusion)
    assert paint(pipeline, runtime).executed > 0 and runtime.disk.stats()["entries"] == 0
    assert paint(pipeline, runtime).executed == 0


def test_changed_weights_are_noticed(saved_diffusion, runtime):
    pipeline = tiny.pipeline(saved_diffusion)
    before = paint(pipeline, runtime).image
    with torch.no_grad():
        pipeline.unet.conv_in.weight.mul_(1.5)
    assert paint(pipeline, runtime).image != before
    assert pipeline.unet.conv_in.weight.requires_grad, "the owner's module is used as it is"


def test_a_module_with_its_tokenizer_and_processor(saved_clip, runtime):
    from transformers import CLIPImageProcessorPil, CLIPModel, CLIPTokenizer

    parts = {
        "model": CLIPModel.from_pretrained(saved_clip, dtype=torch.float32).eval(), "tokenizer": CLIPTokenizer.from_pretrained(saved_clip),
        "image_processor": CLIPImageProcessorPil.from_pretrained(saved_clip),
    }  # fmt: skip
    match = flowmm.load("clip-match")
    mine, theirs = (match.run({"model": model}, runtime=runtime).scores for model in (parts, str(saved_clip)))
    assert mine == theirs


def test_a_part_that_is_missing_is_named(saved_clip, runtime):
    from transformers import CLIPModel

    model = CLIPModel.from_pretrained(saved_clip).eval()
    with pytest.raises(NodeFailed, match="has no tokenizer; it has nothing else"):
        flowmm.load("clip-match").run({"model": model}, runtime=runtime)


def test_a_module_in_training_mode_is_refused(saved_diffusion, runtime):
    pipeline = tiny.pipeline(saved_diffusion)
    pipeline.unet.train()
    with pytest.raises(NodeFailed, match=r"the unet of .* is in training mode.*call \.eval\(\) first"):
        paint(pipeline, runtime)


@pytest.mark.parametrize("thing", [object(), 3, ["zoo:sd"], {}])
def test_what_is_no_model_is_said_before_anything_runs(runtime, thing):
    with pytest.raises(GraphError):
        paint(thing, runtime)


def test_an_object_that_is_gone_says_so(saved_diffusion, runtime):
    from flowmm.models import live

    pipeline = tiny.pipeline(saved_diffusion)
    name = live.name(pipeline)
    del pipeline
    gc.collect()
    with pytest.raises(NodeFailed, match="no longer in memory"):
        paint(name, runtime)


def test_a_run_keeps_no_hold_of_it(saved_diffusion, runtime):
    import weakref

    pipeline = tiny.pipeline(saved_diffusion)
    paint(pipeline, runtime)
    module = weakref.ref(pipeline.unet)
    del pipeline
    gc.collect()
    assert module() is None


def test_another_process_has_it_not(saved_diffusion, tmp_path):
    apart = flowmm.Runtime("cpu", cache=None, threads=1, separate=True)
    try:
        with pytest.raises(NodeFailed, match="lives in another process"):
            paint(tiny.pipeline(saved_diffusion), apart)
    finally:
        apart.close()


def test_a_graph_file_cannot_name_one(saved_diffusion, tmp_path, runtime):
    pipeline = tiny.pipeline(saved_diffusion)
    from flowmm.models import live

    graph = flowmm.load("text-to-image").with_defaults(model=live.name(pipeline))
    path = graph.save(tmp_path / "shared.json")
    with pytest.raises((GraphError, NodeFailed), match="no folder"):
        flowmm.load(path).run(GIVEN, runtime=runtime)
