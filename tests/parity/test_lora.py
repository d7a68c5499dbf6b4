"""LoRAs in every layout equal diffusers' load_lora_weights, or peft itself; the base stays as it was."""

import pytest
import tiny_sd
import torch
from safetensors.torch import load_file, save_file
from sd_runs import PROMPT, far, refer

from flowmm.catalog import Context
from flowmm.models.residency import Residency
from flowmm.nodes import diffusion
from flowmm.sockets import Seed, Text

LAYOUTS = ["diffusers", "kohya"]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tiny_sd.save(tmp_path_factory.mktemp("sd"))


@pytest.fixture(scope="module")
def xl(tmp_path_factory):
    return tiny_sd.save_xl(tmp_path_factory.mktemp("xl"))


def paint(folder, *loras, context=None):
    """With LoRAs, each a path and a weight, on denoiser and text encoder."""
    parts, more = diffusion.load(folder), {"context": context} if context else {}
    denoiser, encoder = parts.denoiser, parts.text_encoder
    for path, weight in loras:
        denoiser = diffusion.with_lora(denoiser, path, weight=weight)
        encoder = diffusion.with_lora_text(encoder, path, weight=weight)
    told = [diffusion.encode_prompt(parts.tokenizer, encoder, Text((text,)), negative=not text, **more) for text in (PROMPT, "")]
    return diffusion.sample(denoiser, parts.schedule, *told, seed=Seed(7), steps=3, guidance=3.0, **more).values


def reference(cls, folder, *loras, dtype=torch.float32):
    pipeline = tiny_sd.reference(cls, folder).to(dtype)
    for i, (path, _) in enumerate(loras):
        pipeline.load_lora_weights(path, adapter_name=f"lora{i}")
    if loras:
        pipeline.set_adapters([f"lora{i}" for i in range(len(loras))], [weight for _, weight in loras])
    return refer(pipeline, steps=3)


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("weight", [1.0, 0.6, -0.5])
def test_stable_diffusion_with_a_lora_is_the_pipeline(folder, tmp_path, layout, weight):
    path = tiny_sd.save_lora(tmp_path / "style.safetensors", folder, layout)
    made = paint(folder, (path, weight))
    assert torch.equal(made, reference("StableDiffusionPipeline", folder, (path, weight)))
    assert far(made, paint(folder)) > 1e-3


@pytest.mark.parametrize("layout", LAYOUTS)
def test_sdxl_with_a_lora_is_the_pipeline(xl, tmp_path, layout):
    path = tiny_sd.save_lora(tmp_path / "style.safetensors", xl, layout)
    made = paint(xl, (path, 0.8))
    assert torch.equal(made, reference("StableDiffusionXLPipeline", xl, (path, 0.8)))
    assert far(made, paint(xl)) > 1e-3


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("family", ["folder", "xl"])
def test_every_text_encoder_gets_its_part(request, tmp_path, layout, family):
    model = request.getfixturevalue(family)
    parts = diffusion.load(model)
    encoder = diffusion.with_lora_text(parts.text_encoder, tiny_sd.save_lora(tmp_path / "style.safetensors", model, layout))
    plain, laid = (diffusion.encode_prompt(parts.tokenizer, one, Text((PROMPT,))) for one in (parts.text_encoder, encoder))
    for width in ((0, 32), (32, 56)) if family == "xl" else ((0, 32),):
        assert far(laid.hidden[..., slice(*width)], plain.hidden[..., slice(*width)]) > 1e-3
    assert family == "folder" or far(laid.pooled, plain.pooled) > 1e-3


def test_two_loras_add_up_as_in_the_pipeline(folder, tmp_path):
    paths = [tiny_sd.save_lora(tmp_path / f"{seed}.safetensors", folder, layout, seed=seed) for seed, layout in ((1, "kohya"), (2, "diffusers"))]
    loras = list(zip(paths, (0.5, 1.2)))
    assert torch.equal(paint(folder, *loras), reference("StableDiffusionPipeline", folder, *loras))


def test_a_lora_of_the_unet_alone_leaves_the_text_encoder_as_it_was(folder, tmp_path):
    path = tiny_sd.save_lora(tmp_path / "style.safetensors", folder, text=False)
    parts = diffusion.load(folder)
    assert diffusion.with_lora_text(parts.text_encoder, path) == parts.text_encoder
    assert torch.equal(paint(folder, (path, 1.0)), reference("StableDiffusionPipeline", folder, (path, 1.0)))


def test_a_file_of_two_spellings_is_read_whole(folder, tmp_path, recwarn):
    """As diffusers' training scripts write one of more than attention. The pipeline itself leaves out what the first key is not like."""
    whole = load_file(tiny_sd.save_lora(tmp_path / "whole.safetensors", folder, text=False))
    spelled = {key.replace(".lora_A.", ".lora.down.").replace(".lora_B.", ".lora.up.") if "attn2" in key else key: whole[key] for key in whole}
    assert spelled.keys() - whole.keys() and spelled.keys() & whole.keys()
    save_file(spelled, tmp_path / "mixed.safetensors")
    made = paint(folder, (str(tmp_path / "mixed.safetensors"), 1.0))
    assert torch.equal(made, paint(folder, (str(tmp_path / "whole.safetensors"), 1.0)))
    assert not [one for one in recwarn if "PEFT" in str(one.message)]
    assert not torch.equal(made, reference("StableDiffusionPipeline", folder, (str(tmp_path / "mixed.safetensors"), 1.0))), "diffusers reads it whole now"


def test_an_adapter_as_peft_saves_it_is_what_peft_makes_of_it(folder, tmp_path):
    from peft import PeftModel

    path = tiny_sd.save_lora(tmp_path / "adapter" / "adapter_model.safetensors", folder, "peft")
    parts = diffusion.load(folder)
    pipeline = tiny_sd.reference("StableDiffusionPipeline", folder)
    pipeline.unet = PeftModel.from_pretrained(pipeline.unet, tmp_path / "adapter").base_model.model
    expected = refer(pipeline, steps=3)
    for source in (path, str(tmp_path / "adapter")):
        assert torch.equal(paint(folder, (source, 1.0)), expected)
    assert diffusion.with_lora_text(parts.text_encoder, path) == parts.text_encoder
    assert far(expected, paint(folder)) > 1e-3


def test_left_out_empty_or_weightless_changes_nothing(folder, tmp_path):
    parts = diffusion.load(folder)
    path = tiny_sd.save_lora(tmp_path / "style.safetensors", folder)
    for source, weight in ((None, 1.0), ("", 1.0), (path, 0.0)):
        assert diffusion.with_lora(parts.denoiser, source, weight=weight) == parts.denoiser
        assert diffusion.with_lora_text(parts.text_encoder, source, weight=weight) == parts.text_encoder


def test_the_base_is_shared_and_stays_untouched(folder, tmp_path):
    path = tiny_sd.save_lora(tmp_path / "style.safetensors", folder)
    parts, here = diffusion.load(folder), Residency("cpu")
    encoder = diffusion.with_lora_text(parts.text_encoder, path)
    for handle, patched in ((parts.denoiser, diffusion.with_lora(parts.denoiser, path)), (parts.text_encoder, encoder)):
        base = here.load(handle)
        before = {name: (id(tensor), tensor._version, tensor.requires_grad, tensor.clone()) for name, tensor in base.state_dict(keep_vars=True).items()}
        kinds = [type(module) for module in base.modules()]
        laid = here.load(patched)
        after = base.state_dict(keep_vars=True)
        assert [type(module) for module in base.modules()] == kinds and before.keys() == after.keys()
        for name, tensor in after.items():
            old, version, graded, content = before[name]
            assert id(tensor) == old and tensor._version == version and tensor.requires_grad == graded and torch.equal(tensor, content)
        own, whole = ({tensor.data_ptr() for tensor in module.parameters()} for module in (base, laid))
        assert own < whole  # the same memory, and the LoRA's own
        assert not laid.training
    assert here.loaded == 2  # the bases, once each


def test_with_and_without_take_turns_and_both_keep_their_bits(folder, tmp_path):
    path = tiny_sd.save_lora(tmp_path / "style.safetensors", folder)
    plain, styled = paint(folder), paint(folder, (path, 1.0))
    for _ in range(2):
        assert torch.equal(paint(folder), plain) and torch.equal(paint(folder, (path, 1.0)), styled)
    assert not torch.equal(plain, styled)


def test_weight_and_file_are_part_of_what_a_handle_is(folder, tmp_path):
    one, two = (tiny_sd.save_lora(tmp_path / f"{seed}.safetensors", folder, seed=seed) for seed in (1, 2))
    parts = diffusion.load(folder)
    handles = [diffusion.with_lora(parts.denoiser, path, weight=weight) for path, weight in ((one, 1.0), (one, 0.5), (two, 1.0))]
    assert len({hash(handle) for handle in [parts.denoiser, *handles]}) == 4
    copied = tmp_path / "elsewhere.safetensors"
    copied.write_bytes((tmp_path / "1.safetensors").read_bytes())
    assert diffusion.with_lora(parts.denoiser, str(copied)) == handles[0]


@pytest.mark.parametrize("layout", LAYOUTS)
def test_bfloat16_is_the_pipeline_in_bfloat16(folder, tmp_path, layout):
    path = tiny_sd.save_lora(tmp_path / "style.safetensors", folder, layout)
    made = paint(folder, (path, 0.6), context=Context("paint", dtype="bfloat16"))
    assert torch.equal(made, reference("StableDiffusionPipeline", folder, (path, 0.6), dtype=torch.bfloat16))


@pytest.mark.parametrize("layout", LAYOUTS)
def test_a_lora_of_another_base_is_refused_before_the_first_step(folder, xl, tmp_path, layout):
    path = tiny_sd.save_lora(tmp_path / "xl.safetensors", xl, layout, text=False)
    steps = []
    with pytest.raises(ValueError, match="the LoRA `.*xl.safetensors` was made for another model: .* take a LoRA made for this base"):
        paint(folder, (path, 1.0), context=Context("paint", report=lambda *told: steps.append(told)))
    assert steps == []


def test_what_is_no_lora_says_so(folder, tmp_path):
    from pathlib import Path

    parts = diffusion.load(folder)
    unet = Path(folder) / "unet" / "diffusion_pytorch_model.safetensors"
    with pytest.raises(ValueError, match="is no LoRA; none of its tensors is one of a LoRA"):
        diffusion.with_lora(parts.denoiser, str(unet))
    (tmp_path / "old.ckpt").write_bytes(b"x")
    with pytest.raises(ValueError, match="is no .safetensors file; pickled LoRAs can run code"):
        diffusion.with_lora(parts.denoiser, str(tmp_path / "old.ckpt"))
    with pytest.raises(ValueError, match="is a folder with no .safetensors file"):
        diffusion.with_lora(parts.denoiser, str(tmp_path))
    with pytest.raises(ValueError, match="there is no folder"):
        diffusion.with_lora(parts.denoiser, str(tmp_path / "nothing"))


def test_a_file_that_changed_since_is_not_computed_with(folder, tmp_path):
    path = tiny_sd.save_lora(tmp_path / "style.safetensors", folder, seed=1)
    handle = diffusion.with_lora(diffusion.load(folder).denoiser, path)
    tiny_sd.save_lora(tmp_path / "style.safetensors", folder, seed=2)
    with pytest.raises(ValueError, match="changed after the run began; run again"):
        Residency("cpu").load(handle)


