"""Residency: one load a component, the least recently used leaves, running out of memory is said in figures."""

import threading

import pytest
import torch

from flowmm.catalog import Context
from flowmm.models import residency as room
from flowmm.models.residency import LOADS, OutOfMemory, Residency, residency, using
from flowmm.nodes import clip, diffusion


@pytest.fixture
def parts(saved_diffusion):
    return diffusion.load(str(saved_diffusion))


def test_a_component_is_loaded_once_whoever_asks(saved_clip, saved_diffusion):
    here = Residency("cpu")
    before = LOADS.total()
    model = clip.load(str(saved_clip)).model
    assert not here.is_resident(model)
    module = here.load(model)
    assert here.is_resident(model) and here.load(clip.load(str(saved_clip)).model) is module
    assert here.loaded == 1 and LOADS.total() == before + 1


def test_making_handles_loads_nothing(saved_clip, saved_diffusion):
    before = LOADS.total()
    clip.load(str(saved_clip)), diffusion.load(str(saved_diffusion))
    assert LOADS.total() == before


def test_the_same_weights_in_two_folders_are_one(clip_folder, saved_clip):
    here = Residency("cpu")
    assert here.load(clip.load(str(clip_folder)).model) is here.load(clip.load(str(saved_clip)).model)
    assert here.loaded == 1


def test_tokenizers_and_schedules_are_shared_but_no_weights(saved_clip, parts):
    here = Residency("cpu")
    tokenizer = here.load(clip.load(str(saved_clip)).tokenizer)
    assert tokenizer("a").input_ids and here.load(parts.schedule)["_class_name"] == "DDIMScheduler"
    assert (here.loaded, here.bytes) == (0, 0)


def test_modules_are_float32_and_in_evaluation_mode(parts):
    module = Residency("cpu").load(parts.denoiser)
    assert not module.training
    assert {p.dtype for p in module.parameters()} == {torch.float32}


def test_the_least_recently_used_leaves_when_the_budget_is_full(parts):
    here = Residency("cpu")
    for handle in (parts.denoiser, parts.autoencoder, parts.text_encoder):
        here.load(handle)
    needed = here.bytes
    here = Residency("cpu", budget=needed - 1)
    here.load(parts.denoiser)
    here.load(parts.autoencoder)
    here.load(parts.denoiser)
    here.load(parts.text_encoder)
    assert [here.is_resident(h) for h in (parts.denoiser, parts.autoencoder, parts.text_encoder)] == [True, False, True]
    assert here.bytes <= here.budget
    here.load(parts.autoencoder)
    assert here.loaded == 4


def test_what_is_in_use_is_not_pushed_out(parts):
    here = Residency("cpu", budget=1)
    with here.pinned(parts.denoiser):
        here.load(parts.autoencoder)
        assert here.is_resident(parts.denoiser)
    here.load(parts.text_encoder)
    assert not here.is_resident(parts.denoiser) and not here.is_resident(parts.autoencoder)


def test_running_out_of_memory_makes_room_and_tries_once_more(parts, monkeypatch):
    here = Residency("cpu")
    here.load(parts.autoencoder)
    real, calls = room.build, []

    def short(handle, dtype):
        calls.append(handle.family)
        if len(calls) == 1:
            raise RuntimeError("[enforce fail at alloc_cpu.cpp:117] DefaultCPUAllocator: can't allocate memory: you tried to allocate 9 bytes")
        return real(handle, dtype)

    monkeypatch.setattr(room, "build", short)
    here.load(parts.denoiser)
    assert calls == ["unet", "unet"] and not here.is_resident(parts.autoencoder)


def test_what_never_fits_says_how_much_it_needs(parts, monkeypatch):
    def never(handle, dtype):
        raise torch.OutOfMemoryError("CUDA out of memory.")

    monkeypatch.setattr(room, "build", never)
    with pytest.raises(OutOfMemory, match=r"the unet of `.*` needs 0.00 GB on cpu, which has \d+.\d GB"):
        Residency("cpu").load(parts.denoiser)


def test_other_errors_are_not_taken_for_a_lack_of_memory(parts, monkeypatch):
    def broken(handle, dtype):
        raise RuntimeError("size mismatch")

    monkeypatch.setattr(room, "build", broken)
    with pytest.raises(RuntimeError, match="size mismatch"):
        Residency("cpu").load(parts.denoiser)


def test_threads_that_ask_at_once_share_one_load(parts):
    here, found = Residency("cpu"), []
    threads = [threading.Thread(target=lambda: found.append(here.load(parts.denoiser))) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert here.loaded == 1 and len({id(module) for module in found}) == 1


def test_there_is_one_residency_a_device():
    assert residency("cpu") is residency("cpu")


def test_using_a_handle_turns_gradients_off(parts):
    with using(Context(), parts.text_encoder) as module:
        assert not torch.is_grad_enabled()
        assert not module(torch.ones(1, 4, dtype=torch.int64)).last_hidden_state.requires_grad
    assert torch.is_grad_enabled()


def test_patches_make_another_component_that_shares_the_weights(parts, saved_diffusion, tmp_path):
    import tiny_sd

    here = Residency("cpu")
    lora = tiny_sd.save_lora(tmp_path / "style.safetensors", saved_diffusion, text=False)
    patched = diffusion.with_lora(parts.denoiser, lora, weight=0.5)
    base = here.load(parts.denoiser)
    alone = here.bytes
    assert not here.is_resident(patched)
    module = here.load(patched)
    assert module is not base and here.is_resident(patched) and here.load(patched) is module and here.loaded == 1
    assert {p.data_ptr() for p in base.parameters()} < {p.data_ptr() for p in module.parameters()}
    assert alone < here.bytes < 2 * alone  # what the LoRA adds, not the base again


def test_a_base_stays_as_long_as_something_is_laid_over_it(parts, saved_diffusion, tmp_path):
    import tiny_sd

    lora = tiny_sd.save_lora(tmp_path / "style.safetensors", saved_diffusion, text=False)
    patched = diffusion.with_lora(parts.denoiser, lora)
    here = Residency("cpu", budget=1)
    with here.pinned(patched):
        here.load(parts.autoencoder)
        assert here.is_resident(patched) and here.is_resident(parts.denoiser)
    here.load(parts.text_encoder)
    assert not here.is_resident(patched)
    here.load(parts.autoencoder)
    assert not here.is_resident(parts.denoiser)


def test_a_patch_that_does_not_fit_leaves_its_base_free(parts, saved_diffusion, tmp_path):
    import tiny
    import tiny_sd

    other = tiny.save_stable_diffusion(tmp_path / "other", unet={"block_out_channels": (32, 64)})
    patched = diffusion.with_lora(parts.denoiser, tiny_sd.save_lora(tmp_path / "style.safetensors", other, text=False))
    here = Residency("cpu", budget=1)
    with pytest.raises(ValueError, match="made for another model"):
        here.load(patched)
    here.load(parts.autoencoder)
    assert not here.is_resident(parts.denoiser)


def test_weights_deleted_after_planning_are_missed_in_words(clip_folder):
    model = clip.load(str(clip_folder)).model
    (clip_folder / "model.safetensors").unlink()
    with pytest.raises(ValueError, match="has no weights"):
        Residency("cpu").load(model)


def test_weights_changed_after_planning_are_not_computed_with(clip_folder):
    model = clip.load(str(clip_folder)).model
    path = clip_folder / "model.safetensors"
    data = bytearray(path.read_bytes())
    data[-1] ^= 1
    path.write_bytes(data)
    with pytest.raises(ValueError, match="changed after the run began; run again"):
        Residency("cpu").load(model)
    assert Residency("cpu").load(clip.load(str(clip_folder)).model)
