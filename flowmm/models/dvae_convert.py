"""OpenAI's discrete VAE, encoder.pkl and decoder.pkl, as the two halves of one DVAE folder.

Each is a pickled module of the package `dall_e`, which is not needed: its classes are read as inert objects, and their tensors
renamed. Both lie in one folder when that is converted; the decoder knows the sizes of both, so it writes config and index.
"""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

from .unpickle import Inert, Stored, state_dict
from .weights import SourceError

if TYPE_CHECKING:
    from .convert import Taken

HALVES = {"dall_e.encoder.Encoder": "encoder", "dall_e.decoder.Decoder": "decoder"}
FILES = {"encoder": "model-00001-of-00002.safetensors", "decoder": "model-00002-of-00002.safetensors"}
STAND_INS = frozenset({
    *HALVES, "dall_e.encoder.EncoderBlock", "dall_e.decoder.DecoderBlock", "dall_e.utils.Conv2d", "torch.nn.modules.container.Sequential",
    "torch.nn.modules.activation.ReLU", "torch.nn.modules.linear.Identity", "torch.nn.modules.pooling.MaxPool2d", "torch.nn.modules.upsampling.Upsample",
})  # fmt: skip
GROUPS = 4
_NAME = re.compile(r"blocks\.(input|group_[1-4]\.block_\d+\.(id_path|res_path\.conv_[1-4])|output\.conv)\.[wb]\Z")


def take(tree: Any) -> Taken | None:
    """One half, or None where the tree is of another layout. Raises SourceError when it is not whole."""
    from .convert import Taken

    half = HALVES.get(tree.cls) if isinstance(tree, Inert) else None
    if half is None:
        return None
    found = state_dict(tree)
    if not found or not all(map(_NAME.match, found)):
        raise SourceError(f"the pickled {half} has other layers than DALL-E's discrete VAE; take encoder.pkl and decoder.pkl from cdn.openai.com/dall-e")
    files = _described(found) if half == "decoder" else {}
    return Taken({f"{half}.{_renamed(name, half)}": tensor for name, tensor in found.items()}, target=FILES[half], files=files)


def _renamed(name: str, half: str) -> str:
    """As the libraries call it: w and b in full, and in transformers' encoder one more level inside groups and paths."""
    name = re.sub(r"\.w\Z", ".weight", re.sub(r"\.b\Z", ".bias", name))
    return re.sub(r"(group_\d)\.", r"\1.group.", name).replace("res_path.", "res_path.path.") if half == "encoder" else name


def _described(decoder: dict[str, Stored]) -> dict[str, bytes]:
    """config.json, and the index of both files."""
    import torch

    from .dvae import DVAE, DVAEConfig

    try:
        initial, vocabulary = decoder["blocks.input.w"].shape[:2]
        channels, hidden = decoder["blocks.output.conv.w"].shape[:2]
    except (KeyError, ValueError):
        raise SourceError("the pickled decoder lacks its first or last layer: download it again") from None
    blocks = len({name.split(".")[2] for name in decoder if name.startswith("blocks.group_1.")})
    config = {
        "architectures": ["DVAE"], "model_type": DVAEConfig.model_type, "vocab_size": vocabulary, "hidden_size": hidden, "initial_size": initial,
        "num_groups": GROUPS, "num_blocks_per_group": blocks, "input_channels": channels // 2, "image_size": DVAEConfig.image_size,
    }  # fmt: skip
    with torch.device("meta"):
        whole = DVAE(DVAEConfig(**{name: value for name, value in config.items() if name not in ("architectures", "model_type")})).state_dict()
    missing = [name for name in whole if name.startswith("decoder.") and name.removeprefix("decoder.") not in {_renamed(one, "decoder") for one in decoder}]
    if missing:
        raise SourceError(f"the pickled decoder lacks {missing[0].removeprefix('decoder.')}: download it again")
    index = {
        "metadata": {"total_size": sum(tensor.numel() * 4 for tensor in whole.values())},
        "weight_map": {name: FILES[name.partition(".")[0]] for name in sorted(whole)},
    }
    return {name: (json.dumps(data, indent=2) + "\n").encode() for name, data in (("config.json", config), ("model.safetensors.index.json", index))}
