"""The prior of DALL-E 2 in small: a `PriorTransformer` that turns a caption into the CLIP embedding of a picture it fits.

Pictures and captions lie apart in CLIP's space, and a caption leaves open where a thing stands: the prior is a diffusion over what is
left open. It works on embeddings of mean 0 and deviation 1 in every direction; the statistics are kept in the network, as the library
does. It predicts the embedding itself; a tenth of the captions is empty, for guidance.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from diffusers import KandinskyV22PriorPipeline, PriorTransformer, UnCLIPScheduler
from torch.nn import functional as F
from transformers import CLIPImageProcessorPil, CLIPModel, CLIPTextModelWithProjection, CLIPTokenizer, CLIPVisionModelWithProjection

from flowmm.zoo import world
from flowmm.zoo.recipes import clip, near, tokens, training

BATCH, PEAK, WIDTH = 64, 1e-3, 128
STEPS, GUIDANCE = 10, 1.0


def build() -> PriorTransformer:
    """An untrained prior of 0.24 M weights: 3 layers of 64 over 16 tokens and 4 more, embeddings (B, 128) to the like."""
    network = PriorTransformer(num_attention_heads=4, attention_head_dim=16, num_layers=3, embedding_dim=WIDTH, num_embeddings=tokens.LENGTH,
                               additional_embeddings=4)  # fmt: skip
    training.wake(network)
    torch.nn.init.normal_(network.positional_embedding, std=0.3)
    torch.nn.init.normal_(network.prd_embedding, std=0.3)
    for statistic in (network.clip_mean, network.clip_std):  # parameters in the library, but nothing that is learned
        statistic.requires_grad_(False)
    return network


def build_scheduler() -> UnCLIPScheduler:
    """Kandinsky's own schedule."""
    return UnCLIPScheduler(prediction_type="sample", clip_sample=True, clip_sample_range=5.0)


def encoders(folder: Path) -> dict[str, object]:
    """The CLIP of a folder as the parts a prior goes with."""
    whole = CLIPModel.from_pretrained(folder, dtype=torch.float32)
    text, image = CLIPTextModelWithProjection(whole.config.text_config), CLIPVisionModelWithProjection(whole.config.vision_config)
    for part in (text, image):
        part.load_state_dict({name: value for name, value in whole.state_dict().items() if name in part.state_dict()})
    return {"image_encoder": image.eval(), "text_encoder": text.eval(), "tokenizer": CLIPTokenizer.from_pretrained(folder),
            "image_processor": CLIPImageProcessorPil.from_pretrained(folder)}  # fmt: skip


@torch.no_grad()
def embed(encoder: CLIPVisionModelWithProjection, scenes: list[world.Scene]) -> torch.Tensor:
    """The embeddings (N, 128) of scenes' pictures, as long as CLIP makes them."""
    parts = []
    for start in range(0, len(scenes), 128):
        pictures = training.to_tensor(world.pixels(scene) for scene in scenes[start : start + 128])
        parts.append(encoder(pictures.to(encoder.device)).image_embeds)
    return torch.cat(parts)


class Told:
    """What the prior is told of captions, as the pipeline tells it: the text's vector, its tokens' and which of them count."""

    def __init__(self, parts: dict[str, object], device: torch.device | str):
        self.encoder, self.tokenizer, self.device = parts["text_encoder"].to(device), parts["tokenizer"], device

    @torch.no_grad()
    def __call__(self, texts: list[str]) -> dict[str, torch.Tensor]:
        """Captions to the keywords of the network."""
        coded = self.tokenizer(texts, padding="max_length", max_length=tokens.LENGTH, truncation=True, return_tensors="pt").to(self.device)
        made = self.encoder(coded.input_ids)
        return {"proj_embedding": made.text_embeds, "encoder_hidden_states": made.last_hidden_state, "attention_mask": coded.attention_mask}


def train(out: Path, parts: dict[str, object], scenes: list[world.Scene], vectors: torch.Tensor, minutes: float, device: str, resume: bool) -> None:
    """Train on scenes and their pictures' embeddings (N, 128) into out/dalle2-prior.pt."""
    torch.manual_seed(0)
    network, told, kept = build().to(device), Told(parts, device), build_scheduler().alphas_cumprod.to(device)
    with torch.no_grad():
        network.clip_mean.copy_(vectors.mean(dim=0))
        network.clip_std.copy_(vectors.std(dim=0))
    targets = (vectors.to(device) - network.clip_mean) / network.clip_std
    rng = np.random.default_rng(43)
    single = [i for i, scene in enumerate(scenes) if scene.relation is None][-128:]
    captions = [world.caption(scenes[i]) for i in single]
    wrong = [world.caption(near.reshape(scenes[i], rng)) for i in single]
    answers = [world.ALL_PAIRS.index((scenes[i].things[0].colour, scenes[i].things[0].shape)) for i in single]

    def begin(step: int) -> Callable[[float], torch.Tensor]:
        drawn, generator = np.random.default_rng(44 + step), torch.Generator().manual_seed(45 + step)

        def loss(_: float) -> torch.Tensor:
            chosen = drawn.integers(len(scenes), size=BATCH)
            texts = ["" if drawn.random() < 0.1 else tokens.reword(world.caption(scenes[i], drawn), drawn) for i in chosen]
            times = training.stratified_times(BATCH, 1.0, generator).to(device)
            noise = torch.randn(BATCH, WIDTH, generator=generator).to(device)
            signal = kept[times][:, None]
            made = network(signal.sqrt() * targets[chosen] + (1 - signal).sqrt() * noise, times, **told(texts)).predicted_image_embedding
            return F.mse_loss(made, targets[chosen])

        return loss

    def notes() -> dict[str, float]:
        return {**cosines(network, told, targets[single], captions, wrong), "zero_shot": recognised(network, parts, captions, answers)}

    training.learn(out / "dalle2-prior.pt", {"prior": network}, minutes, resume, begin, peak=PEAK, batch=BATCH, notes=notes)


@torch.no_grad()
def cosines(network: PriorTransformer, told: Told, targets: torch.Tensor, right: list[str], wrong: list[str]) -> dict[str, float]:
    """Early signals: how near the embedding foreseen from noise comes to the right picture's, and how much less near from a wrong shape."""
    noise = torch.randn(targets.shape, generator=torch.Generator().manual_seed(46)).to(targets.device)
    times = torch.full((len(targets),), 999, device=targets.device)
    near_by = [F.cosine_similarity(network(noise, times, **told(texts)).predicted_image_embedding, targets).mean().item() for texts in (right, wrong)]
    return {"cosine": near_by[0], "shape_gap": near_by[0] - near_by[1]}


def recognised(network: PriorTransformer, parts: dict[str, object], texts: list[str], answers: list[int]) -> float:
    """Share of sampled embeddings whose nearest of CLIP's 48 prompts is the right one."""
    prompts = F.normalize(Told(parts, network.device)(clip.PROMPTS)["proj_embedding"], dim=-1)
    nearest = (sample(network, parts, texts, 0) @ prompts.T).argmax(dim=1).cpu()
    return float((nearest == torch.tensor(answers)).float().mean())


def sample(network: PriorTransformer, parts: dict[str, object], texts: list[str], seed: int, guidance: float = GUIDANCE) -> torch.Tensor:
    """Embeddings (N, 128) imagined for captions by the unchanged pipeline, item i from seed + i."""
    pipeline = KandinskyV22PriorPipeline(prior=network, scheduler=build_scheduler(), **parts)
    pipeline.set_progress_bar_config(disable=True)
    drawn = [torch.Generator().manual_seed(seed + i) for i in range(len(texts))]
    return pipeline(texts, num_inference_steps=STEPS, guidance_scale=guidance, generator=drawn, return_dict=False)[0]
