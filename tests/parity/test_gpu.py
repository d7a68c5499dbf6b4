"""On a GPU the graphs give what they give on the CPU, within the bound of other hardware."""

import numpy as np
import pytest
import torch

import flowmm

pytestmark = pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")


@pytest.fixture(params=[False, True], ids=["inline", "separate"])
def both(request):
    made = [flowmm.Runtime("cpu", cache=None), flowmm.Runtime("cuda", cache=None, separate=request.param)]
    yield made
    for runtime in made:
        runtime.close()


def test_clip_match(both):
    cpu, gpu = (flowmm.load("clip-match").run({}, runtime=runtime).scores.values for runtime in both)
    assert np.abs(cpu - gpu).max() < 1e-2


def test_text_to_image(both):
    """Seeds are drawn on the CPU, so both start from the same noise."""
    cpu, gpu = (flowmm.load("text-to-image").run({"seed": 3}, runtime=runtime).image.pixels for runtime in both)
    assert np.abs(cpu - gpu).mean() < 1e-2
