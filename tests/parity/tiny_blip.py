"""Tiny random BLIP and BLIP-2 models of transformers' own classes, in folders as `save_pretrained` of model and processor writes them."""

import json
import string

import numpy as np
import torch
from tiny import widen

SPECIAL = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
WORDS = ["a", "picture", "of", "red", "blue", "circle", "square", "what", "colour", "is", "it", "yes", "no"]
SEP, WIDTH, SIDE = 3, 32, 24
VISION = {"hidden_size": 24, "intermediate_size": 48, "num_hidden_layers": 2, "num_attention_heads": 4, "image_size": SIDE, "patch_size": 8}


def bert():
    """Letters and a few words, lower case; as in the published models the id that begins a caption is not among them."""
    from transformers import BertTokenizer

    letters = [*string.ascii_lowercase, *string.digits, "?", "."]
    names = [*SPECIAL, *WORDS, *(one for one in letters if one not in WORDS), *(f"##{one}" for one in string.ascii_lowercase)]
    return BertTokenizer(vocab={name: i for i, name in enumerate(names)}, model_max_length=64)


def processor():
    from transformers import BlipImageProcessorPil

    return BlipImageProcessorPil(size={"height": SIDE, "width": SIDE})


def save_blip(folder, kind="ForConditionalGeneration", seed=0, ends=0.0, text=None, **changes):
    """A BlipFor… folder. ends: added to the bias of the id that ends a text."""
    import transformers

    words = bert()
    settings = {
        "vocab_size": len(words) + 2, "hidden_size": WIDTH, "intermediate_size": 64, "num_hidden_layers": 2, "num_attention_heads": 4,
        "max_position_embeddings": 64, "bos_token_id": len(words), "eos_token_id": 2, "pad_token_id": 0, "sep_token_id": SEP,
    } | (text or {})  # fmt: skip
    config = transformers.BlipConfig(text_config=settings, vision_config=VISION, image_text_hidden_size=16)
    model = widen(getattr(transformers, f"Blip{kind}")(config), seed)
    if ends:
        with torch.no_grad():
            model.text_decoder.cls.predictions.bias[SEP] += ends
    model.save_pretrained(folder, **changes)
    transformers.BlipProcessor(processor(), words).save_pretrained(folder)
    return folder
