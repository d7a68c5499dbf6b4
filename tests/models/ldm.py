"""Writes tiny diffusers models as a single checkpoint in the original layout of Stable Diffusion: the inverse of what is read."""

import torch
from safetensors.torch import save_file

RESNET = {"norm1": "in_layers.0", "conv1": "in_layers.2", "norm2": "out_layers.0", "conv2": "out_layers.3", "time_emb_proj": "emb_layers.1",
          "conv_shortcut": "skip_connection"}  # fmt: skip
UNET = {"time_embedding.linear_1": "time_embed.0", "time_embedding.linear_2": "time_embed.2", "conv_in": "input_blocks.0.0", "conv_norm_out": "out.0",
        "conv_out": "out.2", "add_embedding.linear_1": "label_emb.0.0", "add_embedding.linear_2": "label_emb.0.2",
        "mid_block.resnets.0": "middle_block.0", "mid_block.attentions.0": "middle_block.1", "mid_block.resnets.1": "middle_block.2"}  # fmt: skip
VAE = {"mid_block.resnets.0": "mid.block_1", "mid_block.resnets.1": "mid.block_2", "mid_block.attentions.0": "mid.attn_1", "conv_norm_out": "norm_out"}
VAE_ATTENTION = {"group_norm": "norm", "to_q": "q", "to_k": "k", "to_v": "v", "to_out.0": "proj_out"}
OPEN_CLIP = {"layer_norm1": "ln_1", "layer_norm2": "ln_2", "mlp.fc1": "mlp.c_fc", "mlp.fc2": "mlp.c_proj", "self_attn.out_proj": "attn.out_proj"}


def renamed(name, table):
    for ours, theirs in table.items():
        if name.startswith(ours + "."):
            return theirs + name[len(ours) :]
    return name


def unet(module):
    layers, levels = module.config.layers_per_block, len(module.config.block_out_channels)
    blocks = dict(UNET)
    for i in range(levels):
        for j in range(layers):
            blocks[f"down_blocks.{i}.resnets.{j}"] = f"input_blocks.{(layers + 1) * i + j + 1}.0"
            blocks[f"down_blocks.{i}.attentions.{j}"] = f"input_blocks.{(layers + 1) * i + j + 1}.1"
        for j in range(layers + 1):
            blocks[f"up_blocks.{i}.resnets.{j}"] = f"output_blocks.{(layers + 1) * i + j}.0"
            blocks[f"up_blocks.{i}.attentions.{j}"] = f"output_blocks.{(layers + 1) * i + j}.1"
        blocks[f"down_blocks.{i}.downsamplers.0.conv"] = f"input_blocks.{(layers + 1) * (i + 1)}.0.op"
        attends = "CrossAttn" in module.config.up_block_types[i]
        blocks[f"up_blocks.{i}.upsamplers.0"] = f"output_blocks.{(layers + 1) * i + layers}.{2 if attends else 1}"
    found = {}
    for name, tensor in module.state_dict().items():
        made = renamed(name, blocks)
        if ".resnets." in name:
            stem = next(theirs for ours, theirs in blocks.items() if name.startswith(ours + "."))
            made = stem + "." + renamed(made[len(stem) + 1 :], RESNET)
        found["model.diffusion_model." + made] = tensor
    return found


def vae(module):
    last, found = len(module.config.block_out_channels) - 1, {}
    for name, tensor in module.state_dict().items():
        half, _, rest = name.partition(".")
        if half not in ("encoder", "decoder"):
            found[f"first_stage_model.{name}"] = tensor
            continue
        for i in range(last + 1):
            up = last - i
            rest = rest.replace(f"down_blocks.{i}.resnets.", f"down.{i}.block.").replace(f"down_blocks.{i}.downsamplers.0.", f"down.{i}.downsample.")
            rest = rest.replace(f"up_blocks.{i}.resnets.", f"up.{up}.block.").replace(f"up_blocks.{i}.upsamplers.0.", f"up.{up}.upsample.")
        attention = rest.startswith("mid_block.attentions.0.")
        rest = renamed(rest, VAE).replace("conv_shortcut", "nin_shortcut")
        if attention:
            rest = "mid.attn_1." + renamed(rest.removeprefix("mid.attn_1."), VAE_ATTENTION)
            tensor = tensor[:, :, None, None] if tensor.ndim == 2 else tensor
        found[f"first_stage_model.{half}.{rest}"] = tensor
    return found


def clip(module, prefix="cond_stage_model.transformer."):
    state = {name.removeprefix("text_model."): tensor for name, tensor in module.state_dict().items()}
    return {f"{prefix}text_model.{name}": tensor for name, tensor in state.items()}


def open_clip(module, prefix="cond_stage_model.model."):
    state = {name.removeprefix("text_model."): tensor for name, tensor in module.state_dict().items()}
    found = {}
    for name, tensor in state.items():
        if name.startswith("encoder.layers."):
            number, _, rest = name.removeprefix("encoder.layers.").partition(".")
            stem = f"{prefix}transformer.resblocks.{number}."
            if "q_proj" in rest:
                kind = rest.rpartition(".")[2]
                whole = torch.cat([state[name.replace("q_proj", part)] for part in ("q_proj", "k_proj", "v_proj")])
                found[f"{stem}attn.in_proj_{kind}"] = whole
            elif "k_proj" not in rest and "v_proj" not in rest:
                found[stem + renamed(rest, OPEN_CLIP)] = tensor
    found[f"{prefix}token_embedding.weight"] = state["embeddings.token_embedding.weight"]
    found[f"{prefix}positional_embedding"] = state["embeddings.position_embedding.weight"]
    found[f"{prefix}ln_final.weight"], found[f"{prefix}ln_final.bias"] = state["final_layer_norm.weight"], state["final_layer_norm.bias"]
    if "text_projection.weight" in state:
        found[f"{prefix}text_projection"] = state["text_projection.weight"].T
    return found


def write(path, *parts):
    whole = {name: tensor.detach().contiguous().clone() for part in parts for name, tensor in part.items()}
    save_file(whole, path)
    return path
