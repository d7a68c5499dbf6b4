"""The graph dvae-reconstruct: OpenAI's discrete VAE, converted from its pickles, and VQ models give the codes and pixels of their references."""

import json

import numpy as np
import PIL.Image
import pytest
import tiny
import tiny_dalle
import torch
from torch.nn import functional as F

import flowmm
from flowmm.catalog import Context
from flowmm.models.convert import convert
from flowmm.models.dvae import DVAE
from flowmm.nodes import codes
from flowmm.sockets import Image

SIDE = 32


@pytest.fixture(scope="session", params=[True, False], ids=["zip", "stream"])
def released(request, tmp_path_factory):
    """The converted folder, and the tensors of the pickles it was made of; pickles as PyTorch wrote them since 1.6, and before."""
    home = tmp_path_factory.mktemp("released")
    tensors = tiny_dalle.save_pickles(home / "pickles", request.param)
    return convert(home / "pickles", home / "dvae").folder, tensors


def picture(side=SIDE, seed=0, count=1):
    """Coloured patches, each with some grain, uint8 [B, 3, side, side]."""
    rng = np.random.default_rng(seed)
    patches = rng.integers(0, 256, (count, 3, side // 4, side // 4)).repeat(4, axis=2).repeat(4, axis=3)
    return (patches + rng.integers(-30, 30, (count, 3, side, side))).clip(0, 255).astype(np.uint8)


def reconstruct(folder, image, runtime, side=SIDE):
    """Codes [B, h, w] and pixels [B, 3, H, W] of the saved graph."""
    found, made = tiny.peek("dvae-reconstruct", {"image": image, "side": side, "model": str(folder)}, runtime, "codes.codes", "pixels.image")
    return found.ids, made.pixels


# ── the reference, from the package's tensors and nothing of ours ───────────────────────────────


def conv(x, tensors, name):
    weight = tensors[f"{name}.w"]
    return F.conv2d(x, weight, tensors[f"{name}.b"], padding=(weight.shape[-1] - 1) // 2)


def block(x, tensors, name, gain):
    y = x
    for i in (1, 2, 3, 4):
        y = conv(F.relu(y), tensors, f"{name}.res_path.conv_{i}")
    return (conv(x, tensors, f"{name}.id_path") if f"{name}.id_path.w" in tensors else x) + gain * y


def network(x, tensors, between):
    x = conv(x, tensors, "blocks.input")
    for group in (1, 2, 3, 4):
        for i in (1, 2):
            x = block(x, tensors, f"blocks.group_{group}.block_{i}", 1 / 64)
        x = between(x) if group < 4 else x
    return conv(F.relu(x), tensors, "blocks.output.conv")


def refer(tensors, image):
    """Codes and pixels, as the notebook of the package has it."""
    with torch.no_grad():
        x = (1 - 2 * 0.1) * torch.from_numpy(image).float().div(255) + 0.1
        found = network(x, tensors["encoder"], lambda x: F.max_pool2d(x, 2)).argmax(1)
        z = F.one_hot(found, tensors["decoder"]["blocks.input.w"].shape[1]).permute(0, 3, 1, 2).float()
        stats = network(z, tensors["decoder"], lambda x: F.interpolate(x, scale_factor=2, mode="nearest"))
        return found, torch.clamp((torch.sigmoid(stats[:, :3]) - 0.1) / (1 - 2 * 0.1), 0, 1).numpy()


def test_codes_and_pixels_of_the_converted_model_are_those_of_the_package(released, runtime):
    folder, tensors = released
    for image in (picture(), picture(count=3, seed=2)):
        found, pixels = reconstruct(folder, image, runtime)
        expected, back = refer(tensors, image)
        assert torch.equal(found, expected) and np.array_equal(pixels, back)
        assert len(found.unique()) > 4 and pixels.std() > 0.05


def test_codes_are_those_of_FlavaImageCodebook(released, runtime, half):
    """Which computes the same in bfloat16 too."""
    from transformers import FlavaImageCodebook, FlavaImageCodebookConfig

    folder, _ = released
    whole = DVAE.from_pretrained(folder).eval()
    alone = FlavaImageCodebook(FlavaImageCodebookConfig(vocab_size=tiny_dalle.CODES, hidden_size=8)).eval()
    alone.load_state_dict({name.removeprefix("encoder."): tensor for name, tensor in whole.state_dict().items() if name.startswith("encoder.")})
    image = picture(count=2)
    for kind, used in ((torch.float32, runtime), (torch.bfloat16, half)):
        x = torch.from_numpy(image.astype("float32") / 255).to(kind)
        with torch.no_grad():
            assert torch.equal(reconstruct(folder, image, used)[0], alone.to(kind).get_codebook_indices((1 - 2 * 0.1) * x + 0.1))


def test_pixels_of_the_flava_processor_are_those_the_encoder_sees(released, monkeypatch):
    from transformers import FlavaImageProcessorPil

    folder, _ = released
    image = Image(picture())
    processor = FlavaImageProcessorPil(codebook_size={"height": SIDE, "width": SIDE}, codebook_crop_size={"height": SIDE, "width": SIDE},
                                       codebook_image_mean=[0.0] * 3, codebook_image_std=[1.0] * 3)  # fmt: skip
    told = processor(images=[image.to_pil()], return_codebook_pixels=True, return_tensors="pt")["codebook_pixel_values"]
    seen = []
    from transformers import FlavaImageCodebook

    monkeypatch.setattr(FlavaImageCodebook, "get_codebook_indices", lambda self, pixels: seen.append(pixels) or pixels[:, 0, ::8, ::8].long())
    codes.encode(codes.load(str(folder)), image)
    assert torch.allclose(seen[0], told, atol=1e-6)  # the processor scales in another order


def test_in_bfloat16_pixels_are_near_those_in_float32(released, runtime, half):
    """Eight bits of mantissa through 18 layers: measured 0.07 at most, allowed twice that."""
    folder, _ = released
    found = codes.load(str(folder))
    ids = codes.encode(found, Image(picture()))
    exact, rough = (codes.decode(found, ids, context=Context(dtype=kind)).pixels for kind in ("float32", "bfloat16"))
    assert 0 < np.abs(exact - rough).max() <= 0.15 and exact.std() > 0.05


def test_a_batch_of_three_is_three_single_runs(released, runtime):
    """Codes alike; pixels to a millionth, since a batch convolves in another order."""
    folder, _ = released
    image = picture(count=3)
    found, pixels = reconstruct(folder, image, runtime)
    for i in range(3):
        alone, one = reconstruct(folder, image[i : i + 1], runtime)
        assert torch.equal(found[i], alone[0]) and np.abs(pixels[i] - one[0]).max() <= 1e-5
    assert not torch.equal(found[0], found[1]) and np.abs(pixels[0] - pixels[1]).max() > 0.1


def test_a_picture_of_any_size_is_cut_as_the_notebook_cuts_it(released, runtime):
    folder, tensors = released
    drawn = PIL.Image.fromarray(np.random.default_rng(5).integers(0, 256, (50, 71, 3), dtype=np.uint8))
    scale = SIDE / min(drawn.size)
    scaled = drawn.resize((round(scale * drawn.width), round(scale * drawn.height)), PIL.Image.LANCZOS)
    left = round((scaled.width - SIDE) / 2)
    square = np.asarray(scaled.crop((left, 0, left + SIDE, SIDE))).transpose(2, 0, 1)[None]
    found, pixels = reconstruct(folder, drawn, runtime)
    expected, back = refer(tensors, np.ascontiguousarray(square))
    assert torch.equal(found, expected) and np.array_equal(pixels, back)
    assert reconstruct(folder, drawn, runtime, 16)[1].shape == (1, 3, 16, 16)


def test_the_graph_measures_what_came_back(released, runtime):
    folder, _ = released
    image = picture(count=2)
    result = flowmm.load("dvae-reconstruct").run({"image": image, "side": SIDE, "model": str(folder)}, runtime=runtime)
    error = np.square(result.image.pixels - image / np.float32(255)).mean(axis=(1, 2, 3))
    assert np.allclose(result.psnr.values, -10 * np.log10(error), atol=1e-4)
    assert result.sheet.pixels.shape[0] == 1 and result.sheet.width > 4 * 192


# ── the conversion ──────────────────────────────────────────────────────────────────────────────


def test_the_converted_folder_holds_every_tensor_under_its_name(released):
    folder, tensors = released
    config = json.loads((folder / "config.json").read_text())
    assert config["architectures"] == ["DVAE"] and (config["vocab_size"], config["hidden_size"], config["initial_size"]) == (tiny_dalle.CODES, 8, 12)
    assert {path.name for path in folder.iterdir()} == {
        "config.json", "model.safetensors.index.json", "model-00001-of-00002.safetensors", "model-00002-of-00002.safetensors",
    }  # fmt: skip
    state = DVAE.from_pretrained(folder).state_dict()
    mine = sorted(tensor.flatten().tolist() for tensor in state.values())
    assert mine == sorted(tensor.flatten().tolist() for half in tensors.values() for tensor in half.values())
    assert state["encoder.blocks.group_2.group.block_1.res_path.path.conv_4.weight"].equal(tensors["encoder"]["blocks.group_2.block_1.res_path.conv_4.w"])
    assert state["decoder.blocks.group_1.block_2.res_path.conv_1.bias"].equal(tensors["decoder"]["blocks.group_1.block_2.res_path.conv_1.b"])
    with pytest.MonkeyPatch.context() as patch:  # a plain folder of transformers, index and all
        patch.setenv("HF_HUB_OFFLINE", "1")
        loaded, told = DVAE.from_pretrained(folder, output_loading_info=True)
    assert not told["missing_keys"] and not told["unexpected_keys"] and loaded.num_parameters() == sum(map(len, mine))


def test_the_published_sizes_make_the_published_model():
    with torch.device("meta"):
        whole = DVAE(DVAE.config_class())
    shapes = {name: tuple(tensor.shape) for name, tensor in whole.state_dict().items()}
    assert shapes["encoder.blocks.input.weight"] == (256, 3, 7, 7) and shapes["encoder.blocks.output.conv.weight"] == (8192, 2048, 1, 1)
    assert shapes["decoder.blocks.input.weight"] == (128, 8192, 1, 1) and shapes["decoder.blocks.group_1.block_1.id_path.weight"] == (2048, 128, 1, 1)
    assert shapes["decoder.blocks.group_1.block_1.res_path.conv_1.weight"] == (512, 128, 1, 1)
    assert shapes["decoder.blocks.group_4.block_2.res_path.conv_4.weight"] == (256, 64, 3, 3) and shapes["decoder.blocks.output.conv.weight"] == (6, 256, 1, 1)


# ── VQ models ───────────────────────────────────────────────────────────────────────────────────


def vq_model(folder, **changes):
    """A saved VQModel, and itself read back."""
    from diffusers import VQModel

    tiny_dalle.vq(**changes).save_pretrained(folder)
    return VQModel.from_pretrained(folder).eval()


VARIANTS = {
    "plain": {}, "wide codes": {"vq_embed_dim": 5}, "amused": {"lookup_from_codebook": True},
    "movq": {"norm_type": "spatial", "block_out_channels": (32, 32, 64), "norm_num_groups": 8},
}  # fmt: skip


@pytest.mark.parametrize("name", VARIANTS)
def test_codes_and_pixels_of_a_VQModel_are_the_librarys(tmp_path, runtime, name):
    model = vq_model(tmp_path / "vq", **VARIANTS[name])
    image = picture(16, count=2)
    found, pixels = reconstruct(tmp_path / "vq", image, runtime, None)
    unit, width = name == "amused", model.config.vq_embed_dim or model.config.latent_channels
    x = torch.from_numpy(image.astype("float32") / 255)
    with torch.no_grad():
        latents = model.encode(x if unit else 2 * x - 1).latents
        expected = model.quantize(latents)[2][2].reshape(2, 4, 4)
        shape = (2, 4, 4, width)
        if unit:  # as AmusedPipeline decodes, which gives 0…1
            made = model.decode(expected, force_not_quantize=True, shape=shape).sample
        else:
            made = model.decode(model.quantize.get_codebook_entry(expected.reshape(-1), shape)).sample / 2 + 0.5
        straight = model.decode(latents).sample
    assert torch.equal(found, expected) and np.array_equal(pixels, made.clamp(0, 1).numpy())
    # From latents the library passes gradients straight through, as z + (q - z), which is q but for rounding.
    assert np.abs(pixels - (straight if unit else straight / 2 + 0.5).clamp(0, 1).numpy()).max() <= 1e-5
    assert len(found.unique()) > 4 and pixels.std() > 0.02


def test_a_VQModel_in_bfloat16_is_the_librarys_in_bfloat16(tmp_path, half):
    model = vq_model(tmp_path).to(torch.bfloat16)
    image = picture(16)
    found, pixels = reconstruct(tmp_path, image, half, None)
    with torch.no_grad():
        latents = model.encode(2 * torch.from_numpy(image.astype("float32") / 255).bfloat16() - 1).latents
        expected = model.quantize(latents)[2][2].reshape(1, 4, 4)
        made = model.decode(model.quantize.get_codebook_entry(expected.reshape(-1), (1, 4, 4, 3)), force_not_quantize=True).sample
    assert torch.equal(found, expected) and np.array_equal(pixels, (made / 2 + 0.5).clamp(0, 1).float().numpy())


def test_the_codebook_of_a_dalle_model_serves_alone(tmp_path, runtime):
    """Through the graph the whole folder gives what its codebook's own folder gives."""
    folder = tiny_dalle.save(tmp_path)
    whole, alone = (reconstruct(path, picture(16), runtime, None) for path in (folder, folder / "codebook"))
    assert torch.equal(whole[0], alone[0]) and np.array_equal(whole[1], alone[1])
