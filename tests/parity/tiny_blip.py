"""Tiny random BLIP and BLIP-2 models of transformers' own classes, in folders as `save_pretrained` of model and processor writes them."""

import json
import string

import numpy as np
import torch
from tiny import widen

SPECIAL = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
WORDS = ["a", "picture", "of", "red", "blue", "circle", "square", "what", "colour", "is", "it", "yes", "no"]
SEP, WIDTH, SIDE, QUERIES = 3, 32, 24, 6
VISION = {"hidden_size": WIDTH, "intermediate_size": 48, "num_hidden_layers": 2, "num_attention_heads": 4, "image_size": SIDE, "patch_size": 8}


def bert():
    """Letters and a few words, lower case; as in the published models the id that begins a caption is not among them."""
    from transformers import BertTokenizer

    letters = [*string.ascii_lowercase, *string.digits, "?", "."]
    names = [*SPECIAL, *WORDS, *(one for one in letters if one not in WORDS), *(f"##{one}" for one in string.ascii_lowercase)]
    return BertTokenizer(vocab={name: i for i, name in enumerate(names)}, model_max_length=64)


def processor(side=SIDE):
    from transformers import BlipImageProcessorPil

    return BlipImageProcessorPil(size={"height": side, "width": side})


def save_blip(folder, kind="ForConditionalGeneration", seed=0, ends=0.0, text=None, vision=None, **changes):
    """A BlipFor… folder. ends: added to the bias of the id that ends a text. text, vision: other settings of the two sides."""
    import transformers

    words = bert()
    settings = {
        "vocab_size": len(words) + 2, "hidden_size": WIDTH, "intermediate_size": 64, "num_hidden_layers": 2, "num_attention_heads": 4,
        "max_position_embeddings": 64, "bos_token_id": len(words), "eos_token_id": 2, "pad_token_id": 0, "sep_token_id": SEP,
    } | (text or {})  # fmt: skip
    config = transformers.BlipConfig(text_config=settings, vision_config=VISION | (vision or {}), image_text_hidden_size=16)
    model = widen(getattr(transformers, f"Blip{kind}")(config), seed)
    if ends:
        with torch.no_grad():
            model.text_decoder.cls.predictions.bias[SEP] += ends
    model.save_pretrained(folder, **changes)
    transformers.BlipProcessor(processor(config.vision_config.image_size), words).save_pretrained(folder)
    return folder


def save_blip2(folder, language="opt", kind="ForConditionalGeneration", seed=0, ends=0.0, **changes):
    """A Blip2For… folder, its language model an OPT or a T5. ends: how much likelier the id that ends a text becomes."""
    import transformers

    words = bert() if kind == "ForImageTextRetrieval" else opt_words() if language == "opt" else t5_words()
    glue = transformers.Blip2Processor(processor(), words, num_query_tokens=QUERIES)
    size = len(words) + 5  # published models have room for more words than their tokenizer knows
    if language == "opt":  # a text ends with its first line
        line = (words("\n", add_special_tokens=False).input_ids or [2])[0]
        text = {
            "model_type": "opt", "hidden_size": WIDTH, "word_embed_proj_dim": WIDTH, "num_hidden_layers": 2, "num_attention_heads": 4, "ffn_dim": 64,
            "max_position_embeddings": 96, "vocab_size": size, "eos_token_id": line, "pad_token_id": 1,
        }  # fmt: skip
    else:
        text = {
            "model_type": "t5", "d_model": WIDTH, "d_kv": 8, "d_ff": 64, "num_layers": 2, "num_decoder_layers": 2, "num_heads": 4, "vocab_size": size,
            "decoder_start_token_id": 0, "dense_act_fn": "gelu", "feed_forward_proj": "gated-gelu", "tie_word_embeddings": False, "bos_token_id": 1,
        }  # fmt: skip
    qformer = {"hidden_size": 24, "intermediate_size": 48, "num_hidden_layers": 2, "num_attention_heads": 4, "encoder_hidden_size": 24, "vocab_size": size,
               "max_position_embeddings": 64, "cross_attention_frequency": 2, "use_qformer_text_input": kind == "ForImageTextRetrieval"}  # fmt: skip
    config = transformers.Blip2Config(
        vision_config=VISION | {"hidden_size": 24}, qformer_config=qformer, text_config=text, num_query_tokens=QUERIES, image_text_hidden_size=16,
        image_token_index=None if kind == "ForImageTextRetrieval" else words.convert_tokens_to_ids("<image>"),
    )  # fmt: skip
    model = widen(getattr(transformers, f"Blip2{kind}")(config), seed)
    with torch.no_grad():
        model.query_tokens.copy_(torch.randn(model.query_tokens.shape, generator=torch.Generator().manual_seed(seed)))
        if ends:  # a language model without a bias: the row of the id that ends a text points to where all texts lie
            head = model.language_model.get_output_embeddings().weight
            head[model.config.text_config.eos_token_id] *= ends
    model.save_pretrained(folder, **changes)
    glue.save_pretrained(folder)
    return folder


def opt_words():
    """Bytes as tokens; a text begins with </s>, as OPT's do."""
    from tokenizers import pre_tokenizers
    from transformers import GPT2Tokenizer

    names = ["<s>", "<pad>", "</s>", "<unk>", *sorted(pre_tokenizers.ByteLevel.alphabet())]
    return GPT2Tokenizer(
        vocab={name: i for i, name in enumerate(names)}, merges=[], unk_token="</s>", bos_token="</s>", eos_token="</s>", pad_token="<pad>", add_bos_token=True
    )


def t5_words():
    """Letters and a few words; a text ends with </s>."""
    from transformers import T5Tokenizer

    letters = [*string.ascii_letters, *string.digits, *"?.:,"]
    pieces = ["<pad>", "</s>", "<unk>", "▁", *(f"▁{word}" for word in WORDS if len(word) > 1), *letters]
    return T5Tokenizer(vocab=[(piece, -float(len(pieces) - len(piece))) for piece in pieces], extra_ids=0, additional_special_tokens=None)


def as_published(folder):
    """The processor's files as repositories have them that older versions of transformers wrote."""
    made = json.loads((folder / "processor_config.json").read_text())
    pictures = made.pop("image_processor") | {"processor_class": made["processor_class"]}
    (folder / "preprocessor_config.json").write_text(json.dumps(pictures))
    if "num_query_tokens" in made:
        (folder / "processor_config.json").write_text(json.dumps(made))
    else:
        (folder / "processor_config.json").unlink()
    return folder


def pictures(count=3, height=40, width=57, seed=0):
    return [np.random.default_rng(seed + i).integers(0, 256, (height, width, 3), dtype=np.uint8) for i in range(count)]
