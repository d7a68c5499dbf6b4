"""UniToken: one language model reads a picture twice, as the codes of a VQGAN and as the features of a SigLIP, and draws in the same codes.

    [BOS] 8197 h w {codes, 8803 after each row} 8198 {features} 8196 question 8710
    [BOS] Generate an image according to the following prompt:\\n… 8710 16853 8197 h w {codes, 8803 after each row}

h and w count squares of two codes a side, 8804 standing for none.

Reference: Jiao et al., 2025 (arXiv 2504.04423); SxJyJay/UniToken.
"""

from __future__ import annotations

from typing import Any

from flowmm.models import spaces
from flowmm.models.families import make
from flowmm.models.source import Component, Source
from flowmm.models.unitoken import image_ids
from flowmm.models.unitoken_views import pinpoint, unpadded
from flowmm.sockets import Fact, Handle, Hidden, ImageEncoder, ImageProcessor, LanguageModel, Pixels, Prompt, Space, Text, Tokenizer

from .base import Family, Painter, Reader, Writer, filled
from .dalle import VQ_MODEL

IMAGE_END, IMAGE_START, FEATURES, ROW_END, GRID = 8196, 8197, 8198, 8803, 8804
TURN_END, BEFORE_IMAGE = 8710, 16853
HERE = -1  # where features stand among ids; no text can hold it
PICTURE, TURN = "<|image|>", "<reserved08706>"  # in texts: where the picture stands; what ends a turn
QUESTION = "Please describe the details of the image as much as possible."
DRAW = "Generate an image according to the following prompt:\n{}"
ROOM = 64  # ids left for a prompt, whatever the size of the picture that is drawn
# Recommendations of UniToken's README.
SETTINGS = {"tokens": 512, "top_k": 10, "guidance": 3.0, "image_temperature": 1.0, "image_top_k": 4000}


class TextWriter(Writer):
    """Its positions are rotations, so nothing ends at the 4096 it was trained with: a prompt with finer cuts is longer already."""

    stops = (TURN_END,)

    def begin(self, prompts: list[Prompt]) -> Any:
        from transformers import DynamicCache

        (prompt,) = prompts
        module = self.module
        ids, mask = prompt.ids.to(module.device), prompt.mask.to(module.device)
        embeds = module.model.embed_tokens(ids.clamp(min=0))
        features = prompt.features.to(embeds.device, embeds.dtype)
        for row, place in enumerate(ids == HERE):
            embeds[row, place] = features[row, : int(place.sum())]
        self.reader = Reader(module, mask, DynamicCache(config=module.config))
        return self._masked(self.reader(inputs_embeds=embeds))

    def step(self, ids: Any) -> Any:
        return self._masked(self.reader(input_ids=ids[:, None]))

    def _masked(self, logits: Any) -> Any:
        """Without codes, if the checkpoint was trained so."""
        if self.module.config.mask_image_logits:
            logits[:, self.module.image_ids] = -float("inf")
        return logits


class CodePainter(Painter):
    """Writes codes alone: the head has the rows of codes only, and the ids between them, which must come, are read along."""

    def grid(self, height: int | None, width: int | None) -> tuple[int, int]:
        setting = self.handle.setting
        side, cell, context = (setting(name) for name in ("side", "cell", "context"))
        height, width = height or setting("height", side), width or setting("width", side)
        if height % cell or width % cell:
            fits = [max(cell, round(pixels / cell) * cell) for pixels in (width, height)]
            raise ValueError(f"UniToken draws in squares of {cell} pixels, of which {width}×{height} is no whole number; try {fits[0]}×{fits[1]}")
        self.cells = height // cell, width // cell
        rows, self.columns = 2 * self.cells[0], 2 * self.cells[1]
        if (taken := rows * (self.columns + 1)) > context - ROOM:
            raise ValueError(f"a picture of {width}×{height} takes {taken:,} tokens, and the model's context holds {context:,}; draw a smaller one")
        return rows, self.columns

    def begin(self, prompts: list[Prompt]) -> Any:
        import torch
        from transformers import DynamicCache

        module = self.module
        rows = [row[kept.bool()].tolist() + [GRID + cells for cells in self.cells] for prompt in prompts for row, kept in zip(prompt.ids, prompt.mask)]
        ids, mask = (part.to(module.device) for part in filled(rows, 0))
        self.written = 0
        codes = module.image_ids
        first, count = int(codes[0]), len(codes)
        in_order = torch.equal(codes, torch.arange(first, first + count, device=codes.device))  # as published: a view, no copy
        head = module.lm_head.weight[first : first + count] if in_order else module.lm_head.weight[codes]
        self.reader = Reader(module, mask, DynamicCache(config=module.config), head=head)
        return self.reader(input_ids=ids)

    def step(self, ids: Any) -> Any:
        import torch

        read = self.module.image_ids[ids][:, None]
        self.written += 1
        if self.written % self.columns == 0:
            read = torch.cat([read, torch.full_like(read, ROW_END)], dim=1)
        return self.reader(input_ids=read)


class UniToken(Family):
    name = "unitoken"
    classes = ("UniToken",)
    what = "a UniToken model, which reads and draws pictures"

    def understanding(self, source: Source) -> dict[str, Handle]:
        return {
            "tokenizer": self._tokenizer(source),
            "processor": make(ImageProcessor, source.component("image_processor"), self.name),
            "encoder": make(ImageEncoder, source.component(""), self.name),
            "model": self._model(source),
        }

    def generating(self, source: Source) -> dict[str, Handle]:
        codebook = VQ_MODEL.of(source.component("vq"))
        return {"tokenizer": self._tokenizer(source), "model": self._model(source), "codebook": codebook}

    def spaces(self, source: Source) -> dict[str, Space]:
        model = source.component("")
        return {
            "V": spaces.vocabulary(spaces.number(model, "vocab_size", 65536), source.component("tokenizer")),
            "E": spaces.encoder(model, self.name, spaces.number(model, "hidden_size", 4096)),
            "K": VQ_MODEL.space(source.component("vq")),
        }

    def facts(self, source: Source) -> dict[str, Fact]:
        model, vq = source.component(""), source.component("vq")
        side, across = model.siglip["image_size"], model.side // VQ_MODEL.factor(vq)
        patches = None if model.anyres else (side // model.siglip["patch_size"]) ** 2
        return {
            "tokenizer": Fact((None, None)),
            "processor": Fact((None, 3, side, side)),
            "encoder": Fact((None, patches, spaces.number(model, "hidden_size", 4096))),
            "model": Fact((None, across, across), weights=model.weights.loaded_bytes),
            "codebook": Fact(weights=vq.weights.loaded_bytes),
        }

    def see(self, module: Any, pixels: Pixels) -> Hidden:
        """Codes of the middle square; patches of the whole as the language model reads them, and those of finer cuts after them."""
        import torch

        def read(views: Any) -> Any:
            return module.adapter(module.vit(views.to(module.device, module.dtype), interpolate_pos_encoding=True).last_hidden_state)

        coded = pixels.coded.to(module.device, module.vq.dtype)
        codes = torch.cat([VQ_MODEL.to_codes(module.vq, None, picture[None]) for picture in coded])  # one by one: a square takes 1 GB
        whole = read(pixels.values)
        if pixels.tiles is None:
            return Hidden(whole, codes=codes)
        end = module.model.embed_tokens(torch.tensor(ROW_END, device=module.device))
        tiles = list(read(pixels.tiles))
        rows = []
        for patches, (height, width) in zip(whole, pixels.sizes.tolist()):
            across, down = pinpoint(width, height, pixels.values.shape[-1])
            cut, tiles = tiles[: across * down], tiles[across * down :]
            side = int(len(patches) ** 0.5)
            fine = torch.stack(cut).reshape(down, across, side, side, -1).transpose(1, 2).reshape(down * side, across * side, -1)
            fine = unpadded(fine, width, height)
            rows.append(torch.cat([patches, torch.cat([fine, end.expand(len(fine), 1, -1)], dim=1).flatten(0, 1)]))
        mask = torch.nn.utils.rnn.pad_sequence([torch.ones(len(row), dtype=torch.int64) for row in rows], batch_first=True)
        return Hidden(torch.nn.utils.rnn.pad_sequence(rows, batch_first=True), mask, codes)

    def prompt(self, words: Any, tokenizer: Tokenizer, texts: Text, seen: Hidden, history: Text | None) -> Prompt:
        counts = [seen.values.shape[1]] * len(seen.values) if seen.mask is None else seen.mask.sum(-1).tolist()
        codes = image_ids(words.get_vocab(), tokenizer.setting("codes"), tokenizer.source)
        pictures = [None] * len(counts) if seen.codes is None else seen.codes.cpu()
        said = list(history) if history is not None else []
        rows = []
        for text, grid, count in zip(texts, pictures, counts):
            before, found, after = "".join(turn + TURN for turn in (*said, text.strip() or QUESTION)).partition(PICTURE)
            before, after = (before, after) if found else ("", before)
            if PICTURE in after:
                raise ValueError(f"{PICTURE} says where the picture stands, and there is one picture: a text has it once or not at all")
            block = [IMAGE_START]
            if grid is not None:
                block += [GRID + side // 2 for side in grid.shape]
                block += [id for row in grid.tolist() for id in (*(codes[code] for code in row), ROW_END)]
            if count:
                block += [FEATURES] + [HERE] * count
            first, rest = (_coded(words, part, tokenizer.setting("context")) for part in (before, after))
            rows.append([words.bos_token_id, *first, *block, IMAGE_END, *rest])
        ids, mask = filled(rows, words.pad_token_id)
        return Prompt(ids, mask, seen.values)

    def caption_prompt(self, words: Any, tokenizer: Tokenizer, beginnings: Text, seen: Hidden) -> Prompt:
        return self.prompt(words, tokenizer, beginnings, seen, None)

    def describe_picture(self, words: Any, tokenizer: Tokenizer, texts: Text, conditional: bool) -> tuple[Any, Any]:
        """Guidance leads away from a picture without any words before it."""
        if not conditional:
            return filled([[IMAGE_START] for _ in texts], 0)
        room = tokenizer.setting("context") - tokenizer.setting("picture") - 8
        return filled([[words.bos_token_id, *_coded(words, DRAW.format(text) + TURN, room), BEFORE_IMAGE, IMAGE_START] for text in texts], words.pad_token_id)

    def writer(self, module: Any, handle: LanguageModel) -> Writer:
        return TextWriter(module, handle)

    def painter(self, module: Any, handle: LanguageModel) -> Painter:
        return CodePainter(module, handle)

    def _tokenizer(self, source: Source) -> Tokenizer:
        model, vq = source.component(""), source.component("vq")
        across = model.side // VQ_MODEL.factor(vq)
        settings = {"context": _context(model), "codes": spaces.number(vq, "num_vq_embeddings"), "picture": across * (across + 1)}
        return make(Tokenizer, source.component("tokenizer"), self.name, settings)

    def _model(self, source: Source) -> LanguageModel:
        model, vq = source.component(""), source.component("vq")
        settings = {"side": model.side, "cell": 2 * VQ_MODEL.factor(vq), "context": _context(model)}
        return make(LanguageModel, model, self.name, SETTINGS | source.settings | settings)


def _context(model: Component) -> int:
    return spaces.number(model, "max_position_embeddings", 4096)


def _coded(words: Any, text: str, most: int) -> list[int]:
    """ids of a text; what is longer than `most` is cut, and the end of its turn stays."""
    ids = words(text, add_special_tokens=False).input_ids
    return ids if len(ids) <= most else ids[: most - 1] + [TURN_END]


FAMILIES = (UniToken(),)
