"""Patches: LoRAs laid over a component. The patched module shares the base's tensors; the base never changes.

A LoRA is read in every layout diffusers reads (its own, peft's keys under `unet.`, kohya's), and as peft itself saves one
(`adapter_model.safetensors` with `adapter_config.json`).
"""

from __future__ import annotations

import copy
import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..sockets import Handle
from ..sockets.handles import Patch
from . import fingerprints
from .source import SourceError, locate, read_json
from .weights import Weights, header

if TYPE_CHECKING:  # used by diffusers; said here so that its version is part of the key of every node that runs a model
    import peft  # noqa: F401

NAMES = ("pytorch_lora_weights.safetensors", "adapter_model.safetensors")
PEFT = "base_model.model."  # before every key of an adapter that peft itself saved
# What a key begins with, by the component it belongs to; any other is of the UNet, as its own `save_lora_adapter` writes it.
PREFIXES = {"text_encoder_2": ("text_encoder_2.", "lora_te2_"), "text_encoder": ("text_encoder.", "lora_te_", "lora_te1_")}


def lora(source: str, weight: float) -> Patch:
    """A LoRA as a patch: its file is hashed, no weight is read. Raises SourceError."""
    path = _file(source)
    if not any("lora" in key for key in header(path, f"`{source}`")):
        raise SourceError(f"`{source}` is no LoRA; {_hint(path)}")
    parts = {"file": fingerprints.of_file(path)}
    if (path.parent / "adapter_config.json").is_file():
        parts["config"] = fingerprints.of_config(read_json(path.parent / "adapter_config.json", source))
    return Patch("lora", source, str(path), fingerprints.of_parts(parts), float(weight))


def touches(patch: Patch, component: str) -> bool:
    """Whether a patch holds anything for a component, or for one of several joined ones."""
    return bool(_owners(header(Path(patch.path), f"`{patch.source}`")) & set(component.split("+")))


def size(patches: tuple[Patch, ...]) -> int:
    """Bytes of weights the patches add."""
    return sum(Weights((Path(patch.path),)).loaded_bytes for patch in patches)


def apply(base: Any, handle: Handle) -> Any:
    """The handle's component with its patches, each with its weight, in evaluation mode. Raises SourceError where one does not fit.

    base: the module without them, whose tensors the result shares.
    """
    import torch

    # Parameters of its own over the same memory: peft freezes those it lays something over, which shows in the base's last bits.
    tensors: dict[int, Any] = {id(tensor): tensor for tensor in base.buffers()}
    tensors |= {id(tensor): torch.nn.Parameter(tensor.detach(), tensor.requires_grad) for tensor in base.parameters()}
    module = copy.deepcopy(base, tensors)
    joined = isinstance(module, torch.nn.ModuleList)
    for member, component in zip(module if joined else [module], handle.component.split("+"), strict=True):
        laid = [(f"patch{i}", patch) for i, patch in enumerate(handle.patches) if touches(patch, component)]
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", "Already found a `peft_config`", UserWarning)  # several at once is what was asked for
            for name, patch in laid:
                _lay(member, component, patch, name)
        if laid:
            _weigh(member, [name for name, _ in laid], [patch.weight for _, patch in laid])
    return module.eval()


def _lay(module: Any, component: str, patch: Patch, name: str) -> None:
    from diffusers.loaders import StableDiffusionLoraLoaderMixin as Loader

    state, alphas, metadata = _read(module, component, patch)
    _check(module, component, state, patch)
    told = {"network_alphas": alphas, "adapter_name": name, "metadata": metadata}
    if hasattr(module, "load_lora_adapter"):
        module.load_lora_adapter(state, prefix=component, **told)
    else:
        Loader.load_lora_into_text_encoder(state, text_encoder=module, prefix=component, **told)


def _weigh(module: Any, names: list[str], weights: list[float]) -> None:
    from diffusers.loaders.lora_base import set_adapters_for_text_encoder

    if hasattr(module, "load_lora_adapter"):
        module.set_adapters(names, weights)
    else:
        set_adapters_for_text_encoder(names, module, weights)


def _read(module: Any, component: str, patch: Patch) -> tuple[dict[str, Any], dict[str, Any] | None, dict[str, Any] | None]:
    """Tensors under the component's name, their alphas, and what the file says of itself, as diffusers wants them."""
    from diffusers.loaders import StableDiffusionLoraLoaderMixin as Loader

    path = Path(patch.path)
    if lora(patch.source, 1).fingerprint != patch.fingerprint:
        raise SourceError(f"the LoRA `{patch.source}` changed after the run began; run again")
    if any(key.startswith(PEFT) for key in header(path, f"`{patch.source}`")):
        from safetensors.torch import load_file

        config = read_json(path.parent / "adapter_config.json", patch.source)
        return ({f"{component}.{key.removeprefix(PEFT)}": tensor for key, tensor in load_file(path).items()}, None,
                {f"{component}.{key}": value for key, value in config.items()})  # fmt: skip
    # kohya numbers the blocks of SDXL otherwise than diffusers.
    xl = getattr(module.config, "addition_embed_type", None) == "text_time"
    state, alphas, metadata = Loader.lora_state_dict(
        str(path.parent), weight_name=path.name, use_safetensors=True, local_files_only=True, return_lora_metadata=True,
        unet_config=module.config if xl else None,
    )  # fmt: skip
    if not any(key.startswith(("unet.", "text_encoder")) for key in state):  # as a module's own save_lora_adapter writes it
        state = {f"unet.{key}": tensor for key, tensor in state.items()}
        metadata = metadata and {f"unet.{key}": value for key, value in metadata.items()}
    return _one_spelling(state), alphas, metadata


def _one_spelling(state: dict[str, Any]) -> dict[str, Any]:
    """A file of diffusers' training scripts may spell its attention in diffusers' way and other layers in peft's; load_lora_adapter
    goes by the first key, and leaves out what is spelled otherwise."""
    from diffusers.utils import convert_unet_state_dict_to_peft

    unet = {key: tensor for key, tensor in state.items() if key.startswith("unet.")}
    if len({"lora_A" in key or "lora_B" in key for key in unet}) < 2:
        return state
    return {key: tensor for key, tensor in state.items() if key not in unet} | convert_unet_state_dict_to_peft(unet)


def _check(module: Any, component: str, state: dict[str, Any], patch: Patch) -> None:
    """Whether every layer is there and of the size the LoRA was made for. Raises SourceError with the first that is not."""
    from diffusers.utils import convert_state_dict_to_diffusers, convert_state_dict_to_peft, convert_unet_state_dict_to_peft

    mine = {key.removeprefix(f"{component}."): tensor for key, tensor in state.items() if key.startswith(f"{component}.")}
    if not all("lora_A" in key or "lora_B" in key for key in mine):
        text = component.startswith("text_encoder")
        mine = convert_state_dict_to_peft(convert_state_dict_to_diffusers(mine)) if text else convert_unet_state_dict_to_peft(mine)
    layers = dict(module.named_modules())
    for key, tensor in mine.items():
        name, _, half = key.partition(".lora_")
        name = name if name in layers else name.removeprefix("text_model.")
        layer = getattr(layers.get(name), "base_layer", layers.get(name))  # under an earlier patch
        if half not in ("A.weight", "B.weight"):
            continue
        wanted = getattr(getattr(layer, "weight", None), "shape", None)
        side = 1 if half.startswith("A") else 0
        if wanted is None or tensor.shape[side] != wanted[side]:
            here = "has no such layer" if wanted is None else f"is {wanted[side]} wide there"
            raise SourceError(f"the LoRA `{patch.source}` was made for another model: its {name} is {tensor.shape[side]} wide, and the "
                              f"{component} of this model {here}; take a LoRA made for this base")  # fmt: skip


def _owners(keys: Any) -> set[str]:
    """The components that keys of a LoRA file belong to."""
    found = set()
    for key in keys:
        if key.startswith(PEFT):
            found.add("unet" if "_block" in key else "text_encoder")
        else:
            found.add(next((name for name, starts in PREFIXES.items() if key.startswith(starts)), "unet"))
    return found


def _file(source: str) -> Path:
    """The safetensors file of a LoRA. Raises SourceError."""
    place = locate(source)
    if place.is_file():
        if place.suffix != ".safetensors":
            raise SourceError(f"`{source}` is no .safetensors file; pickled LoRAs can run code and are not loaded: `flowmm models convert` first")
        return place
    files = [place / name for name in NAMES if (place / name).is_file()] or sorted(place.glob("*.safetensors"))
    if len(files) != 1:
        what = "no .safetensors file" if not files else f"{len(files)} .safetensors files"
        raise SourceError(f"`{source}` is a folder with {what}; give the LoRA's file itself")
    return files[0]


def _hint(path: Path) -> str:
    return "a whole model is given as the graph's model" if path.stat().st_size > 2**30 else "none of its tensors is one of a LoRA"
